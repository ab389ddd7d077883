"""REFER within a leg, and the subscription that comes with it (RFC 3515, RFC 4488)."""

from __future__ import annotations

from collections.abc import Sequence

from acd.sip.core.dialog import Dialog
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Header
from acd.sip.core.refer import ReferTo, refer_to
from acd.sip.core.requests import Farewell, Hub, send_within
from acd.sip.core.transaction import ServerTransaction
from acd.sip.core.wire import REASONS

_SIPFRAG: Header = ("Content-Type", "message/sipfrag;version=2.0")
_SECONDS = 180
"""How long we promise to tell of the progress; a transfer rings and waits for less."""


class _Referral:
    """Answered once, then reported on until a final status."""

    def __init__(
        self,
        hub: Hub,
        dialog: Dialog,
        transaction: ServerTransaction,
        wanted: ReferTo,
        *,
        is_first: bool,
    ) -> None:
        self._transaction = transaction
        self._dialog = dialog
        self._wants_notify = wanted.wants_notify
        self._event = "refer" if is_first else f"refer;id={transaction.request.cseq.number}"
        self._hub = hub
        self.is_over = False

    def answer(self, status: int, headers: Sequence[Header], now: float) -> None:
        """Accept (202) or refuse it."""
        if self._transaction.is_answered:
            return
        if status >= 300:
            self.is_over = True
            self._transaction.respond(status, now, headers=headers)
            return
        contact: Header = ("Contact", self._dialog.contact)
        if self._wants_notify:
            self._transaction.respond(202, now, headers=[contact, *headers])
            self.report(100, now)
        else:
            self._transaction.respond(200, now, headers=[contact, ("Refer-Sub", "false"), *headers])

    def report(self, status: int, now: float) -> None:
        """Tell how the transfer goes; a final status is the last word (RFC 3515 section 2.4.5)."""
        if self.is_over or not self._transaction.is_answered:
            return
        self.is_over = status >= 200
        if self._wants_notify:
            state = "terminated;reason=noresource" if self.is_over else f"active;expires={_SECONDS}"
            headers = (
                ("Event", self._event),
                ("Subscription-State", state),
                ("Contact", self._dialog.contact),
                _SIPFRAG,
            )
            line = f"SIP/2.0 {status} {REASONS.get(status, 'Unknown')}\r\n"
            # Not held back until the one before is answered: a BYE may follow this one at once.
            send_within(
                self._hub, self._dialog, "NOTIFY", Farewell(), now, headers=headers, body=line.encode()
            )

    def stop(self, now: float) -> None:
        """The leg is over."""
        self.is_over = True
        self._transaction.respond(481, now)


class Referrals:
    """Those of one leg: one transfer at a time."""

    __slots__ = ("_dialog", "_hub", "_newest")

    def __init__(self, hub: Hub, dialog: Dialog) -> None:
        self._hub = hub
        self._dialog = dialog
        self._newest: _Referral | None = None

    def receive(self, transaction: ServerTransaction, now: float) -> ReferTo | None:
        """What is asked for, to be answered by `answer`; None where it was refused at once."""
        if self._newest is not None and not self._newest.is_over:
            transaction.respond(491, now)
            return None
        try:
            wanted = refer_to(transaction.request)
        except SipSyntaxError as error:
            transaction.respond(400, now, reason=f"Bad {error.part}")
            return None
        is_first = self._newest is None
        self._newest = _Referral(self._hub, self._dialog, transaction, wanted, is_first=is_first)
        return wanted

    def answer(self, status: int, headers: Sequence[Header], now: float) -> None:
        """Accept (202) or refuse the newest."""
        if self._newest is not None:
            self._newest.answer(status, headers, now)

    def report(self, status: int, now: float) -> None:
        """Tell how it goes."""
        if self._newest is not None:
            self._newest.report(status, now)

    def stop(self, now: float) -> None:
        """The leg is over."""
        if self._newest is not None:
            self._newest.stop(now)
