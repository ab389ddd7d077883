"""The audio of messages on the disk: taken down in a folder of the node, then kept in the common one.

Beside each WAV file lies what is known of the message, as JSON. No name says who called.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from acd.calls.messages import NewMessage
from acd.media.wav import mend_recording, seconds_of_sound
from acd.voicemail.model import Message

log = structlog.get_logger(__name__)


class MessageFiles:
    """Every method but `audio` and `incoming` waits for the disk, and raises OSError."""

    def __init__(self, folder: Path, node: str) -> None:
        self._folder = folder
        self._incoming = folder / "incoming" / node

    def prepare(self) -> None:
        for folder in (self._folder, self._incoming.parent, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def incoming(self, message_id: str) -> Path:
        """Where the audio of a message that is being left goes."""
        return self._incoming / f"{message_id}.wav"

    def audio(self, message_id: str) -> Path:
        """Where the audio of a message lies."""
        return self._folder / f"{message_id}.wav"

    def begin(self, message: NewMessage) -> None:
        _write(self._incoming / f"{message.id}.json", msgspec.json.encode(message))

    def left(self) -> Iterator[NewMessage]:
        """The messages that a predecessor of this process was taking."""
        for note in sorted(self._incoming.glob("*.json")):
            try:
                message = msgspec.json.decode(note.read_bytes(), type=NewMessage)
            except msgspec.MsgspecError as error:
                log.error("message-unreadable", file=note.name, error=str(error))
                continue
            if message.id == note.stem:
                yield message

    def measure(self, message_id: str) -> tuple[float, float]:
        """Seconds of a message that was left, and of sound in it; its header is put right."""
        for file in (self.incoming(message_id), self.audio(message_id)):
            if file.exists():
                return mend_recording(file), seconds_of_sound(file)
        return 0.0, 0.0

    def keep(self, message: Message) -> None:
        """From the node's folder to the common one. Safe to repeat."""
        _write(self.audio(message.id).with_suffix(".json"), msgspec.json.encode(message))
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.incoming(message.id), self.audio(message.id))

    def done(self, message_id: str) -> None:
        """It is kept, or is none."""
        for suffix in (".wav", ".json"):
            self.incoming(message_id).with_suffix(suffix).unlink(missing_ok=True)

    def remove(self, message_id: str) -> bool:
        """Audio and note; False where there are none here."""
        files = (self.audio(message_id), self.audio(message_id).with_suffix(".json"))
        found = any(file.exists() for file in files)
        for file in files:
            file.unlink(missing_ok=True)
        return found


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all."""
    half = file.with_suffix(".part")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    os.replace(half, file)
