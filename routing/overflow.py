"""When a caller leaves a queue for elsewhere: the first of its rules that holds. Pure.

All conditions that a rule names must hold; what is not known of a caller never makes one hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Moment = Literal["any", "joining", "waiting"]
"""When a rule is looked at: as the caller comes, later, or both."""
Why = Literal["no-agent", "expected-wait", "waiting", "waited"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be so, all of it. How long the line is matters only to who joins it."""

    at: Moment = "any"
    after_seconds: float = 0.0
    """Of waiting in this queue; 0: at once."""
    waiting_over: int | None = None
    """More others than these wait there."""
    expected_wait_over_seconds: float | None = None
    """An agent is expected later than so."""
    no_agent: bool = False
    """Nobody is there who could take the call."""

    @property
    def only_time(self) -> bool:
        """Nothing but the waiting time decides."""
        return self.waiting_over is None and self.expected_wait_over_seconds is None and not self.no_agent

    def __str__(self) -> str:
        words = {
            "at": self.at != "any" and self.at,
            "after": self.after_seconds and f"after {self.after_seconds:g} s",
            "line": self.waiting_over is not None and f"more than {self.waiting_over} waiting",
            "wait": self.expected_wait_over_seconds is not None
            and f"expected wait over {self.expected_wait_over_seconds:g} s",
            "agents": self.no_agent and "no agent",
        }
        return ", ".join(str(word) for word in words.values() if word)

    @property
    def why(self) -> Why:
        """The one word for it, where it held."""
        if self.no_agent:
            return "no-agent"
        if self.expected_wait_over_seconds is not None:
            return "expected-wait"
        return "waited" if self.waiting_over is None else "waiting"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one caller and queue. None: not known."""

    joining: bool = False
    waited_seconds: float = 0.0
    waiting: int | None = None
    """Others in the line."""
    expected_seconds: float | None = None
    """From now until an agent answers."""
    agent_there: bool | None = None
    """Somebody who could take the call now, or after a step that relaxes what it asks for."""


def decide(rules: Sequence[Conditions], situation: Situation, spent: Collection[int] = ()) -> int | None:
    """Which rule the caller goes by; None where none holds. `spent` are not looked at."""
    held = (n for n, rule in _open(rules, spent) if holds(rule, situation))
    return next(held, None)


def holds(rule: Conditions, situation: Situation) -> bool:
    """Whether all of it is known to be so."""
    if rule.at != "any" and (rule.at == "joining") != situation.joining:
        return False
    if situation.waited_seconds < rule.after_seconds:
        return False
    if rule.waiting_over is not None and (
        not situation.joining or situation.waiting is None or situation.waiting <= rule.waiting_over
    ):
        return False
    expected = situation.expected_seconds
    if rule.expected_wait_over_seconds is not None and (
        expected is None or expected <= rule.expected_wait_over_seconds
    ):
        return False
    return not rule.no_agent or situation.agent_there is False


def next_time(
    rules: Sequence[Conditions], waited_seconds: float, spent: Collection[int] = ()
) -> float | None:
    """The waiting time at which time alone decides next, later than `waited_seconds`."""
    times = (rule.after_seconds for _, rule in _open(rules, spent) if rule.only_time)
    return min((time for time in times if time > waited_seconds), default=None)


def asks_who_joins(rules: Sequence[Conditions]) -> bool:
    """Whether more must be known of a caller who comes than that they do."""
    return any(not rule.only_time and rule.at != "waiting" and rule.after_seconds <= 0 for rule in rules)


def asks_who_waits(rules: Sequence[Conditions], spent: Collection[int] = ()) -> bool:
    """Whether more must be known of a caller who waits than how long."""
    return any(
        not rule.only_time and rule.at != "joining" and rule.waiting_over is None
        for _, rule in _open(rules, spent)
    )


def _open(rules: Sequence[Conditions], spent: Collection[int]) -> Iterator[tuple[int, Conditions]]:
    return ((n, rule) for n, rule in enumerate(rules) if n not in spent)
