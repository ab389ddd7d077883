"""What every MediaEngine does with recordings, and so every fake of it. A subclass says how one is made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from acd.media.engine import MediaEngine, MediaEvent, RecordingEnded
from tests.support.net import patience

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Ends:
    """The recordings that ended, in order."""

    def __init__(self) -> None:
        self._found: asyncio.Queue[RecordingEnded] = asyncio.Queue()

    def __call__(self, event: MediaEvent) -> None:
        if isinstance(event, RecordingEnded):
            self._found.put_nowait(event)

    async def next(self) -> RecordingEnded:
        async with asyncio.timeout(patience(30)):
            return await self._found.get()

    @property
    def count(self) -> int:
        return self._found.qsize()


class RecordingContract:
    @pytest.fixture
    def engine(self) -> MediaEngine:
        """One that is running."""
        raise NotImplementedError

    @pytest.fixture
    def ends(self, engine: MediaEngine) -> Ends:
        ends = Ends()
        engine.subscribe(ends)
        return ends

    async def test_what_is_stopped_is_told_once(
        self, engine: MediaEngine, ends: Ends, tmp_path: Path
    ) -> None:
        await engine.answer("leg", OFFER % 40000)
        engine.record("leg", "one", tmp_path / "one.wav", limit_seconds=60)
        engine.stop_recording("leg")
        engine.stop_recording("leg")
        end = await ends.next()
        assert (end.leg, end.recording, end.why) == ("leg", "one", "stopped")
        await engine.close("leg")
        assert ends.count == 0

    async def test_a_leg_that_closes_ends_its_recording(
        self, engine: MediaEngine, ends: Ends, tmp_path: Path
    ) -> None:
        await engine.answer("leg", OFFER % 40000)
        engine.record("leg", "one", tmp_path / "one.wav", limit_seconds=60)
        await engine.close("leg")
        end = await ends.next()
        assert (end.recording, end.why) == ("one", "closed")

    async def test_another_recording_of_a_leg_ends_the_one_before(
        self, engine: MediaEngine, ends: Ends, tmp_path: Path
    ) -> None:
        await engine.answer("leg", OFFER % 40000)
        engine.record("leg", "one", tmp_path / "one.wav", limit_seconds=60)
        engine.record("leg", "two", tmp_path / "two.wav", limit_seconds=60)
        assert (await ends.next()).recording == "one"
        await engine.close("leg")
        assert (await ends.next()).recording == "two"

    async def test_a_leg_that_is_not_there_records_nothing_and_says_so(
        self, engine: MediaEngine, ends: Ends, tmp_path: Path
    ) -> None:
        engine.record("nobody", "one", tmp_path / "one.wav", limit_seconds=60)
        end = await ends.next()
        assert (end.recording, end.seconds, end.why) == ("one", 0.0, "failed")
