"""A voice message: what is known of one that is being left, and of one that is listened to."""

from __future__ import annotations

import msgspec

from acd.errors import AcdError

LEAST_SOUND_SECONDS = 0.5
"""With less sound in it than this it is no message: the caller hung up at the tone."""


class NewMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One that a caller is leaving. Written beside its audio, so that a crash loses neither."""

    id: str
    box: str
    call_id: str
    caller: str
    caller_name: str
    called: str
    queue: str
    received_at: float
    """Seconds since the epoch, at the tone."""


class BoxFull(AcdError):
    """The box has as many messages as it may hold."""

    sip_status = 486
    cause = "box-full"


class MessageImpossible(AcdError):
    """Nothing can be kept now: the folder of messages cannot be written."""

    sip_status = 500
    cause = "no-message"
