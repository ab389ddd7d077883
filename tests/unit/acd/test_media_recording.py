"""What is recorded of a leg: where packets lie in time, when it ends, and what a faulty disk does."""

from __future__ import annotations

import array
import errno
import os
import threading
import time
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.media.embedded import protocol
from acd.media.embedded import writer as writing
from acd.media.embedded.recorder import Recorder
from acd.media.embedded.writer import Tape, Writer
from acd.media.g711 import Law
from acd.media.wav import mend_recording, wav_header
from tests.support.audio import FRAME, from_law, seconds_of, to_law, tone
from tests.unit.acd.test_media_srtp import Line

LOUD = to_law(tone(1000, 0.02), 0)
QUIET = to_law(bytes(2 * FRAME), 0)
SAMPLES = len(LOUD)


def recorder(*, limit: float = 60.0, silence: float = 0.0) -> Recorder:
    return Recorder("r", limit_seconds=limit, silence_seconds=silence, now=100.0)


def say(to: Recorder, frames: int, *, first: int = 0, payload: bytes = LOUD, ssrc: int = 7) -> None:
    """Packets 20 ms apart; `first` counts from the beginning of the recording."""
    for number in range(first, first + frames):
        stamp = (0xFFFFF000 + number * SAMPLES) & 0xFFFFFFFF  # wraps on the way
        to.take(Law.PCMU, payload, ssrc, stamp, 100.0 + number * 0.02)


def loud_frames(pcm: bytes) -> list[bool]:
    samples = array.array("h", pcm)
    return [max(map(abs, samples[at : at + SAMPLES])) > 1000 for at in range(0, len(samples), SAMPLES)]


def test_what_is_said_is_there_sample_by_sample() -> None:
    taken = recorder()
    say(taken, 100)
    assert taken.piece(last=True) == from_law(LOUD, 0) * 100
    assert taken.sound_samples == 100 * SAMPLES


def test_what_is_lost_is_silence_and_what_is_late_comes_to_its_place() -> None:
    taken = recorder()
    say(taken, 3)
    say(taken, 2, first=8)
    say(taken, 1, first=5)
    assert loud_frames(taken.piece(last=True)) == [*[True] * 3, False, False, True, False, False, True, True]


def test_the_newest_tenth_of_a_second_is_held_back_for_what_comes_late() -> None:
    taken = recorder()
    say(taken, 9)
    say(taken, 1, first=10)
    assert len(taken.piece()) == 6 * 2 * SAMPLES
    say(taken, 1, first=9)
    say(taken, 1, first=2)
    assert loud_frames(taken.piece(last=True)) == [True] * 5, "what comes after that is left out"


def test_another_stream_goes_on_where_it_arrives() -> None:
    taken = recorder()
    say(taken, 2)
    taken.take(Law.PCMA, to_law(tone(1000, 0.02), 8), 8, 12345, 100.2)
    assert loud_frames(taken.piece(last=True)) == [True, True, *[False] * 8, True]


def test_a_timestamp_that_leaps_ahead_adds_no_more_than_the_time_that_passed() -> None:
    taken = recorder()
    say(taken, 5)
    taken.take(Law.PCMU, LOUD, 7, 0x7FFF0000, 100.2)
    assert len(taken.piece(last=True)) == 11 * 2 * SAMPLES


@given(
    st.lists(
        st.tuples(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 2**32 - 1), st.floats(0, 0.1)),
        max_size=200,
    )
)
def test_no_stream_of_packets_makes_it_longer_than_it_took(
    packets: list[tuple[bytes, int, int, float]],
) -> None:
    taken, now, length = recorder(limit=5.0), 100.0, 0
    for payload, ssrc, stamp, later in packets:
        now += later
        taken.take(Law.PCMU, payload, ssrc, stamp, now)
        length += len(taken.piece()) // 2
    length += len(taken.piece(last=True)) // 2
    assert length <= min(5.0, now - 100.0 + 2.0) * 8000 + 400


def test_it_ends_at_its_limit_to_the_sample() -> None:
    taken = recorder(limit=0.05)
    say(taken, 5)
    assert taken.ended == "limit"
    assert len(taken.piece(last=True)) == 2 * 400


def test_it_ends_at_its_limit_though_nothing_comes() -> None:
    taken = recorder(limit=3.0)
    taken.look(102.9)
    assert not taken.ended
    taken.look(103.0)
    assert taken.ended == "limit"


@pytest.mark.parametrize("payload", [QUIET, None], ids=["quiet", "no packets"])
def test_it_ends_after_a_silence(payload: bytes | None) -> None:
    taken = recorder(silence=4.0)
    say(taken, 100)
    if payload:
        say(taken, 250, first=100, payload=payload)
    taken.look(105.9)
    assert not taken.ended
    taken.look(106.1)
    assert taken.ended == "silence"


# The writer.


def finished(writer: Writer) -> protocol.Recorded:
    writer.stop(10.0)
    (result,) = writer.results()
    assert not writer.busy
    return result


def test_a_file_is_whole_after_each_piece(tmp_path: Path) -> None:
    file, writer = tmp_path / "r.wav", Writer()
    tape = writer.begin("leg", "r", str(file))
    for _ in range(3):
        writer.write(tape, tone(1000, 1.0))
    writer.finish(tape, "stopped", 24000)
    assert finished(writer) == protocol.Recorded("leg", "r", 3.0, 3.0, "stopped")
    assert file.stat().st_mode & 0o777 == 0o600
    with wave.open(str(file)) as wav:
        assert wav.getparams()[:4] == (1, 2, 8000, 24000)
        assert seconds_of(1000, wav.readframes(24000)) > 2.9


def test_a_file_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    file, writer = tmp_path / "r.wav", Writer()
    file.write_bytes(b"somebody's")
    writer.finish(writer.begin("leg", "r", str(file)), "stopped", 0)
    assert finished(writer).why == "failed"
    assert file.read_bytes() == b"somebody's"


@pytest.mark.parametrize(("code", "why"), [(errno.ENOSPC, "disk-full"), (errno.EIO, "failed")])
def test_a_disk_that_takes_no_more_ends_the_recording_and_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, why: str
) -> None:
    file, writer = tmp_path / "r.wav", Writer()
    put, room = os.pwrite, 40_000

    def short(descriptor: int, data: bytes, at: int) -> int:
        if at + len(data) > room:
            raise OSError(code, "no")
        return put(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", short)
    tape: Tape = writer.begin("leg", "r", str(file))
    for _ in range(4):
        writer.write(tape, tone(1000, 1.0))
    writer.finish(tape, "stopped", 32000)
    result = finished(writer)
    assert (result.why, result.seconds, result.sound_seconds) == (why, 2.0, 2.0)
    assert tape.fault == why
    with wave.open(str(file)) as wav:
        assert wav.getnframes() == 16000


class StuckDisk:
    """Writes nothing until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = threading.Event()
        put = os.pwrite

        def wait(descriptor: int, data: bytes, at: int) -> int:
            self.let_go.wait(20)
            return put(descriptor, data, at)

        monkeypatch.setattr(os, "pwrite", wait)


def test_a_disk_that_stands_still_holds_nobody_up_and_ends_what_can_wait_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 40_000)
    disk, writer = StuckDisk(monkeypatch), Writer()
    line = Line(srtp=False, writer=writer)
    line.far.record(protocol.Record("far", "r", str(tmp_path / "r.wav"), 600.0, 0.0), 0.0)
    began = time.monotonic()
    for second in range(1, 6):
        for packet in line.speak(50):
            line.far.take(packet, ("192.0.2.1", 4000), float(second))
        line.far.every_second(float(second))
    assert time.monotonic() - began < 10, "not held up by the disk"
    assert writer.busy
    disk.let_go.set()
    result = finished(writer)
    assert (result.leg, result.why) == ("far", "overrun")
    assert 1.0 <= result.seconds < 5.0


@pytest.mark.parametrize("srtp", [False, True], ids=["plain", "encrypted"])
def test_a_leg_records_what_its_far_end_says_decrypted(tmp_path: Path, srtp: bool) -> None:
    writer = Writer()
    line = Line(srtp=srtp, writer=writer)
    line.far.record(protocol.Record("far", "r", str(tmp_path / "r.wav"), 60.0, 0.0), 1.0)
    for packet in line.speak(50, to_law(tone(1000, 0.02), 8)):
        line.far.take(packet, ("192.0.2.1", 4000), 1.0)
    line.far.take(b"\x80\x08" + bytes(200), ("203.0.113.66", 4000), 1.0)  # a stranger's
    line.far.close(2.0)
    assert finished(writer).why == "closed"
    with wave.open(str(tmp_path / "r.wav")) as wav:
        frames = wav.readframes(8000)
    assert frames == from_law(to_law(tone(1000, 0.02), 8), 8) * 50


def test_a_recording_whose_header_was_not_written_any_more_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "r.wav"
    file.write_bytes(wav_header(16000) + tone(1000, 2.5) + b"x")
    assert mend_recording(file) == 2.5
    with wave.open(str(file)) as wav:
        assert wav.getnframes() == 20000
    file.write_bytes(b"RIFF")
    assert mend_recording(file) == 0.0
    with wave.open(str(file)) as wav:
        assert wav.getnframes() == 0
