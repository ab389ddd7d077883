"""Which voicemail boxes there are, what they are called, and who may listen. Pure.

A box is named `agent:` and an agent's id, `queue:` and a queue, or `box:` and one of the shared boxes.
Flows may also say `extension:` and an agent's extension.
"""

from __future__ import annotations

from collections.abc import Iterator

from acd.directory.model import Agent, Directory, VoicemailRules

KINDS = ("agent", "queue", "box")


def box_of_agent(agent_id: str) -> str:
    return f"agent:{agent_id}"


def find_box(directory: Directory, named: str) -> str | None:
    """The name of a box as the service keeps it; None where there is no such box."""
    kind, _, name = named.partition(":")
    if kind == "extension":
        agent = directory.agent_by_extension.get(name)
        kind, name = "agent", agent.id if agent else ""
    box = f"{kind}:{name}"
    return box if rules_of(directory, box) is not None else None


def rules_of(directory: Directory, box: str) -> VoicemailRules | None:
    """None where the directory has no such box, or no longer."""
    kind, _, name = box.partition(":")
    if kind == "agent" and (agent := directory.agents.get(name)):
        return agent.voicemail
    if kind == "queue" and (queue := directory.queues.get(name)):
        return queue.voicemail
    if kind == "box" and (shared := directory.boxes.get(name)):
        return shared.rules
    return None


def may_listen(directory: Directory, box: str, agent: Agent) -> bool:
    rules = rules_of(directory, box)
    if rules is None:
        return False
    named = agent.id in rules.agents or (agent.team != "" and agent.team in rules.teams)
    return named or box == box_of_agent(agent.id)


def all_boxes(directory: Directory) -> Iterator[str]:
    """Every box that takes messages."""
    for agent in directory.agents.values():
        if agent.voicemail is not None:
            yield box_of_agent(agent.id)
    for queue in directory.queues.values():
        if queue.voicemail is not None:
            yield f"queue:{queue.name}"
    yield from (f"box:{name}" for name in directory.boxes)


def box_dialled(directory: Directory, dialled: str) -> str | None:
    """The shared box that the code for voicemail and its number lead to."""
    codes = (code.code for code in directory.codes.values() if code.does == "voicemail")
    boxes = (box_by_number(directory, dialled[len(code) :]) for code in codes if dialled.startswith(code))
    return next((box for box in boxes if box), None)


def box_by_number(directory: Directory, number: str) -> str | None:
    """The shared box that is dialled so."""
    return next(
        (f"box:{box.name}" for box in directory.boxes.values() if number and box.number == number), None
    )
