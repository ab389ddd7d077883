"""What a leg can be made to hear at our own pace: silence, files one after the other, music for ever.

A source gives a frame of 20 ms in the law that is asked for, so a leg may change its codec at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from acd.media.embedded.recordings import Recording
from acd.media.g711 import SILENCE


class Source(Protocol):
    def frame(self, law: int) -> bytes | None:
        """The next 20 ms; None once it is at its end."""
        ...


class SilentSource:
    """Frames of silence rather than nothing: bindings of NAT, jitter buffers and the timers of far ends that
    hang up without RTP all stay as they are."""

    __slots__ = ()

    def frame(self, law: int) -> bytes | None:
        return SILENCE[law]


class Playback:
    """Recordings one after the other. One that is still being read is waited for in silence."""

    __slots__ = ("_at", "_playing", "_recordings", "name")

    def __init__(self, name: str, recordings: Sequence[Recording]) -> None:
        self.name = name
        self._recordings = recordings
        self._playing = self._at = 0

    @property
    def faults(self) -> list[str]:
        return [recording.fault for recording in self._recordings if recording.fault]

    def frame(self, law: int) -> bytes | None:
        while self._playing < len(self._recordings):
            recording = self._recordings[self._playing]
            frames = recording.frames[law]
            if self._at < len(frames):
                self._at += 1
                return frames[self._at - 1]
            if not recording.complete:
                return SILENCE[law]
            self._playing, self._at = self._playing + 1, 0
        return None


class Music:
    """One recording over and over; kept by the leg, so that it goes on where it was left."""

    __slots__ = ("_at", "recording")

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._at = 0

    def frame(self, law: int) -> bytes | None:
        frames = self.recording.frames[law]
        if self._at >= len(frames):
            if not self.recording.complete or not frames:
                return SILENCE[law]
            self._at = 0
        self._at += 1
        return frames[self._at - 1]
