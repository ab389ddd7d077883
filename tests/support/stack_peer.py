"""A peer that writes its own SIP, against one stack in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from acd.sip.core.events import Flow, InviteReceived, SipEvent
from acd.sip.core.message import Request, Response, parse
from acd.sip.core.stack import SipStack, StackConfig

UDP = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5070))
TCP = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.1", 40000), 7)
OFFER = b"v=0 offer"


class StackPeer:
    """Sends requests and responses to `stack` and reads what comes back."""

    def __init__(self, flow: Flow = UDP, config: StackConfig | None = None) -> None:
        numbers = count(1)
        self.stack = SipStack(config or StackConfig(), lambda: f"token{next(numbers)}")
        self.flow = flow
        self.now = 100.0
        self.events: list[SipEvent] = []

    def wait(self, seconds: float) -> None:
        """Let time pass, with every timer at its moment."""
        end = self.now + seconds
        while (due := self.stack.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.stack.handle_timeout(self.now)
        self.now = end

    def send(self, data: bytes, flow: Flow | None = None) -> list[Response | Request]:
        """Deliver bytes; return what the stack sends on them."""
        self.stack.receive(data, flow or self.flow, self.now)
        return self.sent()

    def sent(self) -> list[Response | Request]:
        """What the stack has sent since the last look."""
        self.events += self.stack.take_events()
        return [parse(data) for _, data in self.stack.take_outgoing()]

    def statuses(self, data: bytes) -> list[int]:
        """The statuses that the stack answers with."""
        return [message.status for message in self.send(data) if isinstance(message, Response)]

    def invited(self, *, branch: str = "z9hG4bKone", from_tag: str = "theirs") -> str:
        """Send an INVITE and return the name of its leg."""
        self.send(self.request("INVITE", body=OFFER, branch=branch, from_tag=from_tag))
        event = self.events[-1]
        assert isinstance(event, InviteReceived)
        return event.leg

    def request(
        self,
        method: str,
        *,
        uri: str = "sip:100@192.0.2.2",
        branch: str = "z9hG4bKone",
        call_id: str = "call-1",
        cseq: int = 1,
        cseq_method: str = "",
        from_tag: str = "theirs",
        to_tag: str = "",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        version: str = "2.0",
    ) -> bytes:
        transport = self.flow.transport.upper()
        lines = [
            f"{method} {uri} SIP/{version}",
            f"Via: SIP/2.0/{transport} 10.0.0.9:5099;branch={branch};rport",
            f"From: <sip:caller@192.0.2.1>;tag={from_tag}" if from_tag else "From: <sip:caller@192.0.2.1>",
            "To: <sip:100@192.0.2.2>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {cseq_method or method}",
            "Max-Forwards: 70",
            "Contact: <sip:caller@192.0.2.1:5070>",
            *(f"{name}: {value}" for name, value in headers),
        ]
        if body and not any(name == "Content-Type" for name, _ in headers):
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", "")).encode() + body

    def answer(
        self,
        request: Request,
        status: int,
        *,
        to_tag: str = "phone",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """A response of ours to a request of the stack's."""
        to = request.header("To") or ""
        if to_tag and ";tag=" not in to:
            to += f";tag={to_tag}"
        copied = [(name, request.header(name) or "") for name in ("Via", "From", "Call-ID", "CSeq")]
        contact = (
            [("Contact", "<sip:phone@192.0.2.1:5070>")] if not any(n == "Contact" for n, _ in headers) else []
        )
        return Response(status, "Reason", [*copied, ("To", to), *contact, *headers], body).to_bytes()


def moved(flow: Flow, port: int) -> Flow:
    """The same peer from another port."""
    return replace(flow, remote=(flow.remote[0], port))
