"""Tasks end when they are told to, even where a library swallows the first word."""

from __future__ import annotations

import asyncio
import contextlib

from acd import tasks


async def test_a_task_that_loses_a_cancellation_is_told_again() -> None:
    async def deaf_once() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf_once())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.cancelled()


async def test_tasks_that_are_over_or_were_never_begun_are_no_matter() -> None:
    async def fail() -> None:
        raise ValueError

    failed = asyncio.create_task(fail())
    await asyncio.wait({failed})
    await tasks.end(failed, None)
    assert isinstance(failed.exception(), ValueError)
