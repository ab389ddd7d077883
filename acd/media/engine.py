"""The one media protocol. Calls speak it; `embedded` implements it.

A media leg has its RTP port for life. What the far end hears is one *source* at a time:
silence, a playback, music, the echo of itself, or the leg it is bridged with. A command that
sets a source replaces the one before, except that digits are laid over it.
Commands are queued at once and carried out in order; only opening and closing wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from acd.directory.model import Srtp

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
"""As the far end sees itself (RFC 3264 section 5.1): `sendonly` means that it holds us."""

RecordingEnd = Literal["stopped", "closed", "limit", "silence", "disk-full", "overrun", "failed"]
"""Why a recording ended. overrun: the disk was too slow. failed: the file could not be written, or the media
worker died; what was written by then is there, and its header may count for a second less."""


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """One key press, once (RFC 4733 end packets are folded)."""

    leg: str
    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """A playback came to its end by itself; not sent for one that was stopped or replaced."""

    leg: str
    playback: str


@dataclass(frozen=True, slots=True)
class MediaTimedOut:
    """No RTP from the far end for the configured time, while it should have been sending."""

    leg: str


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The leg's worker died; the leg no longer has media."""

    leg: str


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """A recording is over, and its file finished; told also where the leg was closed meanwhile."""

    leg: str
    recording: str
    seconds: float
    sound_seconds: float
    """Of them, how long there was any sound."""
    why: RecordingEnd


MediaEvent = DigitReceived | PlaybackEnded | MediaTimedOut | MediaFailed | RecordingEnded


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """Counters of one leg at its end. Jitter in seconds (RFC 3550 section 6.4.1)."""

    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    packets_dropped: int = 0
    """From a stranger's address, malformed, or of an unknown payload type."""
    jitter_seconds: float = 0.0
    far_packets_lost: int = 0
    """What the far end says it missed of us (RTCP); 0 where it says nothing."""
    far_jitter_seconds: float = 0.0
    round_trip_seconds: float = 0.0
    """By RTCP (RFC 3550 section 6.4.1); 0 where not known."""
    codec: str = ""
    """What we sent."""
    local: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    """As the far end's SDP said last."""


class MediaEngine(Protocol):
    """What a call may ask of its audio."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def subscribe(self, handler: Callable[[MediaEvent], None]) -> None:
        """Name the one receiver of events; called on the event loop, must not block."""
        ...

    async def answer(self, leg: str, offer: bytes, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        """Open a leg on the far end's SDP offer and return our SDP answer.

        `near` names a leg it may be bridged with: both then share a worker. `srtp` holds for the leg's life.
        Raises NoCommonCodec, NoCommonCrypto, BadSessionDescription, MediaUnavailable.
        """
        ...

    async def offer(self, leg: str, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        """Open a leg and return our SDP offer. Raises MediaUnavailable."""
        ...

    def apply_answer(self, leg: str, answer: bytes, *, early: bool = False) -> Direction:
        """Take the far end's answer to our offer. The direction is the far end's.

        `early`: it came before anybody answered, and another may still take its place.

        Raises NoCommonCodec, NoCommonCrypto, BadSessionDescription.
        """
        ...

    def reanswer(self, leg: str, offer: bytes | None) -> tuple[bytes, Direction]:
        """Answer a re-INVITE's offer on the same port, following address, codec and direction.

        None makes an offer of our own (re-INVITE without SDP). The direction is the far end's.
        """
        ...

    def play(self, leg: str, playback: str, files: Sequence[Path]) -> None:
        """Play WAV files one after the other; PlaybackEnded carries `playback`."""
        ...

    def music(self, leg: str, file: Path) -> None:
        """Play a file over and over, going on where this leg last heard it."""
        ...

    def echo(self, leg: str) -> None: ...

    def silence(self, leg: str) -> None: ...

    def bridge(self, leg: str, other: str) -> None:
        """Let two legs hear each other, transcoding where their codecs differ."""
        ...

    def send_digits(self, leg: str, digits: str) -> None:
        """Send RFC 4733 events, 100 ms a digit, to a far end that negotiated them."""
        ...

    def record(
        self, leg: str, recording: str, file: Path, *, limit_seconds: float, silence_seconds: float = 0.0
    ) -> None:
        """Write what the far end says into a new WAV file (8 kHz, mono, 16 bit); RecordingEnded carries
        `recording`.

        What is lost on the way is silence. It ends at the limit, after so long a silence (0: no matter how
        long), with `stop_recording`, with the leg, or with another `record` of it. The file can be read at
        any moment, also after a crash, to its last second.
        """
        ...

    def stop_recording(self, leg: str) -> None: ...

    async def close(self, leg: str) -> LegStatistics:
        """Release the leg and its port. Closing an unknown leg gives empty statistics."""
        ...
