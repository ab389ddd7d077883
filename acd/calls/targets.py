"""Where a call may be sent to: an agent's extension, a queue, a number of the directory or outside. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from acd.calls.outside import Outside
from acd.calls.outward import NoRoute, outside, outside_for_agent, written
from acd.directory.model import Directory
from acd.errors import AcdError


@dataclass(frozen=True, slots=True)
class AgentTarget:
    agent: str


@dataclass(frozen=True, slots=True)
class QueueTarget:
    queue: str


@dataclass(frozen=True, slots=True)
class NumberTarget:
    """A number of the directory that leads to a flow."""

    number: str


@dataclass(frozen=True, slots=True)
class OutsideTarget:
    """A number outside, which acd.calls.steps.reaching.forward sends a call to."""

    outside: Outside


Target = AgentTarget | QueueTarget | NumberTarget | OutsideTarget


class UnknownTarget(AcdError):
    """Nothing of the directory has that name or number."""

    sip_status = 404
    cause = "unknown-target"


class UnknownPreferred(AcdError):
    """The agent who should take the call is not in the directory."""

    sip_status = 404
    cause = "unknown-agent"


class TransferImpossible(AcdError):
    """The call is not in a state to be transferred, or not to this target."""

    sip_status = 403
    cause = "transfer-impossible"


def target_of(directory: Directory, to: str, *, by: str = "", shown: str = "") -> Target:
    """Read what was dialled: an extension, a number of ours or outside, or the name of a queue.

    `by` is the agent who transfers, with whose rights, and `shown` the number to show outside. Raises
    UnknownTarget, TransferImpossible, and acd.calls.outward.NotAllowed.
    """
    if agent := directory.agent_by_extension.get(to):
        if agent.id == by:
            raise TransferImpossible("an agent cannot transfer a call to themselves")
        return AgentTarget(agent.id)
    number = directory.numbers.get(to) or directory.numbers.get(written(directory, to))
    if number is not None:
        return QueueTarget(number.queue) if number.queue is not None else NumberTarget(number.number)
    if to in directory.queues:
        return QueueTarget(to)
    return OutsideTarget(_outside(directory, to, by, shown))


def _outside(directory: Directory, to: str, by: str, shown: str) -> Outside:
    try:
        if by:
            return outside_for_agent(directory, by, to, shown)
        return outside(directory, to, allowed=directory.dialling.operators, shown=shown)
    except NoRoute as error:
        raise UnknownTarget("there is no such extension, number or queue, and no route to it") from error
