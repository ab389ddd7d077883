"""From the arrival of a call to its place in a queue: the number, and the flow that it leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.facts import CallStarted
from acd.calls.model import (
    ApplyCallerAnswer,
    Call,
    CallArrived,
    CallbackAnswered,
    CallerConfirmed,
    CallerMediaRefused,
    DigitPressed,
    Effect,
    EndMessage,
    EnterQueue,
    MakeCallback,
    NoteCallback,
    OpenCallerMedia,
    Place,
    PlaybackOver,
    PlayEcho,
    PlayMusic,
    PlaySilence,
    PlayToCaller,
    Reached,
    RecordingOver,
    RefuseCaller,
    Side,
    StartTimer,
    State,
    StopTimer,
    Tell,
    Timer,
    TimerFired,
    entry_of_maker,
)
from acd.calls.record import Outcome
from acd.calls.steps import messages
from acd.calls.steps.coding import carry_out, flow_of, is_code
from acd.calls.steps.context import EXTENSION_QUEUE, Context, Step, enter, voicemail_flow
from acd.calls.steps.ending import end
from acd.calls.steps.knowing import as_listed, refusal, turn_away, what_to_ask
from acd.calls.steps.noting import callback_order
from acd.calls.steps.tickets import ticket_of_seated
from acd.calls.steps.waiting import wait_at
from acd.directory.model import Number
from ivr import interpreter as ivr
from ivr.flow import FlowDefinition
from routing.model import Offer


def on_arrival(context: Context, call: Call, event: CallArrived, now: float) -> Step:
    """Take the call in where its number leads somewhere."""
    number = context.directory.numbers.get(call.called)
    if number is None and extension_of(context, call) is None and not is_code(context, call):
        call, effects = end(call, now, side="system", cause="unknown-number", outcome="rejected")
        return call, (RefuseCaller(404), *effects)
    call = replace(call, language=context.default_language)
    if number is not None:
        call = replace(
            call,
            language=number.language or call.language,
            skills=dict(number.skills),
            priority=number.priority,
        )
    if number is not None and event.lists:
        call = as_listed(context, replace(call, lists=event.lists))
        if status := refusal(context, event.lists):
            return turn_away(call, status, now)
    asked = what_to_ask(context, call, now) if number is not None else ()
    call = enter(replace(call, asking=bool(asked)), State.NEW, now)
    return call, (Tell(CallStarted(call.id, call.trunk)), OpenCallerMedia(event.offer), *asked)


def extension_of(context: Context, call: Call) -> str | None:
    """The agent whose extension was dialled; only agents dial extensions."""
    agent = context.directory.agent_by_extension.get(call.called) if call.from_agent else None
    return agent.id if agent else None


def on_media_refused(context: Context, call: Call, event: CallerMediaRefused, now: float) -> Step:
    call, effects = end(call, now, side="system", cause=event.cause, outcome="rejected")
    side = Side.AGENT if call.is_outgoing else Side.CALLER
    return call, (RefuseCaller(event.status, side), *effects)


def on_confirmed(context: Context, call: Call, event: CallerConfirmed, now: float) -> Step:
    """The caller is on the line: start what the number leads to."""
    answer: tuple[Effect, ...] = (ApplyCallerAnswer(event.sdp),) if event.sdp else ()
    number = context.directory.numbers.get(call.called)
    if number is None and (flow := flow_of(context, call)):
        number = Number(call.called, flow=flow)
    if number is None and is_code(context, call):
        call, effects = carry_out(context, call, now)
        return call, answer + effects
    reserve: tuple[Effect, ...] = ()
    if call.from_agent:
        call, reserve = reserve_maker(context, call, now)
    if number is None:
        call, effects = wait_at(context, call, Place(EXTENSION_QUEUE, agent=extension_of(context, call)), now)
    else:
        wanted = dc_replace(number, queue=call.goes_to, flow=None) if call.goes_to else number
        call, effects = go_to_number(context, call, wanted, now)
    return call, (*answer, *reserve, *effects)


def reserve_maker(context: Context, call: Call, now: float) -> tuple[Call, tuple[Effect, ...]]:
    """An agent calls somebody here, or a queue or flow: no other call is to ring them meanwhile."""
    entry = entry_of_maker(call.id)
    offer = Offer(entry, call.from_agent, EXTENSION_QUEUE, token=0, deadline_ms=0)
    place = Place(EXTENSION_QUEUE, agent=call.from_agent, own=True)
    call = replace(call, seated=Reached(offer, place, entry), enqueued_at=now)
    return call, (EnterQueue(ticket_of_seated(context, call)),)


def go_to_number(context: Context, call: Call, number: Number, now: float) -> Step:
    """Into the queue or the flow of a number."""
    if number.queue is not None:
        return wait_at(context, call, Place(number.queue), now)
    return _start_flow(context, call, number.flow or "", now)


def leave_message(context: Context, call: Call, box: str, now: float) -> Step:
    """Let the caller leave a message for a box: `agent:`, `extension:`, `queue:` or `box:` and its name."""
    return _start_flow(context, call, voicemail_flow(box), now)


def _start_flow(context: Context, call: Call, name: str, now: float) -> Step:
    flow = context.flow(name)
    if flow is None:
        return end(call, now, side="system", cause="unknown-flow", outcome="failed")
    return go_to_flow(context, call, flow, now)


def go_to_flow(context: Context, call: Call, flow: FlowDefinition, now: float) -> Step:
    """Into a flow from its beginning."""
    rules = context.directory.queues.values()
    open_to = [queue.name for queue in rules if queue.callback and queue.callback.numbers]
    run, commands = ivr.start(
        flow,
        call.language,
        call.skills,
        call.priority,
        languages=call.languages,
        agent=call.preferred,
        number=call.caller,
        enter_for=open_to,
    )
    return obey(context, enter(call, State.IVR, now), run, commands, now)


# The flow.


def on_flow_playback_over(context: Context, call: Call, event: PlaybackOver, now: float) -> Step:
    return _feed(context, call, ivr.PromptsEnded(event.playback), now)


def on_flow_digit(context: Context, call: Call, event: DigitPressed, now: float) -> Step:
    return _feed(context, call, ivr.DigitPressed(event.digit), now)


def on_flow_callback(context: Context, call: Call, event: CallbackAnswered, now: float) -> Step:
    """Whether the caller will be called back, who is in a flow."""
    call = replace(call, called_back=call.called_back or event.result is not ivr.Noted.REFUSED)
    call, effects = _feed(context, call, ivr.CallbackNoted(event.step, event.result), now)
    return call, (MakeCallback(), *effects) if event.result is ivr.Noted.NOTED else effects


def on_flow_recording_over(context: Context, call: Call, event: RecordingOver, now: float) -> Step:
    """A message is taken, or is none."""
    found = messages.over(call, event)
    if found is None or call.run is None:
        return call, ()
    step = call.run.step
    call, left = found
    return _feed(context, call, ivr.MessageLeft(step, left), now)


def on_flow_timer(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    return _feed(context, call, ivr.TimerFired(event.serial), now)


def _feed(context: Context, call: Call, event: ivr.Event, now: float) -> Step:
    flow = context.flow(call.run.flow) if call.run else None
    if flow is None or call.run is None:
        return end(call, now, side="system", cause="unknown-flow", outcome="failed")
    run, commands = ivr.feed(flow, call.run, event)
    return obey(context, call, run, commands, now)


def obey(context: Context, call: Call, run: ivr.Run, commands: Sequence[ivr.Command], now: float) -> Step:
    """Turn the flow's commands into effects; the last one may take the call out of the flow."""
    call = replace(
        call,
        run=run,
        language=run.language,
        languages=run.languages,
        skills=dict(run.skills),
        priority=run.priority,
        preferred=run.agent,
    )
    effects: list[Effect] = []
    for command in commands:
        match command:
            case ivr.PlayPrompts(step, prompts, language):
                effects.append(PlayToCaller(step, prompts, language))
            case ivr.StopPrompts():
                effects.append(PlaySilence(Side.CALLER))
            case ivr.StartTimer(step, seconds):
                effects.append(StartTimer(Timer.IVR, seconds, step))
            case ivr.NoteCallback(step, queue, number):
                order = callback_order(context, call, queue, number, now)
                if order is None:
                    call, more = _feed(context, call, ivr.CallbackNoted(step, ivr.Noted.REFUSED), now)
                    return call, (*effects, *more)
                effects.append(NoteCallback(order, step))
            case ivr.PlayGreeting() | ivr.RecordMessage():
                call, more = _take_message(context, call, command, now)
                return call, (*effects, *more)
            case ivr.EndMessage():
                effects.append(EndMessage())
            case ivr.PlayEcho():
                call = replace(call, served=True)
                effects.append(PlayEcho())
            case ivr.PlayMusic():
                call = replace(call, served=True)
                effects.append(PlayMusic(Side.CALLER, context.default_music))
            case ivr.EnterQueue() | ivr.TransferCall() | ivr.EndCall():
                call, more = _leave_flow(context, call, command, now)
                return call, (*effects, StopTimer(Timer.IVR), *more)
    return call, tuple(effects)


def _take_message(
    context: Context, call: Call, command: ivr.PlayGreeting | ivr.RecordMessage, now: float
) -> Step:
    if isinstance(command, ivr.PlayGreeting):
        if (said := messages.greeting(context, command)) is not None:
            return call, (said,)
    elif (taken := messages.take(context, call, command, now)) is not None:
        call, effect = taken
        return call, (effect,)
    return _feed(context, call, ivr.MessageLeft(command.step, ivr.Left.FAILED), now)


def _leave_flow(
    context: Context, call: Call, command: ivr.EnterQueue | ivr.TransferCall | ivr.EndCall, now: float
) -> Step:
    match command:
        case ivr.EnterQueue(queue):
            return wait_at(context, call, Place(queue), now)
        case ivr.TransferCall(step, to):
            return _transfer(context, call, step, to, now)
        case ivr.EndCall():
            outcome: Outcome = "callback" if call.called_back else "completed"
            if messages.has_left_message(call, now) and not call.called_back:
                outcome = "voicemail"
            return end(call, now, side="system", cause="normal", outcome=outcome)


def _transfer(context: Context, call: Call, step: int, to: str, now: float) -> Step:
    kind, _, target = to.partition(":")
    if kind == "extension" and (agent := context.directory.agent_by_extension.get(target)):
        place = Place(EXTENSION_QUEUE, agent=agent.id, transfer_step=step)
        return wait_at(context, call, place, now)
    if kind == "number" and (number := context.directory.numbers.get(target)):
        return go_to_number(context, call, number, now)
    return fail_transfer(context, call, step, now)


def fail_transfer(context: Context, call: Call, step: int, now: float) -> Step:
    """A transfer of the flow reached nobody: the flow says how to go on."""
    return _feed(context, call, ivr.TransferFailed(step), now)
