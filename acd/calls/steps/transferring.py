"""Sending a call elsewhere: blind and attended transfer, their failure, and a wait that is given up."""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.model import (
    AnswerRefer,
    AskHandOver,
    Call,
    ChangeSeatsBack,
    Close,
    DropJoined,
    Effect,
    EndMessage,
    FinishConversation,
    HandOver,
    HandOverAsked,
    HandOverOutside,
    HandOverRefused,
    HangUp,
    JoinAsked,
    LeaveQueue,
    LegOver,
    MediaLost,
    NoteRefusedDial,
    OutsideJoined,
    ParkAgentLeg,
    PassOn,
    PhoneMoved,
    Place,
    PlaySilence,
    Reached,
    ReclaimAgentLeg,
    ReleaseAgentLeg,
    ReleaseTransferor,
    ReportRefer,
    Side,
    State,
    StopTimer,
    TakeJoined,
    TargetJoined,
    Timer,
    TimerFired,
    TransferAsked,
    Transferor,
)
from acd.calls.outside import Outside
from acd.calls.outward import DialRefused, shown_number
from acd.calls.record import Outcome, Segment
from acd.calls.steps.context import EXTENSION_QUEUE, OUTBOUND_QUEUE, Context, Step, enter
from acd.calls.steps.ending import end
from acd.calls.steps.guiding import fail_transfer, go_to_number, leave_message
from acd.calls.steps.messages import box_instead
from acd.calls.steps.reaching import forward
from acd.calls.steps.talking import audio_effects, resume_talk
from acd.calls.steps.times import settle
from acd.calls.steps.waiting import STOP_WAITING, new_entry, wait_at
from acd.calls.targets import AgentTarget, OutsideTarget, QueueTarget, Target, target_of
from acd.errors import AcdError

_NOBODY = 480


def on_transfer_asked(context: Context, call: Call, event: TransferAsked, now: float) -> Step:
    """Two talk, and the other party is to go elsewhere; the agent is told how that goes."""
    by = call.agent if event.by_phone else event.by
    if by != call.agent and event.by:
        return call, ()  # Somebody else has the call by now.
    try:
        target = target_of(context.directory, event.to, by=by, shown=shown_number(context.directory, call))
    except AcdError as error:
        refused = (AnswerRefer(error.sip_status), ReportRefer(Side.AGENT, error.sip_status))
        return call, (*noted(by, event.to, error), *refused)
    call = mark(replace(call, preferred=event.preferred or call.preferred), event.to, by, now)
    if isinstance(target, OutsideTarget):
        call, effects = _await_outside(context, call, target, now)
        return call, (AnswerRefer(202), *effects)
    if isinstance(target, AgentTarget):
        call, effects = _await_agent(context, call, target.agent, now)
        return call, (AnswerRefer(202), *effects)
    freed: tuple[Effect, ...] = (AnswerRefer(202), ReportRefer(Side.AGENT, 200), *_free_agent(call))
    sent_on_by = "" if call.agent == event.preferred else call.agent
    call = replace(settle(call, now), offer=None, held_by=call.held_by - {Side.AGENT}, sent_on_by=sent_on_by)
    call, effects = go_to(context, call, target, now)
    return call, freed + effects


def noted(by: str, number: str, error: AcdError) -> tuple[Effect, ...]:
    return (NoteRefusedDial(by, number, error.cause),) if isinstance(error, DialRefused) else ()


def _free_agent(call: Call) -> tuple[Effect, ...]:
    finish = (FinishConversation(call.offer),) if call.offer else ()
    return (*finish, ReleaseAgentLeg("transferred"))


def mark(call: Call, to: str, by: str, now: float) -> Call:
    mark = Segment(state="transfer", at=now, queue=call.queue, agent=by, to=to)
    return replace(call, segments=(*call.segments, mark))


def _await_agent(context: Context, call: Call, agent: str, now: float) -> Step:
    """The agent stays on the line, and in this conversation, until the target has the call."""
    back = _ways_back(context, call)
    place = Place(EXTENSION_QUEUE, agent=agent, is_transfer=True, way_back=back)
    call, effects = wait_at(context, new_entry(_park(call, now)), place, now)
    return call, (ParkAgentLeg(), PlaySilence(Side.TRANSFEROR), *effects)


def _await_outside(context: Context, call: Call, target: OutsideTarget, now: float) -> Step:
    """The same with a number outside."""
    back = _ways_back(context, call)
    if call.offer is None:
        # Nobody of ours is on the line: who is outside is let go.
        freed: tuple[Effect, ...] = (ReleaseAgentLeg("transferred"),)
    else:
        call, freed = _park(call, now), (ParkAgentLeg(), PlaySilence(Side.TRANSFEROR))
    call, effects = forward(context, new_entry(call), target.outside, now, way_back=back)
    return call, freed + effects


def _park(call: Call, now: float) -> Call:
    transferor = Transferor(
        agent=call.agent,
        offer=call.offer,
        place=call.place,
        ticket=call.ticket,
        holds=Side.AGENT in call.held_by,
    )
    return replace(settle(call, now), transferor=transferor, offer=None, held_by=call.held_by - {Side.AGENT})


def _ways_back(context: Context, call: Call) -> tuple[Place, ...]:
    back = [Place(EXTENSION_QUEUE, agent=call.agent, is_transfer=True)] if call.agent else []
    if call.queue in context.directory.queues:
        back.append(Place(call.queue))
    return tuple(back)


def go_to(context: Context, call: Call, target: Target, now: float) -> Step:
    call = new_entry(call)
    if isinstance(target, OutsideTarget):
        back = (Place(call.queue),) if call.queue in context.directory.queues else ()
        return forward(context, call, target.outside, now, way_back=back)
    if isinstance(target, AgentTarget):
        back = (Place(call.queue),) if call.queue in context.directory.queues else ()
        place = Place(EXTENSION_QUEUE, agent=target.agent, is_transfer=True, way_back=back)
        return wait_at(context, call, place, now)
    if isinstance(target, QueueTarget):
        rules = context.queue(target.queue)
        if rules and rules.transfer_place == "last":
            call = replace(call, priority=0, ranked_at=None)
        return wait_at(context, call, Place(target.queue), now)
    return go_to_number(context, call, context.directory.numbers[target.number], now)


def on_move_asked(context: Context, call: Call, event: TransferAsked, now: float) -> Step:
    """A supervisor sends a caller elsewhere who waits, or is in a flow."""
    if event.side is Side.CALLER:
        return call, (AnswerRefer(403, Side.CALLER),)  # Nobody is reached yet who could be sent on.
    if event.by_phone or event.by or call.transferor is not None:
        return call, ()
    try:
        target = target_of(context.directory, event.to, shown=shown_number(context.directory, call))
    except AcdError:
        return call, ()
    left: tuple[Effect, ...] = (StopTimer(Timer.IVR),)
    if call.recording:
        left, call = (*left, EndMessage()), replace(call, recording="", messages=call.messages + 1)
    if call.state is State.QUEUED:
        left = (LeaveQueue(call.entry), *STOP_WAITING)
    call = settle(mark(replace(call, preferred=event.preferred or call.preferred), event.to, "", now), now)
    call, effects = go_to(context, call, target, now)
    return call, left + effects


def on_refer_too_early(context: Context, call: Call, event: TransferAsked | JoinAsked, now: float) -> Step:
    """The agent's phone transfers before the call is theirs: it may try again."""
    side = event.side if isinstance(event, TransferAsked) else Side.AGENT
    return call, (AnswerRefer(491, side),)


# Where it fails.


def on_longest_wait(context: Context, call: Call, event: TimerFired, now: float) -> Step:
    """The longest wait of the place passed and nobody is ringing."""
    return give_up(context, call, _NOBODY, now)


def give_up(context: Context, call: Call, status: int, now: float) -> Step:
    """Wait here no longer: back to the transferring agent, the next place, the flow, or end.

    `status` is what the transferring phone is told.
    """
    # A number outside is called from no place of the store.
    waits = call.state is not State.FORWARDING
    left: tuple[Effect, ...] = (LeaveQueue(call.entry), *STOP_WAITING) if waits else ()
    if call.transferor is not None:
        call, effects = _back_to_transferor(context, call, call.transferor, now)
        return call, (*left, ReportRefer(Side.TRANSFEROR, status), *effects)
    if call.place and call.place.way_back:
        place, *others = call.place.way_back
        call = new_entry(settle(call, now))
        call, effects = wait_at(context, call, dc_replace(place, way_back=tuple(others)), now)
        return call, left + effects
    if (box := box_instead(context, call)) is not None:
        call, effects = leave_message(context, settle(call, now), box, now)
        return call, left + effects
    if call.place and call.place.transfer_step is not None:
        step = call.place.transfer_step
        call, effects = fail_transfer(context, enter(settle(call, now), State.IVR, now), step, now)
        return call, left + effects
    wants_one = call.place is not None and bool(call.place.agent)
    outcome: Outcome = "unanswered" if wants_one else "timed-out"
    cause = "not-taken" if wants_one else "longest-wait"
    if call.place and call.place.is_transfer:
        cause = "transfer-failed"
    return end(call, now, side="system", cause=cause, outcome=None if call.answered_at else outcome)


def _back_to_transferor(context: Context, call: Call, agent: Transferor, now: float) -> Step:
    if agent.made_call and call.seated is not None:
        return _back_to_maker(context, call, agent, call.seated, now)
    held = call.held_by | ({Side.AGENT} if agent.holds else frozenset())
    call = replace(
        settle(call, now),
        offer=agent.offer,
        place=agent.place,
        ticket=agent.ticket,
        transferor=None,
        held_by=held,
    )
    call = resume_talk(enter(call, State.TALKING, now), now)
    return call, (ReclaimAgentLeg(), *audio_effects(context, call))


def _back_to_maker(context: Context, call: Call, maker: Transferor, reached: Reached, now: float) -> Step:
    """The agent who made the call, and whom they reached, are in their old seats."""
    own = Reached(maker.offer, maker.place, maker.ticket) if maker.offer and maker.place else None
    holders = {Side.AGENT} if Side.CALLER in call.held_by else set()
    call = replace(
        settle(call, now),
        offer=reached.offer,
        place=reached.place,
        ticket=reached.ticket,
        seated=own,
        from_agent=maker.agent,
        transferor=None,
        held_by=frozenset(holders | ({Side.CALLER} if maker.holds else set())),
    )
    call = resume_talk(enter(call, State.TALKING, now), now)
    return call, (ChangeSeatsBack(), *audio_effects(context, call))


def on_transferor_gone(context: Context, call: Call, event: LegOver | MediaLost, now: float) -> Step:
    """The agent hung up after a blind transfer, and is done; the caller goes on waiting for the target."""
    if call.transferor is None:
        return call, ()
    finish = (FinishConversation(call.transferor.offer),) if call.transferor.offer else ()
    return replace(call, transferor=None), (ReleaseTransferor("normal"), *finish)


# The agent has two calls and joins them.


def on_join_asked(context: Context, call: Call, event: JoinAsked, now: float) -> Step:
    return call, (AnswerRefer(202), AskHandOver(event.other_call))


def on_hand_over_asked(context: Context, call: Call, event: HandOverAsked, now: float) -> Step:
    """This is the call with which the agent asked a colleague: its reached party goes to the other one."""
    if call.is_outgoing and call.state is State.TALKING and call.outside is not None:
        return _give_outside(call, call.outside, event.to_call, now)
    if call.state is not State.TALKING or call.offer is None or call.place is None:
        call, effects = end(call, now, side="caller", cause="transferred", outcome="completed")
        return call, (PassOn(event.to_call), *effects)
    given = HandOver(event.to_call, call.offer, call.place, Side.AGENT in call.held_by)
    done = (FinishConversation(call.seated.offer),) if call.seated else ()
    close = Close(outcome="answered", hangup_side="caller", cause="transferred")
    call = enter(settle(call, now), State.ENDED, now)
    return call, (given, HangUp(Side.CALLER, "transferred"), *done, close)


def _give_outside(call: Call, outside: Outside, to_call: str, now: float) -> Step:
    """The agent had asked somebody outside, who goes to the other call; the agent is done with this one."""
    given = HandOverOutside(to_call, outside, Side.CALLER in call.held_by)
    finish = (FinishConversation(call.offer),) if call.offer else ()
    close = Close(outcome="answered", hangup_side="agent", cause="transferred")
    call = enter(settle(call, now), State.ENDED, now)
    return call, (given, ReleaseAgentLeg("transferred"), *finish, close)


def on_outside_joined(context: Context, call: Call, event: OutsideJoined, now: float) -> Step:
    """The caller talks to the number outside from now on."""
    done: tuple[Effect, ...] = (FinishConversation(call.offer),) if call.offer else ()
    held = (call.held_by - {Side.AGENT}) | ({Side.AGENT} if event.holds else frozenset())
    call = replace(
        settle(mark(call, event.outside.number, call.agent, now), now),
        offer=None,
        place=Place(OUTBOUND_QUEUE),
        outside=event.outside,
        held_by=held,
    )
    call = resume_talk(enter(call, State.TALKING, now), now)
    return call, (*done, TakeJoined(Side.AGENT, "transferred", 200), *audio_effects(context, call))


def on_hand_over_refused(context: Context, call: Call, event: HandOverRefused, now: float) -> Step:
    """The call with the colleague was over already."""
    return call, (ReportRefer(Side.AGENT, 481),)


def on_target_joined(context: Context, call: Call, event: TargetJoined, now: float) -> Step:
    """The caller talks to the colleague from now on."""
    done: tuple[Effect, ...] = (FinishConversation(call.offer),) if call.offer else ()
    held = (call.held_by - {Side.AGENT}) | ({Side.AGENT} if event.holds else frozenset())
    call = replace(
        settle(mark(call, event.place.agent or event.place.queue, call.agent, now), now),
        offer=event.offer,
        ticket=event.offer.call_id,
        place=event.place,
        held_by=held,
    )
    call = resume_talk(enter(call, State.TALKING, now), now)
    return call, (*done, TakeJoined(Side.AGENT, "transferred", 200), *audio_effects(context, call))


def on_phone_moved(context: Context, call: Call, event: PhoneMoved, now: float) -> Step:
    """The same person goes on with another phone, which holds nobody."""
    call = resume_talk(replace(settle(call, now), held_by=call.held_by - {event.side}), now)
    return call, (TakeJoined(event.side, "replaced"), *audio_effects(context, call))


def on_unwanted_leg(
    context: Context, call: Call, event: TargetJoined | OutsideJoined | PhoneMoved, now: float
) -> Step:
    """The call went on in another way meanwhile."""
    return call, (DropJoined(),)
