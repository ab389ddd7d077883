"""What goes wrong, drawn from one seeded source."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

ANSWER_LIMIT_MS = 5_000
"""How long a node waits for the store's answer before it says the word again."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances (0-1), and mean times between failures of one node (ms, 0 never)."""

    lost: float = 0.0
    """Of a word to the store."""
    unanswered: float = 0.0
    """Of a word that the store carries out without its answer coming back: it is said twice."""
    late: float = 0.0
    """Of a word that is given up, said again, and arrives then after all, after later ones."""
    slow: float = 0.0
    """Of a word, or a message of the store, that takes up to three seconds: others overtake it."""
    cut_every_ms: int = 0
    """The store is out of reach for 2-90 s, which may be longer than the lease."""
    freeze_every_ms: int = 0
    """The node stands still for 1-70 s, more than twice its lease, and goes on as if nothing had been."""
    crash_every_ms: int = 0
    """The node dies with its calls, and begins anew after 1-60 s."""

    clock_every_ms: int = 0
    """Somebody sets the clock of the store's machine, forward or back by up to five minutes."""
    wrong_clocks: bool = False
    """The nodes' own clocks are off by up to five minutes."""

    loss_every_ms: int = 0
    """The store is another process all at once, with the data of up to 5 s ago, or without any."""


CALM = Faults()
STORM = Faults(
    lost=0.004,
    unanswered=0.006,
    late=0.004,
    slow=0.03,
    cut_every_ms=900_000,
    freeze_every_ms=1_200_000,
    crash_every_ms=1_200_000,
    loss_every_ms=700_000,
    clock_every_ms=1_500_000,
    wrong_clocks=True,
)


class Fate(Enum):
    """What becomes of one word to the store."""

    HEARD = 0
    LOST = 1
    UNANSWERED = 2
    LATE = 3


class Weather:
    """Draws the fate of each word. Faults may change at any time."""

    def __init__(self, source: random.Random, faults: Faults) -> None:
        self.faults = faults
        self._source = source

    def fate(self) -> Fate:
        faults, drawn = self.faults, self._source.random()
        for fate, chance in (
            (Fate.LOST, faults.lost),
            (Fate.UNANSWERED, faults.unanswered),
            (Fate.LATE, faults.late),
        ):
            if drawn < chance:
                return fate
            drawn -= chance
        return Fate.HEARD

    def delay_ms(self) -> int:
        """Of a word, an answer or a message on its way."""
        source = self._source
        if self.faults.slow and source.random() < self.faults.slow:
            return source.randrange(100, 3_000)
        return 1 + int(source.random() * 8)

    def lateness_ms(self) -> int:
        """Of a word that was given up."""
        return self._source.randrange(ANSWER_LIMIT_MS, 25_000)

    def until_cut_ms(self) -> int | None:
        return self._until(self.faults.cut_every_ms)

    def until_freeze_ms(self) -> int | None:
        return self._until(self.faults.freeze_every_ms)

    def frozen_ms(self) -> int:
        return self._source.randrange(1_000, 70_000)

    def until_loss_ms(self) -> int | None:
        return self._until(self.faults.loss_every_ms)

    def lost_ms(self) -> int:
        """How far the store goes back; 0 is to the beginning."""
        return 0 if self._source.random() < 0.25 else self._source.randrange(50, 5_000)

    def until_crash_ms(self) -> int | None:
        return self._until(self.faults.crash_every_ms)

    def cut_ms(self) -> int:
        return int(self._source.choice((2_000, 8_000, 20_000, 45_000, 90_000)) * self._source.random())

    def until_clock_ms(self) -> int | None:
        return self._until(self.faults.clock_every_ms)

    def set_clock_ms(self) -> int:
        """By how much somebody sets a clock."""
        return self._source.randrange(-300_000, 300_000)

    def wall_error_ms(self) -> int:
        """By how much a node's own clock is off."""
        return self.set_clock_ms() if self.faults.wrong_clocks else 0

    def down_ms(self) -> int:
        return self._source.randrange(1_000, 60_000)

    def _until(self, mean_ms: int) -> int | None:
        return int(self._source.expovariate(1 / mean_ms)) if mean_ms else None
