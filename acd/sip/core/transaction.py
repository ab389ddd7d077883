"""The four transactions of RFC 3261 section 17, with the Accepted states of RFC 6026."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol

from acd.sip.core.events import Flow
from acd.sip.core.message import Header, Request, Response, write
from acd.sip.core.timers import Timer
from acd.sip.core.wire import Wire

COOKIE = "z9hG4bK"

ServerKey = tuple[str, str, str, int, str]
"""Branch, sent-by, Call-ID, CSeq number, method. The number is there for phones that use one branch twice."""
ClientKey = tuple[str, str]
"""Branch and method."""


class Phase(Enum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


def server_key(request: Request) -> ServerKey:
    """What makes two requests the same (section 17.2.3). An ACK and a CANCEL find their INVITE."""
    via = request.via
    branch = via.branch
    if not branch.startswith(COOKIE):
        # RFC 2543: no branch to rely on; the rest of the key and the tags have to do.
        branch = f"{request.uri_text}|{request.from_tag}|{via.branch}"
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    return branch, via.sent_by, request.call_id, request.cseq.number, method


class ServerTransaction:
    """A request of the peer until its last retransmission is out of the way."""

    __slots__ = ("_final", "_forget", "_timers", "_wire", "flow", "key", "name", "phase", "request", "to_tag")

    def __init__(
        self,
        wire: Wire,
        key: ServerKey,
        request: Request,
        flow: Flow,
        forget: Callable[[ServerTransaction], None],
    ) -> None:
        self.key = key
        self.request = request
        self.flow = flow
        self.name = wire.token()
        self.to_tag = wire.token()
        self.phase = Phase.TRYING
        self._wire = wire
        self._forget = forget
        self._final = b""
        self._timers: list[Timer] = []

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    @property
    def is_answered(self) -> bool:
        """Whether a final response was sent."""
        return self.phase not in (Phase.TRYING, Phase.PROCEEDING)

    def respond(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[Header] = (), body: bytes = b""
    ) -> bytes:
        """Send a response; after a final one, nothing more is sent."""
        if self.is_answered:
            return b""
        data = self._wire.respond(
            self.request,
            self.flow,
            status,
            to_tag=self.to_tag if status > 100 else "",
            reason=reason,
            headers=headers,
            body=body,
        )
        self._final = data
        if status < 200:
            self.phase = Phase.PROCEEDING
        elif self.is_invite and status < 300:
            self.phase = Phase.ACCEPTED
            self._end_at(now + self._wire.config.patience)  # Timer L; the leg repeats the 2xx
        elif self.is_invite:
            self._complete_invite(now)
        else:
            self.phase = Phase.COMPLETED
            self._end_at(now + (self._wire.config.patience if self._is_datagram else 0.0))  # Timer J
        return data

    def _complete_invite(self, now: float) -> None:
        self.phase = Phase.COMPLETED
        self._end_at(now + self._wire.config.patience)  # Timer H
        if self._is_datagram:
            self._repeat_at(now, self._wire.config.t1)  # Timer G

    def _repeat_at(self, now: float, interval: float) -> None:
        def repeat(then: float) -> None:
            if self.phase is Phase.COMPLETED:
                self._wire.send(self.flow, self._final)
                self._wire.counters.retransmissions += 1
                self._repeat_at(then, min(interval * 2, self._wire.config.t2))

        self._timers.append(self._wire.timers.set(now + interval, repeat))

    def receive_again(self) -> None:
        """A retransmission of the request: say again what was said last, but never a 2xx to INVITE."""
        if self._final and self.phase in (Phase.PROCEEDING, Phase.COMPLETED):
            self._wire.send(self.flow, self._final)

    def acknowledge(self, now: float) -> None:
        """The ACK to a final failure arrived."""
        if self.phase is Phase.COMPLETED:
            self.phase = Phase.CONFIRMED
            self._stop_timers()
            self._end_at(now + (self._wire.config.t4 if self._is_datagram else 0.0))  # Timer I

    @property
    def _is_datagram(self) -> bool:
        return self.flow.transport == "udp"

    def _end_at(self, due: float) -> None:
        self._timers.append(self._wire.timers.set(due, self._end))

    def _end(self, now: float) -> None:
        self.phase = Phase.TERMINATED
        self._stop_timers()
        self._forget(self)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class ClientOwner(Protocol):
    """Who sent the request."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A provisional or final response; a 2xx to INVITE comes once for each copy that arrives."""

    def on_no_response(
        self, transaction: ClientTransaction, why: Literal["timeout", "transport"], now: float
    ) -> None: ...


class ClientTransaction:
    """A request of ours until its final response is dealt with."""

    __slots__ = ("_forget", "_sent", "_timers", "_wire", "branch", "flow", "owner", "phase", "request")

    def __init__(
        self,
        wire: Wire,
        method: str,
        uri: str,
        headers: Sequence[Header],
        body: bytes,
        flow: Flow,
        owner: ClientOwner,
        forget: Callable[[ClientTransaction], None],
        *,
        branch: str = "",
    ) -> None:
        self.branch = branch or COOKIE + wire.token()
        self.request = Request(method, uri, [wire.via(flow, self.branch), *headers], body)
        self.flow = flow
        self.owner = owner
        self.phase = Phase.TRYING
        self._wire = wire
        self._forget = forget
        self._sent = self.request.to_bytes()
        self._timers: list[Timer] = []

    @property
    def key(self) -> ClientKey:
        return self.branch, self.request.method

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    def start(self, now: float) -> None:
        config = self._wire.config
        self._wire.send(self.flow, self._sent)
        self._timers.append(self._wire.timers.set(now + config.patience, self._time_out))  # Timers B, F
        if self.flow.transport == "udp":
            self._repeat_at(now, config.t1)  # Timers A, E

    def _repeat_at(self, now: float, interval: float) -> None:
        def repeat(then: float) -> None:
            if self.phase is Phase.TRYING or (self.phase is Phase.PROCEEDING and not self.is_invite):
                self._wire.send(self.flow, self._sent)
                self._wire.counters.retransmissions += 1
                longest = self._wire.config.patience if self.is_invite else self._wire.config.t2
                self._repeat_at(then, min(interval * 2, longest))

        self._timers.append(self._wire.timers.set(now + interval, repeat))

    def receive(self, response: Response, now: float) -> None:
        if self.phase is Phase.COMPLETED:
            if self.is_invite and response.status >= 300:
                self._acknowledge(response)
            return
        if self.phase is Phase.ACCEPTED:
            if response.status < 300:
                self.owner.on_response(self, response, now)
            return
        if response.status < 200:
            if self.phase is Phase.TRYING and self.is_invite:
                self._stop_timers()  # An INVITE that got through waits as long as its owner likes.
            self.phase = Phase.PROCEEDING
        else:
            self._complete(response, now)
        self.owner.on_response(self, response, now)

    def _complete(self, response: Response, now: float) -> None:
        self._stop_timers()
        config, is_datagram = self._wire.config, self.flow.transport == "udp"
        if self.is_invite and response.status < 300:
            self.phase = Phase.ACCEPTED
            self._end_at(now + config.patience)  # Timer M
            return
        self.phase = Phase.COMPLETED
        if self.is_invite:
            self._acknowledge(response)
            self._end_at(now + (max(32.0, config.patience) if is_datagram else 0.0))  # Timer D
        else:
            self._end_at(now + (config.t4 if is_datagram else 0.0))  # Timer K

    def _acknowledge(self, response: Response) -> None:
        """The ACK to a failure belongs to the transaction (section 17.1.1.3)."""
        copied = [
            (name, value)
            for name, value in self.request.headers
            if name in ("Via", "Route", "From", "Call-ID", "Max-Forwards")
        ]
        headers = (*copied, ("To", response.header("To") or ""), ("CSeq", f"{self.request.cseq.number} ACK"))
        self._wire.send(self.flow, write(f"ACK {self.request.uri_text} SIP/2.0", headers))

    def give_up_at(self, due: float) -> None:
        """End as timed out where no final response has come by then."""
        self._timers.append(self._wire.timers.set(due, self._time_out))

    def _time_out(self, now: float) -> None:
        self._finish("timeout", now)

    def fail(self, now: float) -> None:
        """Its flow broke."""
        if self.phase in (Phase.TRYING, Phase.PROCEEDING):
            self._finish("transport", now)

    def _finish(self, why: Literal["timeout", "transport"], now: float) -> None:
        self._end(now)
        self.owner.on_no_response(self, why, now)

    def _end_at(self, due: float) -> None:
        self._timers.append(self._wire.timers.set(due, self._end))

    def _end(self, now: float) -> None:
        self.phase = Phase.TERMINATED
        self._stop_timers()
        self._forget(self)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
