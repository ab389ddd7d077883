"""Token buckets by source address, bounded in number. No I/O; time is an argument."""

from __future__ import annotations

from collections import OrderedDict


class TokenBuckets:
    """One bucket a source: `burst` at once, then `rate` a second.

    At most `sources` buckets are kept; the one unused longest makes room. A source that is
    forgotten begins anew with a full bucket, so the table is sized well above what one host can forge
    in the time that a bucket takes to fill.
    """

    def __init__(self, *, rate: float, burst: int, sources: int = 20_000) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._sources = sources
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, source: str, now: float) -> bool:
        """Take one token; False where the bucket is empty."""
        level = self._level(source, now)
        allowed = level >= 1.0
        self._store(source, level - 1.0 if allowed else level, now)
        return allowed

    def give_back(self, source: str, now: float, tokens: int = 1) -> None:
        """Return tokens that should not have been charged."""
        if source in self._buckets:
            self._store(source, min(self._burst, self._level(source, now) + tokens), now)

    def is_empty(self, source: str, now: float) -> bool:
        """Whether the next `take` would be refused."""
        return self._level(source, now) < 1.0

    def seconds_to_token(self, source: str, now: float) -> float:
        """How long until one token is there again."""
        return max(0.0, (1.0 - self._level(source, now)) / self._rate)

    def _level(self, source: str, now: float) -> float:
        found = self._buckets.get(source)
        if found is None:
            return self._burst
        level, at = found
        return min(self._burst, level + (now - at) * self._rate)

    def _store(self, source: str, level: float, now: float) -> None:
        self._buckets[source] = (level, now)
        self._buckets.move_to_end(source)
        if len(self._buckets) > self._sources:
            self._buckets.popitem(last=False)
