"""When to refuse work so that the work taken in is done well. No I/O; time is an argument, in seconds.

A call is refused while too many are live, while they come too fast, or while the event loop runs late.
Registrations have a share of their own: a storm of them is spread out by Retry-After and never delays a call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

Cause = Literal["too-many-calls", "too-many-calls-a-second", "lag", "too-many-registrations"]

_SMOOTHING = 0.3
"""Weight of the newest sample of lag: one hiccup is no overload, half a second of them is."""
_QUIET_SECONDS = 1.0
"""Nothing refused for so long: the overload is over."""
_REMEMBERED_SECONDS = 32.0
"""64*T1 (RFC 3261 section 17.1.1.2): the peer repeats no request for longer."""
_MAX_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class OverloadLimits:
    """Rates a second; a burst is what may come at once."""

    max_calls: int
    calls_per_second: float
    calls_burst: int
    lag_seconds: float
    registers_per_second: float
    registers_burst: int


@dataclass(frozen=True, slots=True)
class Changed:
    """An overload began, or is over after `seconds` in which `refused` requests were turned away."""

    what: Literal["calls", "registrations"]
    entered: bool
    cause: Cause
    seconds: float = 0.0
    refused: int = 0


class Overload:
    """The state of one node. `on_change` hears of each beginning and end."""

    def __init__(self, limits: OverloadLimits, on_change: Callable[[Changed], None]) -> None:
        self._limits = limits
        self._calls = _Bucket(limits.calls_per_second, limits.calls_burst)
        self._registers = _Bucket(limits.registers_per_second, limits.registers_burst)
        self._call_episode = _Episode("calls", on_change)
        self._register_episode = _Episode("registrations", on_change)
        self._refused: OrderedDict[int, float] = OrderedDict()
        self.lag = 0.0
        """Smoothed seconds that the event loop runs late."""

    @property
    def active(self) -> bool:
        """Whether calls are being refused."""
        return self._call_episode.active

    def lagged(self, seconds: float, now: float) -> None:
        """One sample of the loop's lag; to be told several times a second, for it ends overloads as well."""
        self.lag += _SMOOTHING * (min(seconds, 10 * self._limits.lag_seconds) - self.lag)
        if self._is_late:
            self._call_episode.refuse("lag", now, count=0)
        self._call_episode.look(now)
        self._register_episode.look(now)

    def refuses_call(self, live: int, request: int, now: float) -> Cause | None:
        """Why a new call is not to be taken, or None. `request` tells one INVITE from others.

        A repetition of one that was refused is refused again: its caller has been told so, and would leave
        a call behind that nobody wants.
        """
        cause: Cause | None = None
        if live >= self._limits.max_calls:
            cause = "too-many-calls"
        elif self._is_late:
            cause = "lag"
        elif self._calls.level(now) < 1.0:
            cause = "too-many-calls-a-second"
        elif self._refused.get(request, now) > now:
            return "too-many-calls-a-second"
        if cause is not None:
            self._call_episode.refuse(cause, now)
            self._remember(request, now)
        return cause

    def took_call(self, now: float) -> None:
        """A call was taken in."""
        self._calls.take(now)

    def refuses_register(self, now: float, *, known: bool) -> Cause | None:
        """Why a REGISTER is to come later, or None. Half of the share is kept for known sources."""
        floor = 1.0 if known else 1.0 + self._limits.registers_burst / 2
        if not self._is_late and self._registers.level(now) >= floor:
            self._registers.take(now)
            return None
        self._register_episode.refuse("too-many-registrations", now)
        return "too-many-registrations"

    @property
    def _is_late(self) -> bool:
        return self.lag > self._limits.lag_seconds

    def _remember(self, request: int, now: float) -> None:
        self._refused[request] = now + _REMEMBERED_SECONDS
        while len(self._refused) > _MAX_REMEMBERED or next(iter(self._refused.values())) <= now:
            self._refused.popitem(last=False)


def retry_after(call_id: str, least: int, spread: int) -> str:
    """Seconds to wait, different for each caller, so that they do not all come back at once."""
    return str(least + crc32(call_id.encode("utf-8", "replace")) % (spread + 1))


class _Bucket:
    """`burst` at once, then `rate` a second."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._level, self._at = self._burst, 0.0

    def level(self, now: float) -> float:
        return min(self._burst, self._level + max(0.0, now - self._at) * self._rate)

    def take(self, now: float) -> None:
        self._level, self._at = self.level(now) - 1.0, now


class _Episode:
    """From the first refusal until nothing was refused for a while."""

    __slots__ = ("_began", "_cause", "_last", "_on_change", "_refused", "_what", "active")

    def __init__(self, what: Literal["calls", "registrations"], on_change: Callable[[Changed], None]) -> None:
        self._what: Literal["calls", "registrations"] = what
        self._on_change = on_change
        self._cause: Cause = "lag"
        self._began = self._last = 0.0
        self._refused = 0
        self.active = False

    def refuse(self, cause: Cause, now: float, *, count: int = 1) -> None:
        self._last = now
        self._refused += count
        if not self.active:
            self.active, self._began, self._cause, self._refused = True, now, cause, count
            self._on_change(Changed(self._what, True, cause))

    def look(self, now: float) -> None:
        if self.active and now - self._last >= _QUIET_SECONDS:
            self.active = False
            self._on_change(
                Changed(self._what, False, self._cause, max(0.0, self._last - self._began), self._refused)
            )
