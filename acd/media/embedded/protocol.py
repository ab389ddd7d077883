"""What the engine and a media worker say to each other: MessagePack over a Unix socket.

One message of the socket carries a list of commands, or of events, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

MAX_MESSAGE = 64 * 1024


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Configure(_Message, frozen=True):
    """First of all."""

    address: str
    rtp_timeout: float
    """Seconds; 0 turns it off."""
    recordings_bytes: int
    """Bound of the cache of decoded files."""


class Reserve(_Message, frozen=True):
    """Bind `port` and the one above for a leg to come; answered by Reserved."""

    port: int


class Open(_Message, frozen=True):
    """Bind `port` and the one above, or take what was reserved; answered by Opened."""

    leg: str
    port: int


class Agree(_Message, frozen=True):
    """What negotiation settled; also after a change."""

    leg: str
    remote: tuple[str, int]
    control: tuple[str, int]
    receive: dict[int, int]
    """Payload type to law."""
    send_type: int
    send_law: int
    event_receive: int | None
    event_send: int | None
    far_sends: bool
    far_hears: bool
    shared_port: bool
    srtp: tuple[str, bytes, bytes] | None = None
    """Suite, key to send with, key to receive with; None: not encrypted."""


class Play(_Message, frozen=True):
    leg: str
    playback: str
    files: list[str]


class Music(_Message, frozen=True):
    leg: str
    file: str


class Echo(_Message, frozen=True):
    leg: str


class Silence(_Message, frozen=True):
    leg: str


class Bridge(_Message, frozen=True):
    leg: str
    other: str


class SendDigits(_Message, frozen=True):
    leg: str
    digits: str


class Record(_Message, frozen=True):
    """Write what the far end says into a new file; Recorded tells when that is over."""

    leg: str
    recording: str
    file: str
    limit_seconds: float
    silence_seconds: float
    """Of silence after which it ends; 0: it does not."""


class StopRecording(_Message, frozen=True):
    leg: str


class Close(_Message, frozen=True):
    """Answered by Closed."""

    leg: str


LegCommand = Agree | Play | Music | Echo | Silence | Bridge | SendDigits | Record | StopRecording | Close
"""What may be asked of an open leg; asked of another, it is passed over."""

Command = Configure | Reserve | Open | LegCommand


class Ready(_Message, frozen=True):
    """The worker took its configuration."""


class Reserved(_Message, frozen=True):
    port: int
    fault: str = ""
    """Why the port could not be had; empty: it is ours."""


class Opened(_Message, frozen=True):
    leg: str
    fault: str = ""
    """Why the port could not be had; empty: it is ours."""


class Closed(_Message, frozen=True):
    leg: str
    received: int
    sent: int
    lost: int
    dropped: int
    jitter_seconds: float
    far_lost: int
    far_jitter_seconds: float
    round_trip_seconds: float


class Digit(_Message, frozen=True):
    leg: str
    digit: str


class Ended(_Message, frozen=True):
    leg: str
    playback: str


class TimedOut(_Message, frozen=True):
    leg: str


class Recorded(_Message, frozen=True):
    """The file is finished; its leg may be closed already."""

    leg: str
    recording: str
    seconds: float
    sound_seconds: float
    why: str


class Problem(_Message, frozen=True):
    """Something for the log that changes nothing else, such as a file that cannot be played."""

    leg: str
    text: str


Event = Ready | Reserved | Opened | Closed | Digit | Ended | TimedOut | Recorded | Problem

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[Command])
_events = msgspec.msgpack.Decoder(list[Event])


def encode(messages: Sequence[Command | Event]) -> Iterator[bytes]:
    """Messages in order, in as few writes as the bound on their size allows.

    Raises ValueError for one message that is longer than the bound.
    """
    data = _encoder.encode(messages)
    if len(data) <= MAX_MESSAGE:
        yield data
    elif len(messages) == 1:
        raise ValueError(f"a message of {len(data)} bytes is too long for a media worker")
    else:
        half = len(messages) // 2
        yield from encode(messages[:half])
        yield from encode(messages[half:])


def decode_commands(data: bytes) -> list[Command]:
    return _commands.decode(data)


def decode_events(data: bytes) -> list[Event]:
    return _events.decode(data)
