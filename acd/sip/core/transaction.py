"""The four transactions of RFC 3261 section 17, with the Accepted states of RFC 6026.

A transaction has at most two timers: one that repeats what was sent, and one that ends its state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol

from acd.sip.core.events import Flow
from acd.sip.core.message import Header, Request, Response, write
from acd.sip.core.timers import Timer
from acd.sip.core.wire import Wire, response_headers

COOKIE = "z9hG4bK"

ServerKey = tuple[str, str, str, int, str]
"""Branch, sent-by, Call-ID, CSeq number, method. The number is there for phones that use one branch twice."""
ClientKey = tuple[str, str]
"""Branch and method."""
Lost = Literal["timeout", "transport"]

_COPIED_TO_ACK = frozenset(("Via", "Route", "From", "Call-ID", "Max-Forwards"))
_LEAST_TIMER_D = 32.0


class Phase(Enum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


_UNANSWERED = (Phase.TRYING, Phase.PROCEEDING)


def server_key(request: Request) -> ServerKey:
    """What makes two requests the same (section 17.2.3). An ACK and a CANCEL find their INVITE."""
    branch, sent_by = request.via_key
    if len(branch) <= len(COOKIE) or not branch.startswith(COOKIE):
        # RFC 2543: no branch to rely on; the rest of the key and the From tag have to do.
        branch = f"{request.from_tag}|{branch}"
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    return branch, sent_by, request.call_id, request.cseq.number, method


class _Timed:
    """What all transactions share: their way out, their two timers, and how they leave."""

    __slots__ = ("_ending", "_repeating", "_wire", "flow", "phase")

    def __init__(self, wire: Wire, flow: Flow) -> None:
        self.flow = flow
        self.phase = Phase.TRYING
        self._wire = wire
        self._repeating: Timer | None = None
        self._ending: Timer | None = None

    @property
    def _is_datagram(self) -> bool:
        return self.flow.transport == "udp"

    def _end_at(self, due: float, action: Callable[[float], None]) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._wire.timers.set(due, action)

    def _repeat(self, data: bytes, now: float, interval: float, longest: float) -> None:
        """Send `data` again and again, at doubling intervals."""

        def again(then: float) -> None:
            self._wire.send(self.flow, data)
            self._wire.counters.retransmissions += 1
            self._repeat(data, then, min(interval * 2, longest), longest)

        self._repeating = self._wire.timers.set(now + interval, again)

    def _stop_repeating(self) -> None:
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None

    def _stop_timers(self) -> None:
        self._stop_repeating()
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


class ServerTransaction(_Timed):
    """A request of the peer until its last retransmission is out of the way."""

    __slots__ = ("_copied", "_forget", "_last", "key", "name", "on_lost", "request", "to_tag")

    def __init__(
        self,
        wire: Wire,
        key: ServerKey,
        request: Request,
        flow: Flow,
        forget: Callable[[ServerTransaction], None],
    ) -> None:
        super().__init__(wire, flow)
        self.key = key
        self.request = request
        self.name = wire.token()
        self.to_tag = wire.token()
        self.on_lost: Callable[[float], None] | None = None
        """Called where the flow breaks before the final response."""
        self._forget = forget
        self._last = b""
        self._copied: list[Header] | None = None

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    @property
    def is_answered(self) -> bool:
        """Whether a final response was sent."""
        return self.phase not in _UNANSWERED

    def expect_answer(self, now: float) -> None:
        """Forget a request other than INVITE that nobody answers: by then (timer F) the peer has as well."""
        if not self.is_answered:
            self._end_at(now + self._wire.config.patience, self._end)

    def respond(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[Header] = (), body: bytes = b""
    ) -> bytes:
        """Send a response, and return its bytes; after a final one, nothing more is sent."""
        if self.is_answered:
            return b""
        if self._copied is None:
            self._copied = response_headers(self.request, self.flow, self.to_tag)
        self._last = data = self._wire.respond(
            self.request, self.flow, status, copied=self._copied, reason=reason, headers=headers, body=body
        )
        config = self._wire.config
        if status < 200:
            self.phase = Phase.PROCEEDING
        elif not self.is_invite:
            self.phase = Phase.COMPLETED
            self._end_at(now + (config.patience if self._is_datagram else 0.0), self._end)  # Timer J
        elif status < 300:
            self.phase = Phase.ACCEPTED
            self._end_at(now + config.patience, self._end)  # Timer L; the leg repeats the 2xx
        else:
            self.phase = Phase.COMPLETED
            self._end_at(now + config.patience, self._end)  # Timer H
            if self._is_datagram:
                self._repeat(data, now, config.t1, config.t2)  # Timer G
        return data

    def receive_again(self) -> None:
        """A retransmission of the request: say again what was said last, but never a 2xx to INVITE."""
        if self._last and self.phase in (Phase.PROCEEDING, Phase.COMPLETED):
            self._wire.send(self.flow, self._last)

    def acknowledge(self, now: float) -> None:
        """The ACK to a final failure arrived."""
        if self.is_invite and self.phase is Phase.COMPLETED:
            self.phase = Phase.CONFIRMED
            self._stop_repeating()
            self._end_at(now + (self._wire.config.t4 if self._is_datagram else 0.0), self._end)  # Timer I

    def fail(self, now: float) -> None:
        """Its flow broke: nothing can be answered any more."""
        unanswered = not self.is_answered
        self._end(now)
        if unanswered and self.on_lost is not None:
            self.on_lost(now)

    def _end(self, now: float) -> None:
        self.phase = Phase.TERMINATED
        self._stop_timers()
        self._forget(self)


class ClientOwner(Protocol):
    """Who sent the request."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A provisional or final response; a 2xx to INVITE comes once for each phone that sent one."""

    def on_no_response(self, transaction: ClientTransaction, why: Lost, now: float) -> None: ...


class ClientTransaction(_Timed):
    """A request of ours until its final response is dealt with."""

    __slots__ = (
        "_acks",
        "_common",
        "_forget",
        "_home",
        "_move",
        "_sent",
        "body",
        "branch",
        "headers",
        "method",
        "number",
        "owner",
        "uri",
    )

    def __init__(
        self,
        wire: Wire,
        method: str,
        uri: str,
        number: int,
        headers: Sequence[Header],
        body: bytes,
        flow: Flow,
        owner: ClientOwner,
        forget: Callable[[ClientTransaction], None],
        move: Callable[[ClientTransaction, Flow], None],
        *,
        branch: str = "",
    ) -> None:
        super().__init__(wire, flow)
        self.branch = branch or COOKIE + wire.token()
        self.method = method
        self.uri = uri
        self.number = number
        self.body = body
        self.owner = owner
        self._forget = forget
        self._move = move
        self._common = (*headers, ("CSeq", f"{number} {method}"))
        self._acks: dict[str, bytes] = {}
        self._home: Flow | None = None
        """The datagram flow that a large request has left for a connection (section 18.1.1)."""
        self._write()

    def _write(self) -> None:
        """Make the bytes for the flow of now: the Via names its transport."""
        self.headers = (self._wire.via(self.flow, self.branch), *self._common)
        self._sent = write(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)

    @property
    def key(self) -> ClientKey:
        return self.branch, self.method

    @property
    def is_invite(self) -> bool:
        return self.method == "INVITE"

    @property
    def dialog_flow(self) -> Flow:
        """Where the rest of the dialog goes: one large request does not move it to a connection."""
        return self._home or self.flow

    def start(self, now: float) -> None:
        config = self._wire.config
        if self._is_datagram and self._wire.wants_stream(len(self._sent), self.flow, now):
            self._go_by_stream(now)
        self._end_at(now + config.patience, self._time_out)  # Timers B, F
        self._send_first(now)

    def _send_first(self, now: float) -> None:
        self._wire.send(self.flow, self._sent)
        if self._is_datagram:
            config = self._wire.config
            longest = config.patience if self.is_invite else config.t2
            self._repeat(self._sent, now, config.t1, longest)  # Timers A, E

    def _go_by_stream(self, now: float) -> None:
        """Too large for a datagram: by TCP. Where that is refused or stays silent, by UDP after all."""
        self._home = self.flow
        self._move(self, Flow("tcp", self.flow.local, self.flow.remote))
        self._write()
        self._repeating = self._wire.timers.set(now + self._wire.config.stream_patience, self._go_home)

    def _go_home(self, now: float) -> None:
        """The same transaction by UDP: a peer that did get it by TCP sees a repetition."""
        if self._home is not None and self.phase is Phase.TRYING:
            self._stop_repeating()
            home, self._home = self._home, None
            self._wire.takes_no_stream(home, now)
            self._move(self, home)
            self._write()
            self._send_first(now)

    def receive(self, response: Response, now: float) -> None:
        if self.phase is Phase.COMPLETED:
            if self.is_invite and response.status >= 300:
                self._acknowledge_failure(response)
        elif self.phase is Phase.ACCEPTED:
            if 200 <= response.status < 300:
                self._receive_2xx(response, now)
        elif response.status < 200:
            if self.is_invite or not self._is_datagram:
                self._stop_repeating()
            if self.is_invite and self.phase is Phase.TRYING and self._ending is not None:
                self._ending.cancel()  # An INVITE that got through waits as long as its owner likes.
            self.phase = Phase.PROCEEDING
            self.owner.on_response(self, response, now)
        else:
            self._complete(response, now)

    def _complete(self, response: Response, now: float) -> None:
        self._stop_repeating()
        config = self._wire.config
        if self.is_invite and response.status < 300:
            self.phase = Phase.ACCEPTED
            self._end_at(now + config.patience, self._end)  # Timer M
            self._receive_2xx(response, now)
            return
        self.phase = Phase.COMPLETED
        rest = config.t4  # Timer K
        if self.is_invite:
            self._acknowledge_failure(response)
            rest = max(_LEAST_TIMER_D, config.patience)
        self._end_at(now + (rest if self._is_datagram else 0.0), self._end)
        self.owner.on_response(self, response, now)

    def _receive_2xx(self, response: Response, now: float) -> None:
        ack = self._acks.get(response.to_tag)
        if ack is not None:
            self._wire.send(self.dialog_flow, ack)
        elif len(self._acks) < self._wire.config.max_forks:
            self.owner.on_response(self, response, now)

    def acknowledge(self, to_tag: str, ack: bytes) -> None:
        """Send the owner's ACK to a 2xx, now and whenever that 2xx comes again (section 13.2.2.4)."""
        self._acks[to_tag] = ack
        self._wire.send(self.dialog_flow, ack)

    def _acknowledge_failure(self, response: Response) -> None:
        """The ACK to a failure belongs to the transaction (section 17.1.1.3)."""
        copied = [(name, value) for name, value in self.headers if name in _COPIED_TO_ACK]
        headers = (*copied, ("To", response.header("To") or ""), ("CSeq", f"{self.number} ACK"))
        self._wire.send(self.flow, write(f"ACK {self.uri} SIP/2.0", headers))

    def give_up_at(self, due: float) -> None:
        """End as timed out where no final response has come by then."""
        if self.phase in _UNANSWERED:
            self._end_at(due, self._time_out)

    def _time_out(self, now: float) -> None:
        self._finish("timeout", now)

    def fail(self, now: float) -> None:
        """Its flow broke."""
        if self._home is not None and self.phase is Phase.TRYING:
            self._go_home(now)
        elif self.phase in _UNANSWERED:
            self._finish("transport", now)
        else:
            self._end(now)

    def _finish(self, why: Lost, now: float) -> None:
        self._end(now)
        self.owner.on_no_response(self, why, now)

    def _end(self, now: float) -> None:
        self.phase = Phase.TERMINATED
        self._stop_timers()
        self._forget(self)
