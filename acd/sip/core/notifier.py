"""NOTIFYs within a dialog, one after the other (RFC 6665 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from acd.sip.core.dialog import Dialog
from acd.sip.core.message import Header, Response
from acd.sip.core.requests import Hub, send_within
from acd.sip.core.transaction import ClientTransaction, Lost


class Notifier:
    """Sends the newest state; what became old while an answer was awaited is never sent.

    `on_gone` is called once, where the peer takes no more: any failure but one that asks to come back
    later (section 4.2.2), and silence. `on_done` where a NOTIFY was taken and nothing waits.
    """

    def __init__(
        self, hub: Hub, dialog: Dialog, on_gone: Callable[[float], None], on_done: Callable[[float], None]
    ) -> None:
        self._hub = hub
        self._dialog = dialog
        self._on_gone = on_gone
        self._on_done = on_done
        self._waiting: tuple[Sequence[Header], bytes] | None = None
        self._is_asking = False
        self._is_over = False

    def send(self, headers: Sequence[Header], body: bytes, now: float) -> None:
        """Tell this state now, or as soon as the one before it is answered."""
        if self._is_over:
            return
        if self._is_asking:
            self._waiting = (headers, body)
            return
        self._is_asking = True
        send_within(self._hub, self._dialog, "NOTIFY", self, now, headers=headers, body=body)

    def stop(self) -> None:
        """Send nothing more, and tell nothing more."""
        self._is_over = True
        self._waiting = None

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            return
        self._is_asking = False
        if self._is_over:
            return
        if response.status >= 300 and response.header("Retry-After") is None:
            self.stop()
            self._on_gone(now)
        elif self._waiting is not None:
            (headers, body), self._waiting = self._waiting, None
            self.send(headers, body, now)
        else:
            self._on_done(now)

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None:
        if not self._is_over:
            self.stop()
            self._on_gone(now)
