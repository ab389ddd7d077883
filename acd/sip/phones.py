"""Agents' phones, at whichever node: which can be rung, and what happens to those that are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from acd.directory.devices import device_of
from acd.directory.model import Agent, Device, Directory, Srtp
from acd.errors import AcdError
from acd.sip.bindings import BindingStore
from acd.sip.contacts import Binding, one_flow_each
from acd.sip.core.dialog import MOST_HOPS
from acd.sip.core.events import LegEnded, LegEvent
from acd.sip.core.grammar import plain
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.endpoint import SipEndpoint
from acd.sip.identity import ANONYMOUS
from acd.sip.ringing import RingGroup
from acd.sip.screen import device_headers, display_name
from acd.sip.secrecy import srtp_over
from acd.sip.ways import Way, Ways

_MOST_PHONES = 8
"""Of one agent that are rung together."""


class AgentUnreachable(AcdError):
    """No phone of the agent is registered."""

    sip_status = 480
    cause = "unreachable"


@dataclass(frozen=True, slots=True)
class _Told:
    """What one phone is told of a call."""

    call_id: str
    number: str
    shown: str
    offer: bytes
    headers: tuple[tuple[str, str], ...]
    hops: int


class AgentPhones:
    """The phones of agents. Calls know a ringing agent by one leg, whichever phone answers."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        directory: Callable[[], Directory],
        bindings: BindingStore,
        ways: Ways,
        *,
        srtp_without_tls: bool,
    ) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._bindings = bindings
        self._ways = ways
        self._srtp_without_tls = srtp_without_tls
        self._groups: dict[str, RingGroup] = {}
        """By the leg that calls know, and by the leg of each phone."""

    def registered(self, agent_id: str) -> bool:
        """Whether some phone of the agent can be rung."""
        return agent_id in self._directory().agents and bool(self._bindings.lookup(agent_id))

    def registered_here(self, agent_id: str) -> bool:
        """Whether some phone of the agent is registered with this node."""
        return any(not self._bindings.owner(binding) for binding in self._bindings.lookup(agent_id))

    def is_up(self, node: str) -> bool:
        """Whether this is another node, and it lives."""
        return self._ways.is_up(node)

    async def written(self) -> None:
        """Return once the other nodes can know what phones have said to this one."""
        await self._bindings.written()

    def srtp_toward(self, agent_id: str) -> Srtp:
        """Whether an offer to the agent's phones names keys; only if each of them can be told in secret."""
        agent = self._directory().agents.get(agent_id)
        if agent is None:
            return "off"
        rules = {self._secrecy(agent, binding) for binding in self._contacts(agent)}
        return (rules.pop() if len(rules) == 1 else None) or "off"

    def _contacts(self, agent: Agent) -> list[Binding]:
        """The agent's contacts, newest first, that may be rung under their rules of encryption.

        All phones that ring together get one offer: those that must be encrypted ring without the others.
        """
        bound = one_flow_each(self._bindings.lookup(agent.id))
        ruled = [(binding, self._secrecy(agent, binding)) for binding in bound]
        strict = [binding for binding, rule in ruled if rule == "require"]
        return strict or [binding for binding, rule in ruled if rule is not None]

    def _device(self, agent: Agent, binding: Binding) -> Device:
        return device_of(self._directory(), agent, binding.user_agent)

    def _secrecy(self, agent: Agent, binding: Binding) -> Srtp | None:
        """None where the phone cannot be rung: not as secretly as it must be, or there is no way to it."""
        rule, transport = self._device(agent, binding).srtp, self._ways.transport(binding)
        return srtp_over(rule, transport, without_tls=self._srtp_without_tls) if transport else None

    def ring(
        self,
        leg: str,
        agent_id: str,
        *,
        offer: bytes,
        caller: str,
        caller_name: str,
        queue: str,
        call_id: str,
        hops: int = MOST_HOPS,
    ) -> None:
        """Ring all phones of the agent, the newest first; the first that answers has the call.

        `hops` is how much further the call may go. Raises AgentUnreachable.
        """
        agent = self._directory().agents.get(agent_id)
        contacts = self._contacts(agent) if agent is not None else []
        ways = [(binding, way) for binding in contacts if (way := self._ways.to(binding)) is not None]
        if not ways or agent is None:
            raise AgentUnreachable(f"agent {agent_id!r} has no phone that can be rung")
        user = caller or ANONYMOUS.number
        headers = (("X-ACD-Call-ID", call_id), ("X-ACD-Queue", queue))
        group = RingGroup(leg, agent)
        phones = [(group.add(), binding, way) for binding, way in ways[:_MOST_PHONES]]
        for phone, binding, way in phones:
            self._groups[phone] = group
            device = self._device(agent, binding)
            shown = plain(display_name(device, caller_name, user, queue))
            more = device_headers(device, number=caller, queue=queue, call_id=call_id)
            told = _Told(call_id, user, shown, offer, (*headers, *more), hops)
            self._ring_phone(phone, binding, way, agent, told)

    def _ring_phone(self, leg: str, binding: Binding, way: Way, agent: Agent, told: _Told) -> None:
        host = self._endpoint.host_for(way.flow)
        self._endpoint.invite(
            leg,
            uri=Uri.parse(binding.target),
            flow=way.flow,
            from_=NameAddr(Uri(host=host, user=told.number), told.shown),
            to=NameAddr(Uri(host=host, user=agent.extension), plain(agent.name)),
            contact_user="acd",
            sdp=told.offer,
            headers=(*way.route, *told.headers),
            named=way.named,
            hops=told.hops,
            call=told.call_id,
        )

    # What becomes of them.

    def has(self, leg: str) -> bool:
        """Whether this is the leg of a phone that was rung."""
        return leg in self._groups

    def agent_of(self, leg: str) -> str:
        """Whose phone it is, "" for another leg."""
        group = self._groups.get(leg)
        return group.agent.id if group else ""

    def known_as(self, leg: str) -> str:
        """The leg as calls know it."""
        group = self._groups.get(leg)
        return group.leg if group else leg

    def talking(self, leg: str) -> str:
        """The leg of the phone that has the call."""
        group = self._groups.get(leg)
        return group.answered or leg if group else leg

    def targets(self, leg: str) -> tuple[str, ...]:
        """The legs that a hang-up means: the phone that has the call, or all that ring."""
        group = self._groups.get(leg)
        return tuple(group.targets) if group else (leg,)

    def take(self, event: LegEvent) -> LegEvent | None:
        """Something happened to a phone; what calls are to hear of it."""
        group = self._groups[event.leg]
        outcome = group.take(event)
        if isinstance(event, LegEnded) and event.leg != group.leg:
            del self._groups[event.leg]
        if group.is_over:
            self._groups.pop(group.leg, None)
        for phone in outcome.hang_up:
            self._endpoint.hangup(phone, reason=outcome.reason)
        return outcome.told
