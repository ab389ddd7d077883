"""Recording by the embedded engine and its worker process, of RTP on the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acd.clock import SystemClock
from acd.config import MediaSection
from acd.media.embedded.engine import EmbeddedEngine
from acd.media.engine import MediaEngine
from acd.media.wav import mend_recording
from tests.support.audio import read_wav, seconds_of
from tests.support.call_fakes import FakeMedia
from tests.support.media_contract import OFFER, Ends, RecordingContract
from tests.support.net import eventually
from tests.support.rtp_peer import RtpPeer

HOST = "127.0.0.1"
PORTS = f"{45000 + os.getpid() % 10 * 200}-{45199 + os.getpid() % 10 * 200}"


class TestFake(RecordingContract):
    @pytest.fixture
    def engine(self) -> MediaEngine:
        return FakeMedia()


class TestEmbedded(RecordingContract):
    @pytest.fixture
    async def engine(self) -> AsyncIterator[EmbeddedEngine]:
        engine = EmbeddedEngine(MediaSection(address=HOST, ports=PORTS), SystemClock())
        await engine.start()
        yield engine
        await engine.stop()

    @pytest.fixture
    async def peer(self, engine: EmbeddedEngine) -> AsyncIterator[RtpPeer]:
        """Somebody on the line who says 1000 Hz."""
        peer = await RtpPeer.open(HOST)
        answer = await engine.answer("leg", OFFER % peer.port)
        peer.say(1000)
        peer.start((HOST, int(answer.split(b"m=audio ")[1].split()[0])))
        yield peer
        await peer.close()
        await engine.close("leg")

    async def test_what_the_far_end_says_is_in_the_file(
        self, engine: EmbeddedEngine, ends: Ends, peer: RtpPeer, tmp_path: Path
    ) -> None:
        file = tmp_path / "m.wav"
        engine.record("leg", "m", file, limit_seconds=2.0)
        end = await ends.next()
        assert (end.seconds, end.why) == (2.0, "limit")
        pcm = read_wav(file)
        assert len(pcm) == 32000
        # Packets that a busy machine sends late are silence meanwhile, and then lie where they belong.
        assert seconds_of(1000, pcm) >= 1.0
        assert end.sound_seconds >= 1.0

    async def test_it_ends_when_the_far_end_has_nothing_more_to_say(
        self, engine: EmbeddedEngine, ends: Ends, peer: RtpPeer, tmp_path: Path
    ) -> None:
        file = tmp_path / "m.wav"
        engine.record("leg", "m", file, limit_seconds=60.0, silence_seconds=1.0)

        async def speaks() -> bool:
            return file.exists() and seconds_of(1000, read_wav(file)) > 0.3

        await eventually(speaks, within=20)
        peer.say(None)
        assert (await ends.next()).why == "silence"

    async def test_a_worker_that_is_killed_leaves_what_was_said_until_a_second_before(
        self, engine: EmbeddedEngine, ends: Ends, peer: RtpPeer, tmp_path: Path
    ) -> None:
        file = tmp_path / "m.wav"
        engine.record("leg", "m", file, limit_seconds=60.0)

        async def speaks() -> bool:
            return file.exists() and seconds_of(1000, read_wav(file)) > 1.0

        await eventually(speaks, within=30)
        os.kill(engine.worker_pids[0], signal.SIGKILL)
        end = await ends.next()
        assert (end.recording, end.why) == ("m", "failed")
        assert mend_recording(file) > 1.0
        assert seconds_of(1000, read_wav(file)) > 1.0

    async def test_a_file_that_cannot_be_made_ends_only_the_recording(
        self, engine: EmbeddedEngine, ends: Ends, peer: RtpPeer, tmp_path: Path
    ) -> None:
        engine.record("leg", "m", tmp_path / "none" / "m.wav", limit_seconds=60.0)
        assert (await ends.next()).why == "failed"
        engine.echo("leg")
        deadline = time.monotonic() + 20
        while seconds_of(1000, bytes(peer.heard.pcm)) < 0.3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def test_what_is_recorded_when_the_service_ends_is_brought_to_the_disk(
        self, engine: EmbeddedEngine, ends: Ends, peer: RtpPeer, tmp_path: Path
    ) -> None:
        file = tmp_path / "m.wav"
        engine.record("leg", "m", file, limit_seconds=60.0)

        async def begun() -> bool:
            return file.exists() and len(read_wav(file)) > 0

        await eventually(begun, within=20)
        await engine.stop()
        with wave.open(str(file)) as wav:
            assert 2 * wav.getnframes() + 44 == file.stat().st_size
        assert seconds_of(1000, read_wav(file)) > 0.3
