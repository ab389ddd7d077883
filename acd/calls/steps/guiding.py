"""From the arrival of a call to its place in a queue: number, flow, queue, and giving up the wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.facts import CallQueued, CallStarted
from acd.calls.model import (
    ApplyCallerAnswer,
    AskPosition,
    AskSituation,
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
    PositionKnown,
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
from acd.calls.steps.needs import first_needs, opened, requirement_of, steps_of
from acd.calls.steps.noting import callback_order
from acd.calls.steps.preferring import prefer
from acd.directory.model import Number, Queue
from ivr import interpreter as ivr
from ivr.flow import FlowDefinition
from ivr.speech import digit_prompts, is_worth_saying, position_prompts, rounded_wait, wait_prompts
from routing.model import HIGHEST_PRIORITY, Offer, Requirement, Ticket
from routing.model import Step as RoutingStep
from routing.overflow import asks_who_joins, next_time

ANNOUNCEMENT = -1
"""The playback number of what a waiting caller is told; a flow's playbacks are its steps, from 0."""

_FIRST_ANNOUNCEMENT_SECONDS = 2.0


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
    if number is not None:
        wanted = dc_replace(number, queue=call.goes_to, flow=None) if call.goes_to else number
        call, effects = go_to_number(context, call, wanted, now)
    elif is_code(context, call):
        call, effects = carry_out(context, call, now)
    else:
        call, reserve = reserve_maker(context, call, now)
        place = Place(EXTENSION_QUEUE, agent=extension_of(context, call))
        call, effects = wait_at(context, call, place, now)
        effects = reserve + effects
    return call, answer + effects


def reserve_maker(context: Context, call: Call, now: float) -> Step:
    """An agent calls somebody here: no other call is to ring them meanwhile."""
    entry = entry_of_maker(call.id)
    offer = Offer(entry, call.from_agent, EXTENSION_QUEUE, token=0, deadline_ms=0)
    place = Place(EXTENSION_QUEUE, agent=call.from_agent, own=True)
    call = replace(call, seated=Reached(offer, place, entry), enqueued_at=now)
    return call, (EnterQueue(ticket_of_seated(context, call)),)


def ticket_of_seated(context: Context, call: Call) -> Ticket:
    """The entry of the agent on the caller's side."""
    if call.seated is None:
        raise ValueError("nobody of ours sits on the caller's side")
    return ticket_of(context, replace(call, place=call.seated.place, ticket=call.seated.ticket))


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


# The queue.


STOP_WAITING = (StopTimer(Timer.ANNOUNCE), StopTimer(Timer.LONGEST_WAIT), StopTimer(Timer.OVERFLOW))


def new_entry(call: Call) -> Call:
    """The next place is another entry of the store: the one before may still be in a conversation."""
    count = call.transfers + 1
    age = call.ranked_at if call.ranked_at is not None else call.enqueued_at
    return replace(call, transfers=count, ticket=f"{call.id}~{count}", ranked_at=age)


def wait_at(context: Context, call: Call, place: Place, now: float) -> Step:
    """Put the call in a place of the store."""
    rules = context.queue(place.queue)
    if rules is None:
        return end(call, now, side="system", cause="unknown-queue", outcome="failed")
    call, place = prefer(context, call, place, now)
    call = replace(
        call, place=place, enqueued_at=now, announced=False, told_wait=0, spent_rules=(), served=False
    )
    call = enter(call, State.QUEUED, now)
    ticket = ticket_of(context, call)
    if call.awaits_customer:
        return call, (EnterQueue(ticket),)
    effects: list[Effect] = [
        PlayMusic(Side.CALLER, rules.music),
        EnterQueue(ticket),
        Tell(CallQueued(call.id, place.queue, ticket)),
    ]
    if rules.announce_position_seconds > 0 and place.agent is None:
        effects.append(StartTimer(Timer.ANNOUNCE, _FIRST_ANNOUNCEMENT_SECONDS))
    if (longest := messages.longest_wait(context, call, rules.max_wait_seconds)) is not None:
        effects.append(StartTimer(Timer.LONGEST_WAIT, longest))
    return call, (*effects, *_await_overflow(rules))


def _await_overflow(rules: Queue) -> tuple[Effect, ...]:
    conditions = [rule.when for rule in rules.rules]
    first = next_time(conditions, 0.0)
    timer = () if first is None else (StartTimer(Timer.OVERFLOW, first),)
    return (*timer, AskSituation()) if asks_who_joins(conditions) else timer


def ticket_of(context: Context, call: Call) -> Ticket:
    """The call's entry in the store, the same each time, so that it can be said again."""
    if call.place is None or call.enqueued_at is None:
        raise ValueError("a call that waits nowhere has no ticket")
    rules = context.queue(call.place.queue)
    if rules is None:
        raise ValueError(f"queue {call.place.queue!r} is not in this call's directory")
    known = context.directory.skills
    needs = first_needs(rules, call.skills, call.speaks, known)
    requirement, steps = requirement_of(rules, needs), steps_of(rules, needs, known)
    if call.place.leads:
        requirement, steps = _for_leads(call.place, requirement, steps)
    if call.place.agent:
        requirement, steps = Requirement(call.place.queue, agent=call.place.agent, weight=rules.weight), ()
    elif call.place.preferred:
        # From coming here, whatever age the call has kept.
        until = call.enqueued_at + call.place.preferred_seconds - _age_counts_from(call)
        steps = (RoutingStep(round(until * 1000), requirement), *steps)
        requirement = Requirement(
            rules.name, strategy=rules.strategy, agent=call.place.preferred, weight=rules.weight
        )
    ring_seconds = rules.ring_seconds
    if call.awaits_customer and call.callback is not None and not call.agent_first:
        # The agent is held while the customer is called, and only then rung.
        ring_seconds += call.callback.ring_seconds
    by_target = rules.order_by == "target"
    # Until the agent ends it, and at most to its limit.
    ended = rules.wrapup_mode == "until-ended"
    first_wrapup = rules.wrapup_limit_seconds if ended else rules.wrapup_seconds
    return Ticket(
        call_id=call.entry,
        node=call.node,
        requirement=requirement,
        enqueued_ms=round(_age_counts_from(call) * 1000),
        # Nobody has the agent but who they are calling.
        priority=HIGHEST_PRIORITY if call.place.own else call.priority,
        ring_ms=round(ring_seconds * 1000),
        wrapup_ms=round(first_wrapup * 1000),
        wrapup_limit_ms=round(rules.wrapup_limit_seconds * 1000) if rules.wrapup_mode != "fixed" else 0,
        target_ms=round(rules.service_level_seconds * 1000) if by_target else 0,
        steps=steps,
        ring_agents=1 if call.callback else rules.ring_agents,
        passes_over="" if call.place.agent else call.sent_on_by,
        own=call.place.own,
    )


def _for_leads(
    place: Place, asked: Requirement, steps: tuple[RoutingStep, ...]
) -> tuple[Requirement, tuple[RoutingStep, ...]]:
    def for_leads(requirement: Requirement) -> Requirement:
        return opened(requirement, place.leads, place.leads_alone)

    later = () if place.leads_alone else steps
    return for_leads(asked), tuple(dc_replace(s, requirement=for_leads(s.requirement)) for s in later)


def _age_counts_from(call: Call) -> float:
    return (call.enqueued_at or 0.0) if call.ranked_at is None else call.ranked_at


def on_announcement_due(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    rules = context.queue(call.queue)
    if rules is None or rules.announce_position_seconds <= 0:
        return call, ()
    again = StartTimer(Timer.ANNOUNCE, rules.announce_position_seconds)
    # While an agent rings, the music goes on: the next word the caller hears should be the agent's.
    told = call.state is State.QUEUED and call.menu is None
    return call, (AskPosition(), again) if told else (again,)


def on_position(context: Context, call: Call, event: PositionKnown, now: float) -> Step:
    if call.menu is not None:
        return call, ()
    rules = context.queue(call.queue)
    says = rules.announce_wait if rules else "never"
    prompts = () if says == "instead" else position_prompts(event.position)
    if not call.announced:
        prompts = ("please-wait", *prompts)
    if says != "never" and event.expected_seconds is not None:
        minutes = rounded_wait(event.expected_seconds)
        if is_worth_saying(minutes, call.told_wait):
            prompts, call = (*prompts, *wait_prompts(minutes)), replace(call, told_wait=minutes)
    if rules and rules.callback and rules.callback.digit:
        prompts = (*prompts, "callback-offer", *digit_prompts(rules.callback.digit))
    if not prompts:
        return call, ()
    return replace(call, announced=True), (PlayToCaller(ANNOUNCEMENT, prompts, call.language),)


def on_announcement_over(context: Context, call: Call, event: PlaybackOver, now: float) -> Step:
    rules = context.queue(call.queue)
    return call, (PlayMusic(Side.CALLER, rules.music if rules else context.default_music),)
