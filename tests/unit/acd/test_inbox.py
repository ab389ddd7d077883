"""The queue of what a call is to hear: in order, bounded, and nothing lost by a reader that is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from acd.calls.inbox import Inbox


async def test_what_is_handed_in_comes_out_in_order() -> None:
    inbox: Inbox[int] = Inbox(10)
    assert all(inbox.put(n) for n in range(3))
    assert [await inbox.get() for _ in range(3)] == [0, 1, 2]


async def test_a_reader_waits_for_what_is_handed_in_later() -> None:
    inbox: Inbox[int] = Inbox(10)
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(1)
    inbox.put(2)
    assert (await reading, await inbox.get()) == (1, 2)


async def test_a_full_inbox_takes_no_more() -> None:
    inbox: Inbox[int] = Inbox(2)
    assert [inbox.put(n) for n in range(3)] == [True, True, False]
    assert await inbox.get() == 0
    assert inbox.put(3)


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    inbox: Inbox[int] = Inbox(10)
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await inbox.get() == 1
