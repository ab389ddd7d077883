"""A node calls a phone whose connection another node holds: three stacks, and what strangers may not do."""

from __future__ import annotations

from itertools import count

import pytest

from acd.sip.core.edge import Edge, EdgeOwner, Passage, contact_name, read_token, route_to, token_of
from acd.sip.core.events import (
    Flow,
    InviteReceived,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegProgressed,
    SipEvent,
)
from acd.sip.core.message import Request
from acd.sip.core.stack import SipStack, StackConfig
from acd.sip.core.uri import NameAddr, Uri
from tests.support.caller import Message

NODE, EDGE, PHONE = ("10.0.0.2", 5060), ("10.0.0.1", 5060), ("192.0.2.7", 40001)
STRANGER = ("203.0.113.9", 5060)
KEY = b"the key of the site"
NAMED = ("call-1", "tag-1")
CONTACT = contact_name("anna", "k1")
PASSAGE = Passage("anna", CONTACT, Flow("tcp", ("", 0), NODE))
SDP = b"v=0\r\n"


class Site:
    """A node that has the call, the edge, and the phone; bytes go where their flow says."""

    def __init__(self) -> None:
        numbers = count(1)
        self.stacks = {at: SipStack(StackConfig(), lambda: f"t{next(numbers)}") for at in (NODE, EDGE, PHONE)}
        self.phone_flow: Flow | None = Flow("tcp", EDGE, PHONE)
        self.believed: list[Flow] = []
        self.sent: list[tuple[tuple[str, int], Message]] = []
        """To whom, and what, in order."""
        edge = self.stacks[EDGE]
        edge.edge = Edge(
            edge.wire,
            EdgeOwner(
                lambda: KEY,
                lambda agent, contact: self.phone_flow if (agent, contact) == ("anna", CONTACT) else None,
                lambda node: Flow("tcp", EDGE, node.remote),
                self.believed.append,
            ),
        )

    def invite(self, token: str = "", named: tuple[str, str] = NAMED) -> None:
        """The node rings the phone."""
        self.stacks[NODE].invite(
            "leg",
            uri=Uri.parse("sip:anna@192.0.2.7:40001;transport=tcp"),
            flow=Flow("tcp", NODE, EDGE),
            from_=NameAddr(Uri(host="acd", user="100")),
            to=NameAddr(Uri(host="acd", user="1001")),
            contact_user="acd",
            sdp=SDP,
            headers=(route_to(Flow("tcp", ("", 0), EDGE), token or token_of(PASSAGE, KEY, *NAMED)),),
            named=named,
            now=0.0,
        )
        self.run()

    def run(self) -> None:
        """Deliver until nobody says anything more."""
        while found := [(at, sent) for at, stack in self.stacks.items() for sent in stack.take_outgoing()]:
            for at, (flow, data) in found:
                self.give(at, flow.remote, data)

    def give(self, source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
        self.sent.append((target, Message.parse(data)))
        if target in self.stacks:
            self.stacks[target].receive(data, Flow("tcp", target, source), 0.0)

    def heard(self, at: tuple[str, int]) -> list[SipEvent]:
        return self.stacks[at].take_events()

    def rung(self) -> str:
        """The leg at the phone."""
        (event,) = self.heard(PHONE)
        assert isinstance(event, InviteReceived)
        assert event.offer == SDP
        return event.leg


@pytest.fixture
def site() -> Site:
    return Site()


def test_call_goes_through_the_edge_and_the_phone_hangs_up(site: Site) -> None:
    site.invite()
    leg = site.rung()
    assert site.believed == [Flow("tcp", EDGE, NODE)]
    site.stacks[PHONE].ring(leg, now=0.0)
    site.run()
    site.stacks[PHONE].accept(leg, SDP, now=0.0)
    site.run()
    assert [type(event) for event in site.heard(NODE)] == [LegProgressed, LegAnswered]
    assert [type(event) for event in site.heard(PHONE)] == [LegConfirmed]
    site.stacks[PHONE].hangup(leg, now=0.0)
    site.run()
    (ended,) = site.heard(NODE)
    assert (ended.leg, ended.by) == ("leg", "remote")  # type: ignore[union-attr]
    assert all(len(message.headers.get("via", [])) <= 2 for _, message in site.sent)


def test_node_hangs_up_a_call_that_went_through_the_edge(site: Site) -> None:
    site.invite()
    leg = site.rung()
    site.stacks[PHONE].accept(leg, SDP, now=0.0)
    site.run()
    site.heard(PHONE)
    site.stacks[NODE].hangup("leg", now=0.0)
    site.run()
    (ended,) = site.heard(PHONE)
    assert isinstance(ended, LegEnded)
    assert ended.by == "remote"


def test_cancel_finds_the_phone_that_rings(site: Site) -> None:
    site.invite()
    leg = site.rung()
    site.stacks[PHONE].ring(leg, now=0.0)
    site.run()
    site.stacks[NODE].hangup("leg", now=0.0)
    site.run()
    (ended,) = site.heard(PHONE)
    assert isinstance(ended, LegEnded)
    assert (ended.by, ended.status) == ("remote", 487)
    assert isinstance(site.heard(NODE)[-1], LegEnded)


def test_phone_that_came_back_over_another_flow_is_still_found(site: Site) -> None:
    site.invite()
    leg = site.rung()
    site.stacks[PHONE].accept(leg, SDP, now=0.0)
    site.run()
    site.heard(PHONE)
    site.phone_flow = Flow("tcp", EDGE, PHONE, 7)
    site.stacks[NODE].hangup("leg", now=0.0)
    site.run()
    assert isinstance(site.heard(PHONE)[0], LegEnded)


def test_phone_that_is_gone_is_told_at_once(site: Site) -> None:
    site.phone_flow = None
    site.invite()
    (ended,) = site.heard(NODE)
    assert (ended.by, ended.status) == ("remote", 430)  # type: ignore[union-attr]


def test_node_is_told_at_once_when_the_connection_of_a_ringing_phone_breaks(site: Site) -> None:
    site.invite()
    site.stacks[PHONE].ring(site.rung(), now=0.0)
    site.run()
    edge = site.stacks[EDGE]
    assert site.phone_flow is not None
    edge.flow_failed(Flow("tcp", EDGE, STRANGER), 0.0)
    site.run()
    assert [type(event) for event in site.heard(NODE)] == [LegProgressed]
    edge.flow_failed(site.phone_flow, 0.0)
    site.run()
    (ended,) = site.heard(NODE)
    assert (ended.by, ended.status) == ("remote", 430)  # type: ignore[union-attr]
    asked = len(site.sent)
    edge.flow_failed(site.phone_flow, 0.0)
    site.run()
    assert len(site.sent) == asked, "it is told once"


@pytest.mark.parametrize("status", [200, 486])
def test_connection_that_breaks_after_the_answer_ends_no_call(site: Site, status: int) -> None:
    site.invite()
    leg = site.rung()
    if status == 200:
        site.stacks[PHONE].accept(leg, SDP, now=0.0)
    else:
        site.stacks[PHONE].refuse(leg, status, now=0.0)
    site.run()
    site.heard(NODE)
    assert site.phone_flow is not None
    site.stacks[EDGE].flow_failed(site.phone_flow, 0.0)
    site.run()
    assert site.heard(NODE) == []
    assert all(message.status != 430 for _, message in site.sent)


def test_what_is_kept_of_phones_that_ring_is_bounded(site: Site) -> None:
    edge = site.stacks[EDGE].edge
    assert edge is not None
    for number in range(6_000):
        named = (f"call-{number}", "tag-1")
        line = route_to(Flow("tcp", ("", 0), EDGE), token_of(PASSAGE, KEY, *named))
        request = Request(
            "INVITE",
            "sip:anna@192.0.2.7",
            [
                ("Via", f"SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK{number}"),
                line,
                ("Max-Forwards", "70"),
                ("From", "<sip:100@acd>;tag=tag-1"),
                ("To", "<sip:1001@acd>"),
                ("Call-ID", named[0]),
                ("CSeq", "1 INVITE"),
            ],
        )
        assert edge.take_request(request, Flow("tcp", EDGE, NODE)) is True
    site.stacks[EDGE].take_outgoing()
    assert site.phone_flow is not None
    site.stacks[EDGE].flow_failed(site.phone_flow, 0.0)
    assert len(site.stacks[EDGE].take_outgoing()) == 5_000


@pytest.mark.parametrize(
    ("token", "named"),
    [
        (token_of(PASSAGE, b"another key", *NAMED), NAMED),
        (token_of(PASSAGE, KEY, "another-call", NAMED[1]), NAMED),
        (token_of(PASSAGE, KEY, NAMED[0], "another-tag"), NAMED),
        ("edge.", NAMED),
        ("edge.AAAA.", NAMED),
        ("edge." + "A" * 600 + ".B", NAMED),
    ],
)
def test_token_of_another_site_or_dialog_opens_no_way(site: Site, token: str, named: tuple[str, str]) -> None:
    site.invite(token, named)
    (ended,) = site.heard(NODE)
    assert (ended.by, ended.status) == ("remote", 403)  # type: ignore[union-attr]
    assert site.heard(PHONE) == []
    assert site.believed == []


def test_without_a_key_nothing_is_believed() -> None:
    token = token_of(PASSAGE, b"", *NAMED)
    site = Site()
    edge = site.stacks[EDGE]
    edge.edge = Edge(edge.wire, EdgeOwner(lambda: b"", lambda *_: site.phone_flow, lambda node: node, print))
    site.invite(token)
    assert site.heard(NODE)[0].status == 403  # type: ignore[union-attr]


def test_response_that_was_not_asked_for_goes_nowhere(site: Site) -> None:
    site.invite()
    asked = next(message for to, message in site.sent if to == PHONE)
    ours, theirs = asked.headers["via"]
    forged = ours.replace("edge.", "edge.A", 1)
    site.sent.clear()
    for vias in ([forged, theirs], [ours], [ours, theirs.replace("branch=z9hG4bK", "branch=z9hG4bKx")]):
        lines = ["SIP/2.0 200 OK", *(f"Via: {via}" for via in vias)]
        lines += ["From: <sip:a@b>;tag=1", "To: <sip:a@b>;tag=2", "Call-ID: call-1", "CSeq: 1 INVITE"]
        site.give(STRANGER, EDGE, ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode())
        site.run()
    assert [to for to, _ in site.sent] == [EDGE] * 3


def test_token_reads_as_it_was_made_and_not_for_others() -> None:
    token = token_of(PASSAGE, KEY, *NAMED)
    assert read_token(token, KEY, *NAMED) == PASSAGE
    assert read_token(token, KEY, "x", NAMED[1]) is None
    assert read_token(token[:-1], KEY, *NAMED) is None
    assert read_token(token.replace("edge.", "edg."), KEY, *NAMED) is None
