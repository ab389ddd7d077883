"""Which way a call to an outside number goes, and what number it shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acd.calls.model import Call
from acd.directory.model import Directory


def ways_out(directory: Directory, wanted: str) -> Sequence[str]:
    """The trunks that calls can go out over; the wanted one first."""
    names = [trunk.name for trunk in directory.trunks.values() if trunk.hosts]
    return sorted(names, key=lambda name: name != wanted)


def about(directory: Directory, call: Call) -> Mapping[str, str]:
    """What a header of a trunk may tell of the call: its attributes, and each of CALL_WORDS."""
    agent = directory.agents.get(call.agent or call.from_agent)
    own = {
        "agent": agent.id if agent else "",
        "call": call.id,
        "called": call.called,
        "caller": call.caller,
        "extension": agent.extension if agent else "",
        "language": call.language,
        "queue": call.queue,
        "team": agent.team if agent else "",
    }
    return {**call.attributes, **own}


def shown_number(directory: Directory, call: Call) -> str:
    """What the customer had dialled; else a number of the queue, else any of ours."""
    if call.called:
        return call.called
    of_queue = (number.number for number in directory.numbers.values() if number.queue == call.queue)
    return next(of_queue, next(iter(directory.numbers), ""))
