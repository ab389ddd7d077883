"""Whether a number outside may be called now: how many calls there are, and the do-not-call list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from acd.calls import model as m
from acd.calls.outside import Outside
from acd.calls.outward import DialRefused, ListUnknown, OnDoNotCallList, TooManyOutside

log = structlog.get_logger(__name__)

_LIST_SECONDS = 3.0


class DoNotCall(Protocol):
    """Who is not to be called; acd.directory.do_not_call.DoNotCallList is the one that lies in SQL."""

    async def forbids(self, number: str) -> bool:
        """Whether this number (E.164) is not to be called. May raise whatever its storage raises."""


async def leave_to_dial(
    listed: DoNotCall, outside: Outside, count: Callable[[str], Awaitable[int]]
) -> m.DialAllowed | m.DialForbidden:
    """`count` tells how many calls to the outside an agent has, this one included.

    Emergency numbers may always be called. A list that cannot be read lets nobody else through.
    """
    if outside.kind == "emergency":
        return m.DialAllowed()
    try:
        await _check(listed, outside, count)
    except DialRefused as error:
        return m.DialForbidden(error.sip_status, error.cause)
    return m.DialAllowed()


async def _check(listed: DoNotCall, outside: Outside, count: Callable[[str], Awaitable[int]]) -> None:
    if outside.by and await count(outside.by) > outside.limit:
        raise TooManyOutside(f"the agent has {outside.limit} calls to the outside already")
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            forbidden = await listed.forbids(outside.number)
    except Exception as error:
        # Whatever keeps it from being read: the number might be on it.
        log.error("do-not-call-list-unreadable", error=str(error))
        raise ListUnknown("the do-not-call list cannot be read") from error
    if forbidden:
        raise OnDoNotCallList("the number is on the do-not-call list")
