"""What the agents' phones do in a call, for the lamps of others."""

from __future__ import annotations

from acd.calls.model import Call, State
from acd.sip.watching import LampState, PhoneState

_UNANSWERED = frozenset({State.NEW, State.ANSWERING})
_OF_AGENT: dict[State, LampState] = {
    State.OFFERED: "early",
    State.CONNECTING: "confirmed",
    State.TALKING: "confirmed",
}
_CALLS_OUT = frozenset({State.NEW, State.CALLING})


def agents_outside(call: Call) -> frozenset[str]:
    """Agents who have, or are about to have, a call to the outside by this one."""
    if call.outside is None or call.state is State.ENDED:
        return frozenset()
    agents = {call.agent, call.transferor.agent if call.transferor else ""}
    if call.state is State.NEW:
        agents.add(call.from_agent)
    return frozenset(agents - {""})


def phones_of(call: Call) -> tuple[PhoneState, ...]:
    """The agents on the phone in this call; nobody where it is over."""
    if call.state is State.ENDED:
        return ()
    found = []
    if call.is_outgoing and call.state in _CALLS_OUT:
        found.append(PhoneState(call.from_agent, "trying", is_caller=True))
    elif call.from_agent and not call.is_outgoing:
        state: LampState = "trying" if call.state in _UNANSWERED else "confirmed"
        found.append(PhoneState(call.from_agent, state, is_caller=True))
    if call.state is State.DIALLING and call.agent_first:
        found.append(PhoneState(call.agent, "confirmed", is_caller=False))
    elif call.agent and (ringing := _OF_AGENT.get(call.state)):
        rung = (call.agent, *(offer.agent_id for offer in call.rivals))
        made = call.is_outgoing
        found += (PhoneState(a, ringing, is_caller=made and a == call.from_agent) for a in rung)
    if call.transferor is not None:
        found.append(PhoneState(call.transferor.agent, "confirmed", is_caller=False))
    return tuple(phone for phone in found if phone.agent)
