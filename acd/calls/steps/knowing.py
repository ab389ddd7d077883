"""What is found out about a caller before the call is answered."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import AnswerCaller, AskCaller, Call, CallerKnown, CallerMediaOpened, State
from acd.calls.steps.context import Context, Step, enter

_DAY_SECONDS = 86_400.0
_WITHHELD = frozenset({"", "anonymous"})


def what_to_ask(context: Context, call: Call, now: float) -> tuple[AskCaller, ...]:
    """Nothing where it makes no difference, or where there is no number to ask by."""
    if call.caller in _WITHHELD or call.from_agent:
        return ()
    days = [queue.last_agent.days for queue in context.directory.queues.values() if queue.last_agent]
    return (AskCaller(call.caller, now - max(days) * _DAY_SECONDS),) if days else ()


def on_caller_known(context: Context, call: Call, event: CallerKnown, now: float) -> Step:
    call = replace(call, asking=False, spoke_with=event.spoke_with)
    return _answer(replace(call, answer=b""), call.answer, now) if call.answer else (call, ())


def on_media_opened(context: Context, call: Call, event: CallerMediaOpened, now: float) -> Step:
    return (replace(call, answer=event.sdp), ()) if call.asking else _answer(call, event.sdp, now)


def _answer(call: Call, sdp: bytes, now: float) -> Step:
    return enter(call, State.ANSWERING, now), (AnswerCaller(sdp),)
