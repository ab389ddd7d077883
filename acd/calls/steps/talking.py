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
    ReofferAnswered,
    Reoffered,
    ReofferUnusable,
    Side,
    State,
)
from acd.calls.steps.context import Context, Step
from acd.media.engine import Direction

_HOLDING = frozenset({"sendonly", "inactive"})


def on_reoffer(context: Context, call: Call, event: Reoffered, now: float) -> Step:
    """Answer a re-INVITE, and follow what it says of who listens."""
    call, effects = _follow(context, call, event.side, event.direction, now)
    return call, (AcceptReoffer(event.side, event.answer), *effects)


def on_reoffer_answered(context: Context, call: Call, event: ReofferAnswered, now: float) -> Step:
    """A re-INVITE without SDP asked for our offer, and the ACK answered it (RFC 3261 section 14.2)."""
    return _follow(context, call, event.side, event.direction, now)


def _follow(context: Context, call: Call, side: Side, direction: Direction, now: float) -> Step:
    """A side that no longer listens holds the other, who hears music meanwhile."""
    holds = direction in _HOLDING
    if side is Side.TRANSFEROR:
        # Whether their phone holds matters again where the transfer fails.
        if call.transferor is not None:
            call = replace(call, transferor=dc_replace(call.transferor, holds=holds))
        return call, ()
    holders = call.held_by | {side} if holds else call.held_by - {side}
    if holders == call.held_by:
        return call, ()
    call = replace(call, held_by=holders)
    if call.state is not State.TALKING:
        return call, ()
    return _count_hold(call, now), audio_effects(context, call)


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
