"""What a waiting caller asks for meanwhile: a digit leads into a flow, beside the place in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from acd.calls.model import (
    Call,
    CallbackAnswered,
    DigitPressed,
    DropCallback,
    Effect,
    LeaveQueue,
    NoteCallback,
    PlaybackOver,
    PlayMusic,
    PlayToCaller,
    Side,
    StartTimer,
    State,
    StopTimer,
    Timer,
    TimerFired,
)
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.guiding import obey, on_flow_callback
from acd.calls.steps.messages import greeting
from acd.calls.steps.noting import callback_order
from acd.calls.steps.times import settle
from acd.calls.steps.waiting import ANNOUNCEMENT, STOP_WAITING, on_announcement_over
from ivr import interpreter as ivr


def on_waiting_digit(context: Context, call: Call, event: DigitPressed, now: float) -> Step:
    if call.menu is not None:
        return _feed(context, call, ivr.DigitPressed(event.digit), now)
    rules = context.queue(call.queue)
    wanted = rules.callback if rules else None
    if wanted is None or not wanted.digit or event.digit != wanted.digit or call.awaits_customer:
        return call, ()
    flow = context.flows.get(wanted.flow)
    if flow is None or call.callback is not None:
        return call, ()
    open_to = ("",) if wanted.numbers else ()
    run, commands = ivr.start(
        flow, call.language, call.skills, call.priority, number=call.caller, enter_for=open_to
    )
    return _obey(context, call, run, commands, now)


def on_waiting_playback_over(context: Context, call: Call, event: PlaybackOver, now: float) -> Step:
    if call.menu is not None and event.playback != ANNOUNCEMENT:
        return _feed(context, call, ivr.PromptsEnded(event.playback), now)
    return on_announcement_over(context, call, event, now)


def on_waiting_timer(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    return _feed(context, call, ivr.TimerFired(event.serial), now)


def on_waiting_callback(context: Context, call: Call, event: CallbackAnswered, now: float) -> Step:
    """Noted, or noted before: the caller waits no longer, and hears so in the flow."""
    if event.result is ivr.Noted.REFUSED:
        return _feed(context, call, ivr.CallbackNoted(event.step, event.result), now)
    if call.menu is None:
        return call, _drop(event)
    left = (LeaveQueue(call.entry, "released"), *STOP_WAITING)
    call = enter(replace(settle(call, now), run=call.menu, menu=None), State.IVR, now)
    call, effects = on_flow_callback(context, call, event, now)
    return call, left + effects


def on_needless_callback(context: Context, call: Call, event: CallbackAnswered, now: float) -> Step:
    """An agent was found while it was being noted."""
    return call, _drop(event)


def _drop(event: CallbackAnswered) -> tuple[Effect, ...]:
    return (DropCallback(event.id),) if event.result is ivr.Noted.NOTED else ()


def leave_menu(context: Context, call: Call) -> Step:
    """Back to the music: an agent is rung, or the caller thought better of it."""
    if call.menu is None:
        return call, ()
    rules = context.queue(call.queue)
    music = PlayMusic(Side.CALLER, rules.music if rules else context.default_music)
    return replace(call, menu=None), (StopTimer(Timer.IVR), music)


def _feed(context: Context, call: Call, event: ivr.Event, now: float) -> Step:
    flow = context.flow(call.menu.flow) if call.menu else None
    if flow is None or call.menu is None:
        return leave_menu(context, call)
    run, commands = ivr.feed(flow, call.menu, event)
    return _obey(context, call, run, commands, now)


def _obey(context: Context, call: Call, run: ivr.Run, commands: Sequence[ivr.Command], now: float) -> Step:
    """What such a flow can do: speak, listen, note a callback and take a message; anything else ends it."""
    call = replace(call, menu=run)
    effects: list[Effect] = []
    for command in commands:
        match command:
            case ivr.PlayPrompts(step, prompts, language):
                effects.append(PlayToCaller(step, prompts, language))
            case ivr.StopPrompts():
                pass
            case ivr.StartTimer(step, seconds):
                effects.append(StartTimer(Timer.IVR, seconds, step))
            case ivr.NoteCallback(step, queue, number):
                order = callback_order(context, call, queue, number, now)
                if order is None:
                    call, more = _feed(context, call, ivr.CallbackNoted(step, ivr.Noted.REFUSED), now)
                    return call, (*effects, *more)
                effects.append(NoteCallback(order, step))
            case ivr.PlayGreeting():
                call, more = _leave_message(context, call, command, now)
                return call, (*effects, *more)
            case _:
                call, more = leave_menu(context, call)
                return call, (*effects, *more)
    return call, tuple(effects)


def _leave_message(context: Context, call: Call, command: ivr.PlayGreeting, now: float) -> Step:
    """Who leaves a message waits no longer; where the box takes none, the caller stays in line."""
    run = call.menu
    if run is None or greeting(context, command) is None:
        return _feed(context, call, ivr.MessageLeft(command.step, ivr.Left.FAILED), now)
    left = (LeaveQueue(call.entry, "released"), *STOP_WAITING)
    call = enter(replace(settle(call, now), run=run, menu=None), State.IVR, now)
    call, effects = obey(context, call, run, (command,), now)
    return call, left + effects
