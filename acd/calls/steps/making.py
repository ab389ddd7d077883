"""The agent who made a call to somebody here: reserved in the store as who talks, on the caller's side.

Until the store has done so, the token of the reservation is 0. It is over when they leave the call.
"""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.model import Call, ConfirmMaker, EnterQueue, LeaveQueue, MakerLost, MakerReserved
from acd.calls.steps.context import Context, Step
from acd.calls.steps.tickets import ticket_of_seated


def on_reserved(context: Context, call: Call, event: MakerReserved, now: float) -> Step:
    """They are in the call already; or have left it meanwhile, and are let go."""
    offer = event.offer
    if call.seated is not None and call.seated.ticket == offer.call_id:
        call = replace(call, seated=dc_replace(call.seated, offer=offer))
    elif call.transferor is not None and call.transferor.ticket == offer.call_id:
        call = replace(call, transferor=dc_replace(call.transferor, offer=offer))
    else:
        return call, (LeaveQueue(offer.call_id, "released"),)
    return call, (ConfirmMaker(offer),)


def on_lost(context: Context, call: Call, event: MakerLost, now: float) -> Step:
    """It had ended in the store before it was confirmed: ask for it again."""
    if call.seated is None or call.seated.offer.token != event.token:
        return call, ()
    call = replace(call, seated=dc_replace(call.seated, offer=dc_replace(call.seated.offer, token=0)))
    return call, (EnterQueue(ticket_of_seated(context, call)),)
