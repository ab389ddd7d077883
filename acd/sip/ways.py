"""How an agent's contact is called: over our flow, directly, or through the node that has its flow."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from acd.sip.bindings import BindingStore, is_direct
from acd.sip.contacts import Binding
from acd.sip.core.edge import EdgeOwner, Passage, contact_name, route_to, token_of
from acd.sip.core.events import Flow, FlowKind
from acd.sip.core.message import Header
from acd.sip.network import Network
from acd.sip.nodes import BETWEEN_NODES, IN_SECRET, NodeFacts, Nodes

_WITH_KEYS = ("tls", "wss")
_TOKEN_BYTES = 10


@dataclass(frozen=True, slots=True)
class Way:
    """Over which flow, along which route, and (through another node) as which dialog an INVITE goes."""

    flow: Flow
    route: tuple[Header, ...] = ()
    named: tuple[str, str] | None = None
    """Call-ID and our tag, which the route is good for."""


class Ways:
    """Knows the way to each contact, and is the edge for other nodes."""

    def __init__(self, network: Network, bindings: BindingStore, nodes: Nodes) -> None:
        self._network = network
        self._bindings = bindings
        self._nodes = nodes

    def is_up(self, node: str) -> bool:
        """Whether this is another node, and it lives."""
        return self._nodes.is_up(node)

    def transport(self, binding: Binding) -> FlowKind | None:
        """What our requests to the contact go over first; None where there is no way now."""
        owner = self._bindings.owner(binding)
        if not owner or is_direct(binding):
            return binding.flow.transport
        hop = self._hop(binding, owner)
        return hop[0].transport if hop else None

    def to(self, binding: Binding) -> Way | None:
        """The way to a contact for one new dialog; None where there is none now."""
        path = tuple(("Route", route) for route in binding.path)
        owner = self._bindings.owner(binding)
        if not owner:
            return Way(binding.flow, path)
        if is_direct(binding):
            return Way(self._network.way_to("udp", binding.flow.remote), path)
        hop, key = self._hop(binding, owner), self._nodes.key()
        if hop is None or not key:
            return None
        theirs, ours = hop
        named = secrets.token_hex(_TOKEN_BYTES), secrets.token_hex(_TOKEN_BYTES)
        passage = Passage(binding.agent, contact_name(binding.agent, binding.key), ours)
        route = route_to(theirs, token_of(passage, key, *named))
        return Way(self._network.way_to(theirs.transport, theirs.remote), (route, *path), named)

    def _hop(self, binding: Binding, owner: str) -> tuple[Flow, Flow] | None:
        """The addresses of the node that holds the flow and of ours, by a transport that both have."""
        theirs = self._nodes.facts_of(owner)
        if theirs is None:
            return None
        for transport in IN_SECRET if binding.flow.transport in _WITH_KEYS else BETWEEN_NODES:
            far, near = theirs.at(transport), self._nodes.facts.at(transport)
            if far is not None and near is not None:
                self._expect(theirs, far)
                return far, near
        return None

    def _expect(self, facts: NodeFacts, address: Flow) -> None:
        if address.transport == "tls":
            self._network.expect_name(address.remote, facts.name or address.remote[0])

    # For other nodes.

    def as_edge(self, believed: Callable[[Flow], None]) -> EdgeOwner:
        """What the edge asks of this node."""
        return EdgeOwner(self._nodes.key, self._flow_of, self._way_to_node, believed)

    def _flow_of(self, agent: str, contact: str) -> Flow | None:
        for binding in self._bindings.lookup(agent):
            is_ours = not self._bindings.owner(binding)
            if is_ours and contact_name(agent, binding.key) == contact:
                return binding.flow
        return None

    def _way_to_node(self, node: Flow) -> Flow:
        return self._network.way_to(node.transport, node.remote)
