"""Writes recordings in a thread of its own, so that a slow disk delays no audio.

A file is a WAV file at every moment: its header is put right after each piece, so that a process that is
killed leaves one that can be read to its last second.
"""

from __future__ import annotations

import errno
import os
import queue
import sys
import threading
from audioop import byteswap
from collections import deque
from dataclasses import dataclass, field

from acd.media.embedded import protocol
from acd.media.g711 import SAMPLE_RATE
from acd.media.wav import BYTES_A_SECOND, HEADER_BYTES, wav_header

MOST_WAITING = 32 * 1024 * 1024
"""Bytes that wait for the disk; beyond this the recordings end that want to write more."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(slots=True, eq=False)
class Tape:
    """One file. All but `leg`, `name` and `file` belong to the thread."""

    leg: str
    name: str
    file: str
    descriptor: int = -1
    written: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Finish:
    why: str
    sound_samples: int


_Job = tuple[Tape, bytes | _Finish | None]


@dataclass(slots=True)
class Writer:
    """`done` gets what became of recordings. A tape that has a fault takes no more."""

    done: deque[protocol.Recorded] = field(default_factory=deque)
    _jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue)
    _asked: int = 0
    _written: int = 0
    _open: int = 0
    _thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether recordings are still to be told of."""
        return self._open > 0

    @property
    def full(self) -> bool:
        return self._asked - self._written > MOST_WAITING

    def begin(self, leg: str, name: str, file: str) -> Tape:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
            self._thread.start()
        tape = Tape(leg, name, file)
        self._open += 1
        self._jobs.put((tape, None))
        return tape

    def write(self, tape: Tape, piece: bytes) -> None:
        if piece:
            self._asked += len(piece)
            self._jobs.put((tape, piece))

    def finish(self, tape: Tape, why: str, sound_samples: int) -> None:
        self._jobs.put((tape, _Finish(why, sound_samples)))

    def results(self) -> list[protocol.Recorded]:
        """Of the recordings that are finished since the last call."""
        found = []
        while self.done:
            found.append(self.done.popleft())
        self._open -= len(found)
        return found

    def stop(self, patience: float) -> None:
        """Write what is left, as far as that takes no longer than so many seconds."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(patience)

    # In the thread.

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            tape, what = job
            if isinstance(what, _Finish):
                self._close(tape, what)
                continue
            if not tape.fault:
                self._try(tape, what)
            if what is not None:
                self._written += len(what)

    def _try(self, tape: Tape, piece: bytes | None) -> None:
        try:
            if piece is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                tape.descriptor = os.open(tape.file, flags, 0o600)
                _put(tape.descriptor, wav_header(0), 0)
            else:
                _append(tape, piece)
        except OSError as error:
            tape.fault = "disk-full" if error.errno in _NO_SPACE else "failed"

    def _close(self, tape: Tape, finish: _Finish) -> None:
        if tape.descriptor >= 0:
            try:
                os.fsync(tape.descriptor)
            except OSError:
                tape.fault = tape.fault or "failed"
            os.close(tape.descriptor)
            tape.descriptor = -1
        sound = min(finish.sound_samples / SAMPLE_RATE, tape.written / BYTES_A_SECOND)
        self.done.append(
            protocol.Recorded(
                tape.leg, tape.name, tape.written / BYTES_A_SECOND, sound, tape.fault or finish.why
            )
        )


def _append(tape: Tape, piece: bytes) -> None:
    """The samples first, then the header that counts them: it never promises what is not there."""
    samples = byteswap(piece, 2) if sys.byteorder == "big" else piece
    try:
        _put(tape.descriptor, samples, HEADER_BYTES + tape.written)
        tape.written += len(samples)
    finally:
        _put(tape.descriptor, wav_header(tape.written), 0)


def _put(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done
