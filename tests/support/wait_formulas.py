"""The expected wait beside the formulas in use elsewhere: how far each was off for each caller of a day."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from routing.estimate import Durations, Habits, Waiter
from routing.outlook import Outlook
from tests.support.centre_day import DAY, KINDS, RING, WRAPUP, Caller, Day

OURS = "expected wait"


class Formulas:
    """The expected waits that are in use elsewhere, each fed with the same day."""

    def __init__(self) -> None:
        self._asterisk: dict[str, float] = defaultdict(float)
        self._handled: dict[str, list[float]] = defaultdict(list)

    def told(self, caller: Caller) -> dict[str, float]:
        queue, queued = caller.kind.queue, caller.ahead + 1
        handling = fmean(self._handled[queue])
        share = caller.kind.calls_per_hour / sum(kind.calls_per_hour for kind in KINDS)
        return {
            "moving average of waits": self._asterisk[queue],
            "handling x queued / agents": handling * queued / caller.serving,
            "handling x queued / (agents x share)": handling * queued / (caller.serving * share),
        }

    def answered(self, caller: Caller) -> None:
        assert caller.answered is not None
        old, new = self._asterisk[caller.kind.queue], caller.answered - caller.came
        self._asterisk[caller.kind.queue] = (3 * old + new) / 4
        self._handled[caller.kind.queue].append(RING + caller.talk + WRAPUP)


def habits_of(day: Day) -> dict[str, Habits]:
    """As another day taught them."""
    found = {}
    for kind in KINDS:
        mine = [caller for caller in day.callers if caller.kind == kind]
        served = [caller for caller in mine if caller.answered is not None]
        waited = sum((caller.answered or caller.gives_up) - caller.came for caller in mine)
        stages = {
            "ring": Durations.of(RING),
            "talk": Durations.of(*(caller.talk for caller in served)),
            "wrapup": Durations.of(WRAPUP),
        }
        found[kind.queue] = Habits(stages, (len(mine) - len(served)) / max(waited, 1.0))  # type: ignore[arg-type]
    return found


def errors_of(day: Day, habits: dict[str, Habits]) -> dict[str, list[float]]:
    """Absolute errors in seconds of each way to tell the wait, of callers who waited and were answered."""
    formulas, errors = Formulas(), defaultdict(list)
    done = sorted((c for c in day.callers if c.answered is not None), key=lambda c: c.answered or 0.0)
    heard = 0
    for caller in day.callers:
        while heard < len(done) and (done[heard].answered or 0.0) + done[heard].talk < caller.came:
            formulas.answered(done[heard])
            heard += 1
        if caller.seen is None or caller.answered is None or caller.came < DAY / 8:
            continue
        actual = caller.answered - caller.came
        agents, waiters = caller.seen
        came_ms = round(caller.came * 1000)
        me = Waiter("me", caller.kind.requirement, came_ms)
        expected = Outlook(agents, waiters, habits, came_ms).of(me, came_ms)
        assert expected is not None
        errors[OURS].append(abs(expected - actual))
        for name, told in formulas.told(caller).items():
            errors[name].append(abs(told - actual))
    return errors
