"""Callers who are to be called: what is noted of each, and what their store must do. No I/O here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from routing.limits import CALLBACK_ATTEMPTS_MAX, CALLBACK_DOCUMENT_MAX
from routing.requirement import PRIORITY_WIDTH, check_name


class CallbackState(StrEnum):
    WAITING = "waiting"
    """Its place is in the line, or will be as soon as a node takes it up."""
    RESTING = "resting"
    """Until its time, or the next attempt."""
    MAKING = "making"
    """The customer is being called."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Somebody to call. Times in milliseconds since the epoch."""

    id: str
    queue: str
    number: str
    """A number has one callback a queue; empty where there may be any number of them."""
    enqueued_ms: int
    """The age that counts in the line."""
    document: str
    """Whatever the one who calls needs to know."""
    due_ms: int = 0
    """Not before."""
    expires_ms: int = 0
    """Not after; 0: whenever it may be."""
    attempts: int = 3
    """The most that are made."""
    interval_ms: int = 300_000
    """Between two attempts."""
    made: int = 0
    """Attempts before this; not 0 of one that a store is told again which has lost it."""


@dataclass(frozen=True, slots=True)
class CallbackStatus:
    id: str
    state: CallbackState
    attempts: int
    due_ms: int | None
    """When it rests no longer."""
    document: str


class CallbackStore(Protocol):
    """Each callback ends once: done, failed, cancelled or expired. Every operation may be repeated.

    Each raises StoreUnavailable where the store does not answer.
    """

    async def add(self, callback: Callback, node: str, now_ms: int) -> str:
        """Note it, looked after by `node` ("" for whoever claims it). Returns the id that is in force for
        its number: another one where there was one already. Raises ValueError for what cannot be kept."""

    async def claim(self, node: str, most: int, now_ms: int) -> Sequence[tuple[str, str]]:
        """Look after what nobody does; id and document of all that this node is to put in line."""

    async def hold(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        """Whether this node still looks after it; None where the store has never heard of it."""

    async def begin(self, callback_id: str, node: str, now_ms: int, *, said: int = ...) -> int:
        """The number of the attempt that may be made now; 0 where it is not this node's to make. `said` is
        the number of one that has begun: it is put back where the store has forgotten it."""

    async def unreached(self, callback_id: str, node: str, attempt: int, why: str, now_ms: int) -> str:
        """The attempt came to nothing; that it began may have been forgotten. Returns "resting", "failed" or
        "expired", "" for an old word."""

    async def release(self, callback_id: str, node: str, now_ms: int) -> None:
        """Look after it no longer; no attempt has begun."""

    async def done(self, callback_id: str, node: str, now_ms: int) -> bool:
        """The two have talked, and nobody is to call, whatever was known of it. False where it had ended."""

    async def cancel(self, callback_id: str, node: str, now_ms: int) -> bool | None:
        """It is not to be made; `node` is the one that says so. False where there is none such, None where
        it is being made."""

    async def find(self, callback_id: str) -> CallbackStatus | None:
        """One that has not ended."""

    async def say_again(self, now_ms: int) -> int:
        """The store has lost what it knew last: what it heard in the last minute through this object is said
        once more, in order. How many words."""

    async def of(self, queue: str, most: int) -> Sequence[CallbackStatus]:
        """The oldest of a queue."""


def check_callback(callback: Callback) -> None:
    """Raises ValueError for one that cannot be kept, saying why."""
    for name in (callback.id, callback.queue, *([callback.number] if callback.number else [])):
        check_name(name)
    for time in (callback.enqueued_ms, callback.due_ms, callback.expires_ms):
        if not 0 <= time < PRIORITY_WIDTH:
            raise ValueError(f"{time} ms is not a time since the epoch")
    if not 1 <= callback.attempts <= CALLBACK_ATTEMPTS_MAX:
        raise ValueError(f"{callback.attempts} attempts are not within 1-{CALLBACK_ATTEMPTS_MAX}")
    if not 0 <= callback.made < callback.attempts:
        raise ValueError(f"{callback.made} of {callback.attempts} attempts are made")
    if callback.interval_ms < 0:
        raise ValueError(f"interval {callback.interval_ms} ms is negative")
    if len(callback.document) > CALLBACK_DOCUMENT_MAX:
        raise ValueError(f"the document is longer than {CALLBACK_DOCUMENT_MAX} characters")
