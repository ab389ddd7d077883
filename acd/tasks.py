"""Ending the tasks that one owns."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.1


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they are over, whatever they end with. None stands for one never begun.

    One cancellation is not enough: Python 3.11's `asyncio.wait_for`, which redis-py sends with, swallows one
    that comes at the moment of its result, and a loop would then go on for ever.
    """
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
