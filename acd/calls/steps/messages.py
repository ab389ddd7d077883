"""Taking a voice message: what the caller hears before the tone, how long it may be, what came of it."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.messages import LEAST_SOUND_SECONDS, NewMessage
from acd.calls.model import Call, PlayToCaller, RecordingOver, TakeMessage
from acd.calls.steps.context import Context
from acd.directory.boxes import box_of_agent, find_box, rules_of
from ivr import interpreter as ivr
from ivr.flow import Transfer

USUAL_GREETING = ("voicemail-greeting",)
_TONE = "beep"


def greeting(context: Context, command: ivr.PlayGreeting) -> PlayToCaller | None:
    """What is played; None where the box takes no messages."""
    rules = rules_of(context.directory, find_box(context.directory, command.box) or "")
    if rules is None:
        return None
    prompts = command.greeting or rules.greeting or USUAL_GREETING
    return PlayToCaller(command.step, (*prompts, _TONE), command.language)


def take(
    context: Context, call: Call, command: ivr.RecordMessage, now: float
) -> tuple[Call, TakeMessage] | None:
    """Begin to record; None where the box takes no messages."""
    box = find_box(context.directory, command.box) or ""
    rules = rules_of(context.directory, box)
    if rules is None:
        return None
    message = NewMessage(
        id=f"{call.id}-{command.step}",
        box=box,
        call_id=call.id,
        caller=call.caller,
        caller_name=call.caller_name,
        called=call.called,
        queue=call.queue if call.queue in context.directory.queues else "",
        received_at=now,
    )
    longest = min(rules.max_seconds, command.max_seconds or rules.max_seconds)
    effect = TakeMessage(message, longest, rules.silence_seconds)
    return replace(call, recording=message.id, recording_since=now), effect


def box_instead(context: Context, call: Call) -> str | None:
    """The box of the one agent whom the call waits for, who does not take it; None: nothing is taken there.

    A flow that says how to go on without the agent goes on by itself.
    """
    place = call.place
    if place is None or place.agent is None or call.callback is not None:
        return None
    flow = context.flow(call.run.flow) if call.run and place.transfer_step is not None else None
    node = flow.nodes.get(call.run.node) if flow and call.run else None
    if isinstance(node, Transfer) and node.otherwise is not None:
        return None
    return find_box(context.directory, box_of_agent(place.agent))


def longest_wait(context: Context, call: Call, seconds: float | None) -> float | None:
    """How long the caller waits: where the agent's box takes over, as long as the box says."""
    if call.place is None or call.place.is_transfer:
        return seconds
    rules = rules_of(context.directory, box_instead(context, call) or "")
    return seconds if rules is None else min(rules.wait_seconds, seconds or rules.wait_seconds)


def over(call: Call, event: RecordingOver) -> tuple[Call, ivr.Left] | None:
    """What came of a recording; None for one that is not the call's any more."""
    if event.recording != call.recording:
        return None
    call = replace(call, recording="", recording_since=None)
    if event.why == "full":
        return call, ivr.Left.FULL
    if event.sound_seconds >= LEAST_SOUND_SECONDS:
        return replace(call, messages=call.messages + 1), ivr.Left.LEFT
    return call, ivr.Left.FAILED if event.why in ("failed", "disk-full") else ivr.Left.EMPTY


def has_left_message(call: Call, now: float) -> bool:
    """Also one that the caller leaves by hanging up."""
    since = call.recording_since
    return call.messages > 0 or (since is not None and now - since >= LEAST_SOUND_SECONDS)
