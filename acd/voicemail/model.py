"""A voice message that was taken, and how many a box has."""

from __future__ import annotations

import msgspec

from acd.calls.messages import NewMessage


class Message(NewMessage, frozen=True):
    """One that can be listened to. Times in seconds since the epoch."""

    node: str = ""
    """Where it was taken; its audio lies there, or in the folder that the nodes share."""
    seconds: float = 0.0
    heard_at: float | None = None
    heard_by: str = ""
    """The agent who listened first, or "api"."""


class BoxCount(msgspec.Struct, frozen=True):
    new: int = 0
    heard: int = 0

    @property
    def all(self) -> int:
        return self.new + self.heard
