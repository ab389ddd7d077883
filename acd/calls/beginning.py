"""Calls as they begin: somebody calls us, is to be called back, or an agent lets us dial. Pure."""

from __future__ import annotations

from typing import Protocol

from acd.calls.callbacks import CallbackOrder
from acd.calls.model import Call, Spoken
from acd.calls.outside import Outside
from acd.directory.model import Agent, Srtp
from acd.sip.core.refer import Replaces
from acd.sip.identity import Identity


class Arrival(Protocol):
    """A call that the SIP side let in."""

    @property
    def leg(self) -> str: ...
    @property
    def offer(self) -> bytes | None: ...
    @property
    def identity(self) -> Identity: ...
    @property
    def trunk(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def replaces(self) -> Replaces | None: ...
    @property
    def srtp(self) -> Srtp: ...


def call_in(arrival: Arrival, call_id: str, node: str, now: float) -> Call:
    """Somebody calls: over a trunk, or an agent."""
    identity = arrival.identity
    return Call(
        id=call_id,
        node=node,
        caller=identity.caller.number,
        caller_name=identity.caller.name,
        called=identity.called,
        trunk=arrival.trunk,
        from_agent=arrival.agent,
        started_at=now,
        diversions=identity.diversions,
        verstat=identity.verstat,
        withheld=identity.withheld,
        attributes=identity.attributes,
        extension=identity.caller.number if arrival.agent else "",
    )


def call_back(order: CallbackOrder, call_id: str, node: str, now: float) -> Call:
    """Somebody waits in line to be called, as old as their wish."""
    return Call(
        id=call_id,
        node=node,
        caller=order.number,
        caller_name=order.caller_name,
        called=order.called,
        trunk=order.trunk,
        from_agent="",
        started_at=now,
        language=order.language,
        languages=order.languages,
        skills=order.skills,
        attributes=order.attributes,
        priority=order.priority,
        preferred=order.preferred,
        spoke_with=tuple(Spoken(agent, at) for agent, at in order.spoke_with),
        ranked_at=order.enqueued_at,
        callback=order,
    )


def call_out(agent: Agent, outside: Outside, call_id: str, node: str, now: float, language: str) -> Call:
    """A number outside is called for an agent, whose phone rings first."""
    return Call(
        id=call_id,
        node=node,
        caller=outside.number,
        caller_name="",
        called=outside.number,
        trunk="",
        from_agent=agent.id,
        extension=agent.extension,
        started_at=now,
        is_outgoing=True,
        is_summoned=True,
        outside=outside,
        language=language,
    )
