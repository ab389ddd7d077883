"""What a step may look at beside the call: the configuration that the call began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from acd.agents.terms import SKILL_QUEUE
from acd.calls.model import Call, Effect, State
from acd.calls.record import Segment
from acd.directory.model import Directory, Queue
from ivr.flow import FlowDefinition, HangUp, Voicemail

Step = tuple[Call, tuple[Effect, ...]]

EXTENSION_QUEUE = "extension"
"""Where a call to one agent by extension waits; no queue of the directory."""

OUTBOUND_QUEUE = "outbound"
"""What calls to the outside count under; no queue of the directory."""

NO_QUEUES = frozenset({EXTENSION_QUEUE, OUTBOUND_QUEUE, SKILL_QUEUE})

_EXTENSION_RULES = Queue(name=EXTENSION_QUEUE, ring_seconds=25.0, max_wait_seconds=30.0)

_MESSAGE = "message/"


def message_flow(queue: str, rule: int) -> str:
    """The name of the smallest flow: what who leaves a queue by this rule hears, and then the end.

    No file of a flow can have such a name.
    """
    return f"{_MESSAGE}{queue}/{rule}"


_VOICEMAIL = "voicemail/"


def voicemail_flow(box: str) -> str:
    """The name of the flow of a caller who is sent to a box; no file of a flow can have such a name."""
    return _VOICEMAIL + box


@dataclass(frozen=True, slots=True)
class Context:
    """One snapshot of the configuration; a call keeps the one that it began with."""

    directory: Directory
    flows: Mapping[str, FlowDefinition]
    default_language: str = "en"
    default_music: str = "hold-music"

    def flow(self, name: str) -> FlowDefinition | None:
        """A flow by its name, or by that of a box (voicemail_flow) or a message (message_flow)."""
        if name.startswith(_VOICEMAIL):
            return FlowDefinition(name, "leave", {"leave": Voicemail(name.removeprefix(_VOICEMAIL))})
        if not name.startswith(_MESSAGE):
            return self.flows.get(name)
        _, queue, rule = name.split("/")
        rules = self.directory.queues[queue].rules if queue in self.directory.queues else ()
        if int(rule) >= len(rules):
            return None
        return FlowDefinition(name, "say", {"say": HangUp(rules[int(rule)].message)})

    def queue(self, name: str) -> Queue | None:
        """The rules of a queue, or None where the directory no longer has it."""
        if name == EXTENSION_QUEUE:
            return _EXTENSION_RULES
        if name in (OUTBOUND_QUEUE, SKILL_QUEUE):
            return Queue(name, wrapup_seconds=self.directory.dialling.wrapup_seconds)
        return self.directory.queues.get(name)


def enter(call: Call, state: State, now: float) -> Call:
    """The call in a new state, with the change noted for its record."""
    segment = Segment(state=state.value, at=now, queue=call.queue, agent=call.agent)
    return replace(call, state=state, segments=(*call.segments, segment))
