"""An agent's phones, rung together: the first that answers has the call (RFC 3261 section 16.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from acd.directory.model import Agent
from acd.sip.core.events import LegAnswered, LegEnded, LegEvent, LegProgressed

ELSEWHERE = "Call completed elsewhere"
"""RFC 3326: why the other phones stop ringing; they then show no missed call."""

_REFUSED_FOR_ALL = range(600, 700)
_NOT_THERE = frozenset((404, 408, 410, 430, 480))


def _worth(ended: LegEnded) -> int:
    """What a person did outweighs what a phone says, and that what a network says."""
    if ended.status in _REFUSED_FOR_ALL:
        return 0
    if ended.status == 486:
        return 1
    if ended.by == "remote" and ended.status not in _NOT_THERE:
        return 2
    return 3 if ended.status == 480 else 4 if ended.by == "remote" else 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an event of one phone: what calls are told, and which phones are to stop, and why."""

    told: LegEvent | None = None
    hang_up: tuple[str, ...] = ()
    reason: str = ""


@dataclass(slots=True)
class RingGroup:
    """One offer to one agent. Calls know it by `leg` alone; `phones` are the legs that still live."""

    leg: str
    agent: Agent
    phones: list[str] = field(default_factory=list)
    answered: str = ""
    """The phone that has the call."""
    _stopped: set[str] = field(default_factory=set)
    _failed: list[LegEnded] = field(default_factory=list)

    def add(self) -> str:
        """One phone more; the name of its leg."""
        name = f"{self.leg}.{len(self.phones) + 1}" if self.phones else self.leg
        self.phones.append(name)
        return name

    @property
    def targets(self) -> Sequence[str]:
        """The phones that a hang-up means."""
        return (self.answered,) if self.answered else tuple(self.phones)

    @property
    def is_over(self) -> bool:
        return not self.phones

    def take(self, event: LegEvent) -> Outcome:
        """Something happened to one phone."""
        match event:
            case LegAnswered() if not self.answered and event.leg not in self._stopped:
                self.answered = event.leg
                others = self._stop_others(event.leg)
                return Outcome(replace(event, leg=self.leg), others, ELSEWHERE)
            case LegAnswered() if event.leg != self.answered:
                return Outcome(hang_up=(event.leg,), reason=ELSEWHERE)
            case LegEnded():
                return self._end(event)
            case LegProgressed() if self.answered or event.leg in self._stopped:
                return Outcome()
            case LegProgressed():
                return Outcome(replace(event, leg=self.leg))
            case _ if event.leg == self.answered:
                return Outcome(replace(event, leg=self.leg))
        return Outcome()

    def _end(self, event: LegEnded) -> Outcome:
        self.phones.remove(event.leg)
        if event.leg == self.answered:
            return Outcome(replace(event, leg=self.leg))
        if self.answered:
            return Outcome()
        self._failed.append(event)
        if not self.phones:
            return Outcome(replace(min(self._failed, key=_worth), leg=self.leg))
        if event.by == "remote" and event.status in _REFUSED_FOR_ALL:
            return Outcome(hang_up=self._stop_others(event.leg), reason="Declined elsewhere")
        return Outcome()

    def _stop_others(self, kept: str) -> tuple[str, ...]:
        others = tuple(phone for phone in self.phones if phone != kept and phone not in self._stopped)
        self._stopped.update(others)
        return others
