"""Standing in a queue: the place, the timers of the wait, and what the caller is told meanwhile."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.facts import CallQueued
from acd.calls.model import (
    AskPosition,
    AskSituation,
    Call,
    Effect,
    EnterQueue,
    Place,
    PlaybackOver,
    PlayMusic,
    PlayToCaller,
    PositionKnown,
    Side,
    StartTimer,
    State,
    StopTimer,
    Tell,
    Timer,
    TimerFired,
)
from acd.calls.steps import messages
from acd.calls.steps.context import Context, Step, enter
from acd.calls.steps.ending import end
from acd.calls.steps.preferring import prefer
from acd.calls.steps.tickets import ticket_of
from acd.directory.model import Queue
from ivr.speech import digit_prompts, is_worth_saying, position_prompts, rounded_wait, wait_prompts
from routing.overflow import asks_who_joins, next_time

ANNOUNCEMENT = -1
"""The playback number of what a waiting caller is told; a flow's playbacks are its steps, from 0."""

_FIRST_ANNOUNCEMENT_SECONDS = 2.0

STOP_WAITING = (StopTimer(Timer.ANNOUNCE), StopTimer(Timer.LONGEST_WAIT), StopTimer(Timer.OVERFLOW))


def next_entry(call: Call) -> Call:
    """The next place is another entry of the store: a late word about the one before must not end it."""
    count = call.transfers + 1
    return replace(call, transfers=count, ticket=f"{call.id}~{count}")


def new_entry(call: Call) -> Call:
    """The same of a place that is as old as the one before, which may still be in a conversation."""
    age = call.ranked_at if call.ranked_at is not None else call.enqueued_at
    return replace(next_entry(call), ranked_at=age)


def wait_at(context: Context, call: Call, place: Place, now: float) -> Step:
    """Put the call in a place of the store."""
    rules = context.queue(place.queue)
    if rules is None:
        return end(call, now, side="system", cause="unknown-queue", outcome="failed")
    call, place = prefer(context, call, place, now)
    call = replace(
        call,
        place=place,
        enqueued_at=now,
        announced=False,
        told_wait=0,
        spent_rules=place.spent_rules,
        served=False,
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
    return call, (*effects, *_await_overflow(rules, place.spent_rules))


def _await_overflow(rules: Queue, spent: tuple[int, ...]) -> tuple[Effect, ...]:
    """Who comes back from where a rule had led does not join."""
    conditions = [rule.when for rule in rules.rules]
    first = next_time(conditions, 0.0, spent)
    timer = () if first is None else (StartTimer(Timer.OVERFLOW, first),)
    return (*timer, AskSituation()) if not spent and asks_who_joins(conditions) else timer


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
