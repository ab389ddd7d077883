"""When the store could not be used, for how long, and what had become of it: one line each, and counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

log = logging.getLogger(__name__)


SAID_AGAIN = (
    "waiting",
    "ringing",
    "talking",
    "callbacks",
    "callbacks-kept",
    "agents",
    "phones",
    "records",
)
"""What is said again after an outage: calls that do this, the latest words about callbacks, callbacks that
were lost and are in the history, agents, registrations, the latest records."""


class Trouble(StrEnum):
    """What had happened to the store, as it is known once it is back."""

    AWAY = "away"
    """It did not answer, and has everything."""
    LEASE = "lease"
    """It answered, and took this node for dead."""
    RESTARTED = "restarted"
    """Another process has its data, which may lack what was written last."""
    WENT_BACK = "went-back"
    """It lacks what it had acknowledged."""
    EMPTIED = "emptied"
    """It had nothing any more."""


class Outages:
    """Of one node. `seconds` is any steady clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self.counts: Counter[Trouble] = Counter()
        """How many of each kind are over."""
        self.said_again: Counter[str] = Counter()
        """How many of SAID_AGAIN after all of them."""

    @property
    def is_on(self) -> bool:
        """Whether the store failed to answer and has not answered since."""
        return self._since is not None

    def begin(self, error: Exception) -> None:
        """The store does not answer; known already, nothing happens."""
        if self._since is None:
            self._since = self._seconds()
            log.warning("routing: the store is away: %s", error)

    def end(self, trouble: Trouble) -> None:
        """The store answers (again). Where it was away, that is what the outage counts as."""
        if self._since is None:
            log.warning("routing: %s", _TOLD[trouble])
        else:
            lasted, self._since = self._seconds() - self._since, None
            log.warning("routing: the store is back after %.1f s: %s", lasted, _TOLD[trouble])
            trouble = Trouble.AWAY if trouble is Trouble.LEASE else trouble
        self.counts[trouble] += 1

    def note_said_again(self, what: Mapping[str, int]) -> None:
        """Everything that the store may have forgotten has been said again."""
        self.said_again.update(what)
        told = ", ".join(f"{what[name]} {name}" for name in SAID_AGAIN if what.get(name))
        log.warning("routing: said again: %s", told or "nothing, for there is nothing")


_TOLD: Mapping[Trouble, str] = {
    Trouble.AWAY: "it has what it had",
    Trouble.LEASE: "the lease had run out",
    Trouble.RESTARTED: "it began anew with its data, and may lack the last of it",
    Trouble.WENT_BACK: "it went back, and lacks what it had acknowledged",
    Trouble.EMPTIED: "it has lost everything",
}
