"""When callers leave a queue, and where to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from routing.overflow import Conditions

QUEUE_FULL = ("queue-full",)
NOBODY_THERE = ("nobody-there",)
"""What who cannot wait in a queue hears, in prompts."""
OverflowKind = Literal["queue", "leads", "number", "extension", "flow", "voicemail", "message"]
OVERFLOW_KINDS: tuple[OverflowKind, ...] = get_args(OverflowKind)
AbsentState = Literal["paused", "not-answering", "wrap-up", "busy"]


@dataclass(frozen=True, slots=True)
class OverflowRule:
    """When callers leave a queue, and where to: one of OVERFLOW_KINDS."""

    when: Conditions
    queue: str = ""
    place: Literal["keep", "last"] = "keep"
    """In that queue: with the age and priority so far, or behind everybody with priority 0."""
    leads: str = ""
    """A team whose leads may take the call from then on; it stays in its place."""
    instead: bool = False
    """Only they may, and no longer the agents of the queue."""
    number: str = ""
    extension: str = ""
    flow: str = ""
    voicemail: str = ""
    """A box: `agent:`, `extension:`, `queue:` or `box:` and its name."""
    message: tuple[str, ...] = ()
    """Prompts."""
    then: Literal["hang-up", "wait"] = "hang-up"
    """After the message: let go, or wait on in the same place."""

    @property
    def kind(self) -> OverflowKind:
        """What is set of them."""
        return next(kind for kind in OVERFLOW_KINDS if getattr(self, kind))

    @property
    def leaves(self) -> bool:
        """Whether the wait in the queue is over."""
        return not self.leads and (not self.message or self.then == "hang-up")

    @property
    def to(self) -> str:
        """What that leads to, in words."""
        return " ".join(self.message) if self.message else str(getattr(self, self.kind))

    def __str__(self) -> str:
        return f"{self.when} -> {self.kind} {self.to}"
