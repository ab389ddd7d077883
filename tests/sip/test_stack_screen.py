"""What is refused at the door keeps nothing: no transaction, no dialog, no leg."""

from __future__ import annotations

from itertools import count

from acd.sip.core.checks import Fault
from acd.sip.core.events import Flow, InviteReceived
from acd.sip.core.message import Request, Response, parse
from acd.sip.core.stack import SipStack, StackConfig

FLOW = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
BUSY = Fault(503, headers=(("Retry-After", "3"),))


def stack_that(refuses: bool) -> SipStack:
    numbers = count()
    config = StackConfig(screen=lambda request, flow, now: BUSY if refuses else None)
    return SipStack(config, lambda: f"token-{next(numbers)}")


def request(method: str, number: int = 1, to_tag: str = "") -> bytes:
    return (
        f"{method} sip:100@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:a@b>;tag=f{number}\r\nTo: <sip:b@c>{to_tag}\r\nCall-ID: c{number}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answers(stack: SipStack) -> list[Response]:
    parsed = [parse(data) for _, data in stack.take_outgoing()]
    return [message for message in parsed if isinstance(message, Response)]


def test_refused_flood_of_invites_leaves_nothing_behind() -> None:
    stack = stack_that(refuses=True)
    for number in range(1000):
        stack.receive(request("INVITE", number), FLOW, 1.0)
    sent = answers(stack)
    assert {(one.status, one.header("Retry-After")) for one in sent} == {(503, "3")}
    assert len(sent) == 1000
    assert stack.live == (0, 0, 0)
    assert stack.take_events() == []
    assert stack.next_timeout() is None


def test_repetition_gets_the_same_answer_and_its_ack_is_absorbed() -> None:
    stack = stack_that(refuses=True)
    stack.receive(request("INVITE"), FLOW, 1.0)
    stack.receive(request("INVITE"), FLOW, 1.5)
    first, second = answers(stack)
    assert first.to_tag == second.to_tag != ""
    stack.receive(request("ACK", to_tag=f";tag={first.to_tag}"), FLOW, 2.0)
    assert answers(stack) == []


def test_request_in_a_dialog_that_is_not_ours_keeps_nothing() -> None:
    stack = stack_that(refuses=False)
    for method in ("INVITE", "BYE", "INFO", "UPDATE"):
        stack.receive(request(method, to_tag=";tag=nobody"), FLOW, 1.0)
    assert [one.status for one in answers(stack)] == [481] * 4
    assert stack.live == (0, 0, 0)


def test_calls_inside_are_not_screened() -> None:
    numbers, refusing = count(), [False]

    def screen(request: Request, flow: Flow, now: float) -> Fault | None:
        return BUSY if refusing[0] else None

    stack = SipStack(StackConfig(screen=screen), lambda: f"token-{next(numbers)}")
    stack.receive(request("INVITE"), FLOW, 1.0)
    (event,) = stack.take_events()
    assert isinstance(event, InviteReceived)
    stack.accept(event.leg, b"v=0\r\n", now=1.0)
    ok = answers(stack)[-1]
    refusing[0] = True
    bye = request("BYE", to_tag=f";tag={ok.to_tag}").replace(b"branch=z9hG4bK1", b"branch=z9hG4bKbye")
    stack.receive(bye.replace(b"CSeq: 1", b"CSeq: 2"), FLOW, 2.0)
    assert [one.status for one in answers(stack)] == [200]
