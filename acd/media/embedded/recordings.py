"""Sound files as frames of both laws, read a second at a time so that no other leg waits for a file."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path

from acd.media.g711 import FRAME_SAMPLES, SILENCE, Law, encode
from acd.media.wav import BadRecording, read_seconds

_MAX_SECONDS = 3600
_FRAME_COST = 2 * (FRAME_SAMPLES + 48)
"""Bytes of memory that a frame takes in both laws."""


class Recording:
    """Frames by law; grows while the file is being read, and may be played meanwhile."""

    __slots__ = ("complete", "fault", "frames")

    def __init__(self) -> None:
        self.frames: tuple[list[bytes], list[bytes]] = ([], [])
        self.complete = False
        self.fault = ""
        """Why there is no more of it; empty while all is well."""

    def append(self, linear: bytes) -> None:
        """Whole frames of 16 bit samples; the last is filled up with silence."""
        for law in Law:
            encoded = encode(linear, law)
            frames = self.frames[law]
            for at in range(0, len(encoded), FRAME_SAMPLES):
                frame = encoded[at : at + FRAME_SAMPLES]
                frames.append(frame + SILENCE[law][len(frame) :])


class Library:
    """The recordings that a worker has in memory; the ones not used for longest go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[str, tuple[tuple[int, int], Recording]] = OrderedDict()
        self._reading: deque[tuple[Recording, Iterator[None]]] = deque()

    @property
    def busy(self) -> bool:
        """Whether there is something left for read_some."""
        return bool(self._reading)

    def get(self, path: str) -> Recording:
        """The recording of a file, read anew where the file changed. Faults stand in the recording."""
        recording = Recording()
        try:
            found = Path(path).stat()
        except (OSError, ValueError) as error:
            recording.fault, recording.complete = f"{path}: {error}", True
            return recording
        signature = (found.st_mtime_ns, found.st_size)
        known = self._known.get(path)
        if known is not None and known[0] == signature:
            self._known.move_to_end(path)
            return known[1]
        self._forget(path)
        self._known[path] = (signature, recording)
        self._reading.append((recording, self._read(path, recording)))
        return recording

    def read_some(self) -> None:
        """Read one second of one file."""
        recording, steps = self._reading.popleft()
        try:
            next(steps)
        except StopIteration:
            recording.complete = True
        except BadRecording as error:
            recording.fault, recording.complete = str(error), True
        else:
            self._reading.append((recording, steps))
        self._make_room()

    def _read(self, path: str, recording: Recording) -> Iterator[None]:
        rest = b""
        for seconds, piece in enumerate(read_seconds(Path(path))):
            if seconds >= _MAX_SECONDS:
                raise BadRecording(f"{path}: longer than {_MAX_SECONDS} s")
            samples = rest + piece
            whole = len(samples) - len(samples) % (2 * FRAME_SAMPLES)
            rest = samples[whole:]
            self._add(path, recording, samples[:whole])
            yield
        self._add(path, recording, rest)

    def _add(self, path: str, recording: Recording, linear: bytes) -> None:
        before = len(recording.frames[0])
        recording.append(linear)
        known = self._known.get(path)
        if known is not None and known[1] is recording:
            self._bytes += _FRAME_COST * (len(recording.frames[0]) - before)

    def _make_room(self) -> None:
        for path in list(self._known):
            if self._bytes <= self._max_bytes or len(self._known) == 1:
                return
            if self._known[path][1].complete:
                self._forget(path)

    def _forget(self, path: str) -> None:
        known = self._known.pop(path, None)
        if known is not None:
            self._bytes -= _FRAME_COST * len(known[1].frames[0])
