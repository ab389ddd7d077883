"""While two talk: hold, resume, and what re-INVITEs change."""

from __future__ import annotations

from dataclasses import replace as dc_replace

from msgspec.structs import replace

from acd.calls.model import (
    TALKERS,
    AcceptReoffer,
    BridgeLegs,
    Call,
    Effect,
    PlayMusic,
    PlaySilence,
    RefuseReoffer,
    Reoffered,
    ReofferUnusable,
    Side,
    State,
)
from acd.calls.steps.context import Context, Step

_HOLDING = frozenset({"sendonly", "inactive"})


def on_reoffer(context: Context, call: Call, event: Reoffered, now: float) -> Step:
    """Answer a re-INVITE; a side that no longer listens holds the other, who hears music meanwhile."""
    if event.side is Side.TRANSFEROR:
        return _transferor_reoffered(call, event)
    holders = call.held_by - {event.side}
    if event.direction in _HOLDING:
        holders |= {event.side}
    accept = AcceptReoffer(event.side, event.answer)
    if holders == call.held_by:
        return call, (accept,)
    call = replace(call, held_by=holders)
    if call.state is not State.TALKING:
        return call, (accept,)
    return _count_hold(call, now), (accept, *audio_effects(context, call))


def _transferor_reoffered(call: Call, event: Reoffered) -> Step:
    """Whether their phone holds matters again where the transfer fails."""
    if call.transferor is not None:
        call = replace(call, transferor=dc_replace(call.transferor, holds=event.direction in _HOLDING))
    return call, (AcceptReoffer(event.side, event.answer),)


def _count_hold(call: Call, now: float) -> Call:
    if call.held_by and call.held_since is None:
        return replace(call, held_since=now)
    if not call.held_by and call.held_since is not None:
        return replace(call, held_since=None, hold_seconds=call.hold_seconds + now - call.held_since)
    return call


def resume_talk(call: Call, now: float) -> Call:
    """Two talk from now on, perhaps with a hold that was there before."""
    return replace(call, talking_since=now, held_since=now if call.held_by else None)


def on_unusable_reoffer(context: Context, call: Call, event: ReofferUnusable, now: float) -> Step:
    """The call goes on as it was (RFC 3261 section 14.2)."""
    return call, (RefuseReoffer(event.side, event.status),)


def audio_effects(context: Context, call: Call) -> tuple[Effect, ...]:
    """What each of the two hears, given who holds whom."""
    if not call.held_by:
        return (BridgeLegs(),)
    rules = context.queue(call.queue)
    music = rules.music if rules else context.default_music
    return tuple(
        PlayMusic(side, music) if side not in call.held_by else PlaySilence(side) for side in TALKERS
    )
