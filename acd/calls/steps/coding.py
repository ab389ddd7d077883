"""Calls to feature codes: do what the code says, confirm it with a prompt, hang up."""

from __future__ import annotations

from msgspec.structs import replace

from acd.agents.codes import find_code
from acd.calls.model import AskDesk, Call, DeskAnswered, PlayToCaller, State
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.ending import end
from acd.calls.steps.listening import open_mailbox

_CONFIRMATION = 0
"""The number of the one playback."""
_ECHO_FLOW = "echo"


def is_code(context: Context, call: Call) -> bool:
    """Whether an agent's phone has dialled a feature code."""
    return bool(call.from_agent) and find_code(context.directory, call.called) is not None


def flow_of(context: Context, call: Call) -> str | None:
    """The flow that a code starts; None for a code that is carried out at once."""
    found = find_code(context.directory, call.called)
    return _ECHO_FLOW if found and found[0].does == "echo" and _ECHO_FLOW in context.flows else None


def carry_out(context: Context, call: Call, now: float) -> Step:
    found = find_code(context.directory, call.called)
    if found is None or found[0].does == "echo":
        return end(call, now, side="system", cause="unknown-flow", outcome="failed")
    code, reason = found
    call = enter(replace(call, served=True), State.CODE, now)
    if code.does == "voicemail":
        return open_mailbox(context, call, reason)
    return call, (AskDesk(call.from_agent, code.does, reason),)


def on_desk_answered(context: Context, call: Call, event: DeskAnswered, now: float) -> Step:
    return call, (PlayToCaller(_CONFIRMATION, (event.prompt,), call.language),)
