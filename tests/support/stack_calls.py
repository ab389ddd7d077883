"""Calls between a stack and a peer that writes its own SIP, up to where tests begin."""

from __future__ import annotations

from acd.sip.core.events import LegConfirmed
from acd.sip.core.message import Request, Response
from acd.sip.core.uri import NameAddr, Uri
from tests.support.stack_peer import StackPeer


def confirmed(peer: StackPeer) -> tuple[str, str]:
    """A call of the peer's, answered and acknowledged: its leg and our tag."""
    leg = peer.invited()
    peer.stack.accept(leg, b"v=0 answer", now=peer.now)
    (ok,) = [m for m in peer.sent() if isinstance(m, Response) and m.status == 200]
    peer.send(peer.request("ACK", branch="z9hG4bKack", to_tag=ok.to_tag))
    assert peer.events[-1] == LegConfirmed(leg, None)
    return leg, ok.to_tag


def called(peer: StackPeer, leg: str = "out") -> Request:
    """A call of ours; its INVITE."""
    peer.stack.invite(
        leg,
        uri=Uri(host="192.0.2.1", user="phone"),
        flow=peer.flow,
        from_=NameAddr(Uri(host="192.0.2.2", user="acd"), "Queue"),
        to=NameAddr(Uri(host="192.0.2.1", user="phone")),
        contact_user="acd",
        sdp=b"v=0 ours",
        now=peer.now,
    )
    (invite,) = peer.sent()
    assert isinstance(invite, Request)
    return invite


def settle(peer: StackPeer) -> None:
    """After the timers of RFC 3261 nothing is left."""
    peer.wait(700)
    peer.sent()
    assert peer.stack.live == (0, 0, 0)
    assert len(peer.stack.wire.timers) == 0
