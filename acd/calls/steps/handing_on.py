"""An agent who made the call sends on whom they reached: the two change seats, and it goes on as a transfer.

Whom the agent reached has a reservation of their own, which lasts until they are done, and is the one who
waits from now on. Where the transfer fails, both are back in their old seats.
"""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import (
    AnswerRefer,
    Call,
    ChangeSeats,
    FinishConversation,
    Place,
    PlaySilence,
    Reached,
    ReleaseTransferor,
    ReportRefer,
    Side,
    TransferAsked,
    Transferor,
)
from acd.calls.steps.context import EXTENSION_QUEUE, Context, Step
from acd.calls.steps.reaching import forward
from acd.calls.steps.times import settle
from acd.calls.steps.transferring import go_to, mark, noted, on_transfer_asked
from acd.calls.steps.waiting import new_entry, wait_at
from acd.calls.targets import AgentTarget, OutsideTarget, Target, TransferImpossible, target_of
from acd.errors import AcdError


def on_transfer_by_either(context: Context, call: Call, event: TransferAsked, now: float) -> Step:
    """Two talk, and one of them is to go elsewhere."""
    if event.side is not Side.CALLER:
        return on_transfer_asked(context, call, event, now)
    try:
        target = _target(context, call, event.to)
    except AcdError as error:
        told = noted(call.from_agent, event.to, error)
        return call, (*told, AnswerRefer(error.sip_status, Side.CALLER))
    call = mark(call, event.to, call.from_agent, now)
    maker = call.from_agent
    call = _change_seats(call, now)
    back = Place(EXTENSION_QUEUE, agent=maker, is_transfer=True)
    if isinstance(target, AgentTarget | OutsideTarget):
        call, effects = _wait_for(context, new_entry(call), target, back, now)
        return call, (
            AnswerRefer(202, Side.CALLER),
            ChangeSeats(),
            PlaySilence(Side.TRANSFEROR),
            *effects,
        )
    freed = call.transferor.offer if call.transferor else None
    call, effects = go_to(context, replace(call, transferor=None, sent_on_by=maker), target, now)
    return call, (
        AnswerRefer(202, Side.CALLER),
        ReportRefer(Side.CALLER, 200),
        ChangeSeats(),
        ReleaseTransferor("transferred"),
        *((FinishConversation(freed),) if freed else ()),
        *effects,
    )


def _wait_for(
    context: Context, call: Call, target: AgentTarget | OutsideTarget, back: Place, now: float
) -> Step:
    if isinstance(target, OutsideTarget):
        return forward(context, call, target.outside, now, way_back=(back,))
    place = Place(EXTENSION_QUEUE, agent=target.agent, is_transfer=True, way_back=(back,))
    return wait_at(context, call, place, now)


def _target(context: Context, call: Call, to: str) -> Target:
    """Raises UnknownTarget, TransferImpossible, acd.calls.outward.NotAllowed."""
    if not call.from_agent or call.offer is None or call.place is None:
        raise TransferImpossible("only an agent who talks to an agent can send them on")
    target = target_of(context.directory, to, by=call.from_agent)
    if target == AgentTarget(call.agent):
        raise TransferImpossible("an agent cannot be sent to themselves")
    return target


def _change_seats(call: Call, now: float) -> Call:
    """Who made the call is the transferor; who was reached is the caller, and an agent who talks."""
    own = call.seated
    maker = Transferor(
        agent=call.from_agent,
        offer=own.offer if own else None,
        place=own.place if own else None,
        ticket=own.ticket if own else "",
        holds=Side.CALLER in call.held_by,
        made_call=True,
    )
    reached = Reached(call.offer, call.place, call.ticket) if call.offer and call.place else None
    return replace(
        settle(call, now),
        transferor=maker,
        seated=reached,
        from_agent=call.agent,
        offer=None,
        held_by=frozenset({Side.CALLER}) if Side.AGENT in call.held_by else frozenset(),
    )
