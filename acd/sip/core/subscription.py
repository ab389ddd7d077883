"""Dialogs that SUBSCRIBE makes (RFC 6665), apart from the calls: who watches, until when, and NOTIFYs."""

from __future__ import annotations

from collections.abc import Callable

from acd.sip.core.dialog import Dialog
from acd.sip.core.events import SubscriptionAsked, SubscriptionOver
from acd.sip.core.message import Header
from acd.sip.core.notifier import Notifier
from acd.sip.core.refer import DialogId
from acd.sip.core.requests import Hub, dialog_of
from acd.sip.core.timers import Timer
from acd.sip.core.transaction import ServerTransaction


class Subscription:
    """One watcher. Ends by a NOTIFY that is not taken, or by the final one."""

    def __init__(
        self, hub: Hub, name: str, dialog: Dialog, event: str, forget: Callable[[Subscription], None]
    ) -> None:
        self.name = name
        self.dialog = dialog
        self._hub = hub
        self._event = event
        self._forget = forget
        self._notifier = Notifier(hub, dialog, self._on_gone, self._on_done)
        self._expiry: Timer | None = None
        self._expires_at = 0.0
        self._is_ending = False

    def renew(self, transaction: ServerTransaction, seconds: int, now: float) -> None:
        """Answer a SUBSCRIBE; 0 seconds is its end, to be told by `end`."""
        self._stop_clock()
        self._expires_at = now + seconds
        if seconds:
            self._expiry = self._hub.wire.timers.set(self._expires_at, self._on_expired)
        routes: list[Header] = [("Record-Route", route) for route in transaction.request.raw("Record-Route")]
        transaction.respond(
            200, now, headers=[*routes, ("Contact", self.dialog.contact), ("Expires", str(seconds))]
        )

    def notify(self, content_type: str, body: bytes, now: float) -> None:
        """Tell a state."""
        if not self._is_ending:
            left = max(0, round(self._expires_at - now))
            self._send(f"active;expires={left}", content_type, body, now)

    def end(self, reason: str, content_type: str, body: bytes, now: float) -> None:
        """Tell the last state: `timeout`, `deactivated`, `noresource` (section 4.1.3)."""
        if not self._is_ending:
            self._stop_clock()
            self._is_ending = True
            self._send(f"terminated;reason={reason}", content_type, body, now)

    def _send(self, state: str, content_type: str, body: bytes, now: float) -> None:
        headers: list[Header] = [
            ("Event", self._event),
            ("Subscription-State", state),
            ("Contact", self.dialog.contact),
        ]
        self._notifier.send([*headers, ("Content-Type", content_type)] if body else headers, body, now)

    def _on_expired(self, now: float) -> None:
        self._expiry = None
        self._hub.emit(SubscriptionOver(self.name, "timeout"))

    def _on_gone(self, now: float) -> None:
        self._stop_clock()
        self._forget(self)
        self._hub.emit(SubscriptionOver(self.name, "gone"))

    def _on_done(self, now: float) -> None:
        if self._is_ending:
            self._notifier.stop()
            self._forget(self)

    def _stop_clock(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None


class Subscriptions:
    """All watchers of one stack. A word about one that is over does nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._by_dialog: dict[DialogId, Subscription] = {}
        self._by_name: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def knows(self, dialog: DialogId) -> bool:
        """Whether a watcher made this dialog."""
        return dialog in self._by_dialog

    def asked(self, dialog: DialogId, transaction: ServerTransaction, now: float) -> SubscriptionAsked | None:
        """A request within a known dialog: what the owner is to answer; None where it is done by the book."""
        found, request = self._by_dialog[dialog], transaction.request
        if request.cseq.number <= found.dialog.remote_cseq:
            transaction.respond(500, now, reason="CSeq out of order")  # RFC 3261 section 12.2.2
        elif request.method != "SUBSCRIBE":
            transaction.respond(405, now, headers=[("Allow", "SUBSCRIBE")])
        else:
            found.dialog.remote_cseq = request.cseq.number
            return SubscriptionAsked(found.name, transaction.name, request, transaction.flow)
        return None

    def accept(self, transaction: ServerTransaction, seconds: int, now: float) -> str:
        """Make a watcher of who sent this SUBSCRIBE; its name. Raises SipSyntaxError with nothing made."""
        request = transaction.request
        dialog = dialog_of(self._hub.wire, transaction, request.uri.user)
        made = Subscription(self._hub, transaction.name, dialog, request.header("Event") or "", self._forget)
        self._by_dialog[dialog.id] = self._by_name[made.name] = made
        made.renew(transaction, seconds, now)
        return made.name

    def renew(self, name: str, transaction: ServerTransaction, seconds: int, now: float) -> None:
        """Answer a SUBSCRIBE within the dialog, which may also move the watcher's contact."""
        if found := self._by_name.get(name):
            found.dialog.flow = transaction.flow
            found.dialog.refresh_target(transaction.request)
            found.renew(transaction, seconds, now)

    def notify(self, name: str, content_type: str, body: bytes, now: float) -> None:
        if found := self._by_name.get(name):
            found.notify(content_type, body, now)

    def end(self, name: str, reason: str, content_type: str, body: bytes, now: float) -> None:
        if found := self._by_name.get(name):
            found.end(reason, content_type, body, now)

    def _forget(self, subscription: Subscription) -> None:
        self._by_dialog.pop(subscription.dialog.id, None)
        self._by_name.pop(subscription.name, None)
