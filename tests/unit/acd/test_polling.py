"""What is looked at again and again, whatever goes wrong with it."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from acd.polling import Poll


class Sight:
    """Looks that end as they are told, one after the other."""

    def __init__(self, *ends: Exception | None) -> None:
        self._ends = [*ends]
        self.looks = self.blind = 0
        self.all_done = asyncio.Event()

    async def look(self) -> None:
        self.looks += 1
        end = self._ends.pop(0) if self._ends else None
        if not self._ends:
            self.all_done.set()
        if end is not None:
            raise end

    def see_nothing(self) -> None:
        self.blind += 1


async def watch(sight: Sight, **words: object) -> list[tuple[str, str]]:
    poll = Poll(sight.look, 0.0, "blind", blind=sight.see_nothing, **words)  # type: ignore[arg-type]
    with capture_logs() as told:
        poll.start()
        async with asyncio.timeout(10):
            await sight.all_done.wait()
            await asyncio.sleep(0)
        await poll.stop()
    return [(entry["event"], entry["log_level"]) for entry in told]


async def test_trouble_is_told_once_until_it_is_over() -> None:
    sight = Sight(OSError("away"), OSError("away"), None, OSError("away again"))
    assert await watch(sight) == [("blind", "error")] * 2
    assert sight.blind == 3


async def test_what_nobody_thought_of_ends_nothing_and_is_told_with_its_traceback() -> None:
    sight = Sight(ZeroDivisionError(), ZeroDivisionError(), None)
    assert await watch(sight) == [("blind", "error")]
    assert sight.looks >= 3


async def test_what_others_tell_is_for_debugging_here() -> None:
    sight = Sight(LookupError("away"), None)
    told = await watch(sight, expected=(LookupError,), told_elsewhere=True)
    assert told == [("blind", "debug")]


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_first_look_is_at_once_or_after_the_pause(at_once: bool) -> None:
    sight = Sight()
    poll = Poll(sight.look, 3_600.0, "blind", at_once=at_once)
    poll.start()
    await asyncio.sleep(0)
    await poll.stop()
    assert sight.looks == at_once


async def test_looks_that_take_long_leave_time_for_others() -> None:
    waits: list[float] = []

    async def slow() -> None:
        waits.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.02)

    poll = Poll(slow, 0.0, "blind", at_once=True, share_of_time=0.1)
    poll.start()
    async with asyncio.timeout(10):
        while len(waits) < 2:
            await asyncio.sleep(0.01)
    await poll.stop()
    assert waits[1] - waits[0] >= 0.2
