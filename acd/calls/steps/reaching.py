"""Calling a number outside, whoever wants it: sending a caller there, the ways to it, what its end says."""

from __future__ import annotations

from msgspec.structs import replace

from acd.calls.model import (
    AskLeave,
    Call,
    CallOutside,
    Effect,
    LegOver,
    NumberUnreachable,
    Place,
    PlayMusic,
    Side,
    State,
)
from acd.calls.outside import Outside
from acd.calls.steps.context import OUTBOUND_QUEUE, Context, Step, enter
from acd.calls.steps.times import settle
from acd.sip.core.events import EndedBy

_WHY = {
    404: "no-such-number",
    408: "no-answer",
    410: "no-such-number",
    480: "no-answer",
    484: "no-such-number",
    486: "busy",
    487: "no-answer",
    600: "busy",
    604: "no-such-number",
}
_OF_TRUNK = frozenset({"trunk-unavailable", "media-unavailable"})
_TRUNK_DOES_NOT = frozenset({408, 500, 502, 503, 504})
"""What says more of the trunk than of the number."""


def forward(
    context: Context,
    call: Call,
    outside: Outside,
    now: float,
    *,
    way_back: tuple[Place, ...] = (),
    transfer_step: int | None = None,
) -> Step:
    """Call a number outside for the caller, who hears music and has left the place where they waited.

    Where nobody is reached the caller waits in the places of `way_back`, in turn, or goes on with that step
    of the flow, or the call ends.
    """
    rules = context.queue(call.queue)
    music = PlayMusic(Side.CALLER, rules.music if rules else context.default_music)
    place = Place(OUTBOUND_QUEUE, transfer_step=transfer_step, is_transfer=True, way_back=way_back)
    call = replace(settle(call, now), place=place, outside=outside, menu=None)
    return enter(call, State.FORWARDING, now), (music, AskLeave(outside))


def call_outside(call: Call, side: Side) -> tuple[Effect, ...]:
    """Call the number by the way that is next."""
    return (CallOutside(side, call.outside),) if call.outside is not None else ()


def next_way(call: Call, ended: LegOver | NumberUnreachable) -> Call | None:
    """The call with the way after this one; None where there is none, or where it would not help."""
    outside = call.outside
    if outside is None or outside.rang or not _is_worth_another(ended):
        return None
    outside = replace(outside, tried=outside.tried + 1)
    return replace(call, outside=outside) if outside.way is not None else None


def _is_worth_another(ended: LegOver | NumberUnreachable) -> bool:
    if isinstance(ended, NumberUnreachable):
        return ended.cause in _OF_TRUNK
    return ended.by in ("timeout", "transport") or (ended.by == "remote" and ended.status in _TRUNK_DOES_NOT)


def why_not(ended: LegOver | NumberUnreachable) -> str:
    """Why nobody was reached: busy, no-answer, rejected, no-such-number or unreachable."""
    if isinstance(ended, NumberUnreachable):
        return "unreachable"
    if _is_worth_another(ended) and ended.status != 408:
        return "unreachable"
    return _WHY.get(ended.status, "rejected")


def status_of(ended: LegOver | NumberUnreachable) -> int:
    """What the phone is told that wanted the number."""
    if isinstance(ended, NumberUnreachable):
        return 503
    return _told(ended.by, ended.status)


def _told(by: EndedBy, status: int) -> int:
    if by == "transport" or status in (401, 407):
        return 503  # our account there is our business
    if by == "timeout":
        return 408
    return status if status >= 400 else 480
