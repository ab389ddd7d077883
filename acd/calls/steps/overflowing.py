"""A caller leaves a queue for elsewhere, by the rules of the queue. Who cannot be sent there waits on."""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.facts import CallOverflowed
from acd.calls.model import (
    Call,
    ChangeNeeds,
    Effect,
    LeaveQueue,
    Place,
    PlayToCaller,
    SituationKnown,
    StartTimer,
    Tell,
    Timer,
    TimerFired,
)
from acd.calls.outward import NoRoute, outside, shown_number
from acd.calls.record import Segment
from acd.calls.steps.context import EXTENSION_QUEUE, Context, Step, message_flow
from acd.calls.steps.guiding import go_to_flow, leave_message
from acd.calls.steps.reaching import forward
from acd.calls.steps.tickets import ticket_of
from acd.calls.steps.times import settle
from acd.calls.steps.waiting import ANNOUNCEMENT, STOP_WAITING, new_entry, next_entry, wait_at
from acd.directory.boxes import find_box
from acd.directory.model import DIAL_CLASSES, OverflowRule
from routing.overflow import Situation, decide, next_time

MOST_OVERFLOWS = 10
"""How often one call goes elsewhere. Flows can lead in circles; the caller then stays where they are."""

_AFTER_MENU_SECONDS = 2.0


def on_time(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    """The caller has waited so long that a rule may hold by that alone."""
    return wait_on(context, call, now)


def on_situation(context: Context, call: Call, event: SituationKnown, now: float) -> Step:
    """What was asked of the place on joining it, or was seen to make a rule hold since."""
    if event.entry != call.entry:
        return call, ()
    return _go_by_rules(context, call, event.situation, now)


def wait_on(context: Context, call: Call, now: float) -> Step:
    """Go on waiting, as far as time alone decides."""
    return _go_by_rules(context, call, Situation(), now)


def _go_by_rules(context: Context, call: Call, situation: Situation, now: float) -> Step:
    queue, since = context.queue(call.queue), call.enqueued_at
    rules = queue.rules if queue else ()
    if not rules or since is None or call.callback is not None or call.transferor is not None:
        return call, ()
    if call.menu is not None:
        # Whoever is asking to be called back is let finish.
        return call, (StartTimer(Timer.OVERFLOW, _AFTER_MENU_SECONDS),)
    conditions = [rule.when for rule in rules]
    situation = dc_replace(situation, waited_seconds=0.0 if situation.joining else now - since)
    told: list[Effect] = []
    while (found := decide(conditions, situation, call.spent_rules)) is not None:
        rule = rules[found]
        call = replace(call, spent_rules=(*call.spent_rules, found))
        gone = _go(context, call, rule, found, now) if call.overflows < MOST_OVERFLOWS else None
        kind = "nowhere" if gone is None else "message-then-wait" if rule.then == "wait" else rule.kind
        told.append(Tell(CallOverflowed(call.id, call.queue, kind, rule.when.why)))
        if gone is not None:
            call, effects = gone
            told += effects
            if rule.leaves:
                return call, tuple(told)
    later = next_time(conditions, now - since, call.spent_rules)
    if later is not None:
        told.append(StartTimer(Timer.OVERFLOW, later - (now - since)))
    return call, tuple(told)


def _go(context: Context, call: Call, rule: OverflowRule, number: int, now: float) -> Step | None:
    """Where the rule leads; None where there is no such place."""
    if rule.leads:
        return _open_to_leads(context, call, rule, now)
    if not rule.leaves:
        call = replace(call, segments=(*call.segments, _mark(call, rule, now)))
        return call, (PlayToCaller(ANNOUNCEMENT, rule.message, call.language),)
    gone = _arrive(context, _leave(call, rule, now), rule, number, now)
    if gone is None:
        return None
    then, effects = gone
    return then, (LeaveQueue(call.entry, "overflowed"), *STOP_WAITING, *effects)


def _open_to_leads(context: Context, call: Call, rule: OverflowRule, now: float) -> Step | None:
    """They may take the call in the place that it has; it waits for no one agent any more."""
    if call.place is None or not any(rule.leads in a.leads for a in context.directory.agents.values()):
        return None
    place = dc_replace(
        call.place,
        leads=tuple(dict.fromkeys((*call.place.leads, rule.leads))),
        leads_alone=call.place.leads_alone or rule.instead,
        preferred="",
    )
    call = replace(call, place=place, segments=(*call.segments, _mark(call, rule, now)))
    return call, (ChangeNeeds(ticket_of(context, call)),)


def _arrive(context: Context, call: Call, rule: OverflowRule, number: int, now: float) -> Step | None:
    flow, queue = rule.flow, rule.queue
    if rule.message:
        flow = message_flow(call.queue, number)
    dialled = context.directory.numbers.get(rule.number)
    if dialled is not None:
        flow, queue = dialled.flow or "", dialled.queue or ""
    if found := context.flow(flow):
        # Who hangs up there has given up no queue.
        return go_to_flow(context, next_entry(replace(call, served=True)), found, now)
    if box := find_box(context.directory, rule.voicemail):
        return leave_message(context, replace(call, served=True), box, now)
    if queue in context.directory.queues and queue != call.queue:
        call = new_entry(call)
        if rule.place == "last":
            call = replace(call, priority=0, ranked_at=None)
        return wait_at(context, call, Place(queue), now)
    if rule.number and dialled is None:
        return _go_outside(context, call, rule.number, now)
    if agent := context.directory.agent_by_extension.get(rule.extension):
        back = (_way_back(call),)
        place = Place(EXTENSION_QUEUE, agent=agent.id, is_transfer=True, way_back=back)
        return wait_at(context, new_entry(call), place, now)
    return None


def _go_outside(context: Context, call: Call, number: str, now: float) -> Step | None:
    """Whoever wrote the rule may send callers to any number that a route leads to."""
    shown = shown_number(context.directory, call)
    try:
        found = outside(context.directory, number, allowed=DIAL_CLASSES, shown=shown)
    except NoRoute:
        return None
    return forward(context, new_entry(call), found, now, way_back=(_way_back(call),))


def _way_back(call: Call) -> Place:
    """Where nobody takes the call, the rule that led there is not tried again each second."""
    return Place(call.queue, spent_rules=call.spent_rules)


def _leave(call: Call, rule: OverflowRule, now: float) -> Call:
    call = replace(settle(call, now), overflows=call.overflows + 1)
    return replace(call, segments=(*call.segments, _mark(call, rule, now)))


def _mark(call: Call, rule: OverflowRule, now: float) -> Segment:
    to = f"{rule.kind} {rule.to}"
    return Segment(state="overflow", at=now, queue=call.queue, to=to, why=rule.when.why)
