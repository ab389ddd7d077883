"""Which way leads to a phone of another node."""

from __future__ import annotations

import pytest

from acd.sip.contacts import Binding
from acd.sip.core.events import Flow, FlowKind
from acd.sip.nodes import NodeFacts
from acd.sip.ways import Way, Ways

THEIRS = {"udp": 5060, "tcp": 5060, "tls": 5061}


class Surroundings:
    """Network, bindings and nodes in one: the phone is at node b, which is as a test says."""

    def __init__(self, theirs: tuple[FlowKind, ...], ours: tuple[FlowKind, ...], *, up: bool = True) -> None:
        self._up = up
        self._theirs = facts("10.0.0.2", theirs)
        self.facts = facts("10.0.0.1", ours)
        self.expected: list[tuple[tuple[str, int], str]] = []
        self.shared = b"key"

    def owner(self, binding: Binding) -> str:
        return "b"

    def facts_of(self, node: str) -> NodeFacts | None:
        return self._theirs if self._up and node == "b" else None

    def key(self) -> bytes:
        return self.shared

    def way_to(self, transport: FlowKind, remote: tuple[str, int]) -> Flow:
        return Flow(transport, ("10.0.0.1", 5060), remote)

    def expect_name(self, remote: tuple[str, int], name: str) -> None:
        self.expected.append((remote, name))

    def ways(self) -> Ways:
        return Ways(self, self, self)  # type: ignore[arg-type]


def facts(host: str, transports: tuple[FlowKind, ...]) -> NodeFacts:
    return NodeFacts("p", "sip.example.com", tuple((kind, host, THEIRS[kind]) for kind in transports))


def binding(transport: FlowKind, *, path: tuple[str, ...] = (), port: int = 40001) -> Binding:
    return Binding(
        agent="anna",
        key="k",
        contact="sip:anna@192.0.2.7",
        listens=("192.0.2.7", 5060),
        target="sip:anna@192.0.2.7",
        flow=Flow(transport, ("10.0.0.2", 5060), ("192.0.2.7", port)),
        call_id="c",
        cseq=1,
        registered_at=0.0,
        expires_at=0.0,
        path=path,
    )


ALL: tuple[FlowKind, ...] = ("udp", "tcp", "tls")


@pytest.mark.parametrize(
    ("phone", "theirs", "ours", "taken"),
    [
        ("tcp", ALL, ALL, "tcp"),
        ("udp", ALL, ALL, "tcp"),
        ("ws", ("udp", "tls"), ALL, "udp"),
        ("tls", ALL, ALL, "tls"),
        ("wss", ("udp", "tcp"), ALL, "tcp"),
        ("tcp", ("tcp",), ("udp",), None),
    ],
)
def test_nodes_speak_what_both_have_and_encrypted_for_encrypted_phones(
    phone: FlowKind, theirs: tuple[FlowKind, ...], ours: tuple[FlowKind, ...], taken: FlowKind | None
) -> None:
    around = Surroundings(theirs, ours)
    ways, bound = around.ways(), binding(phone)
    assert ways.transport(bound) == taken
    way = ways.to(bound)
    if taken is None:
        assert way is None
        return
    assert way is not None
    assert way.flow == Flow(taken, ("10.0.0.1", 5060), ("10.0.0.2", THEIRS[taken]))
    assert way.named is not None
    expected = [(("10.0.0.2", 5061), "sip.example.com")] if taken == "tls" else []
    assert around.expected[:1] == expected


def test_each_call_has_a_token_of_its_own() -> None:
    ways = Surroundings(ALL, ALL).ways()
    assert len({ways.to(binding("tcp")) for _ in range(3)}) == 3


def test_phone_that_every_node_can_call_is_called_even_when_its_node_is_gone() -> None:
    ways = Surroundings(ALL, ALL, up=False).ways()
    direct = Flow("udp", ("10.0.0.1", 5060), ("192.0.2.7", 5060))
    assert ways.to(binding("udp", port=5060)) == Way(direct)
    path = "<sip:proxy.example.com;lr>"
    over_proxy = Flow("udp", ("10.0.0.1", 5060), ("192.0.2.7", 40001))
    assert ways.to(binding("udp", path=(path,))) == Way(over_proxy, (("Route", path),))
    assert ways.to(binding("udp")) is None
    assert ways.transport(binding("tcp")) is None


def test_without_a_shared_key_no_way_goes_through_another_node() -> None:
    around = Surroundings(ALL, ALL)
    around.shared = b""
    assert around.ways().to(binding("tcp")) is None
