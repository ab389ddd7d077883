"""What the phones reported, counted; and whether the service's records agree with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_DEAF_AFTER_SECONDS = 2.0
ANSWERED, GAVE_UP = "talked", ("left-early", "gave-up")


@dataclass(slots=True)
class Tally:
    """Running counts. Feed it the lines of the phones in any order."""

    made: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    registered: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    """A sentence for each call that did not go as its phone had planned."""
    callers: set[str] = field(default_factory=set)
    """Numbers that called, each once."""

    def feed(self, line: str) -> None:
        """Take one JSON line; anything else is passed over (a phone's warning on standard output)."""
        try:
            report = json.loads(line)
        except ValueError:
            return
        match report:
            case {"event": "registered", "user": str(user)}:
                self.registered.add(user)
            case {"event": "not-registered", "user": str(user), "status": status}:
                self.lost.append(f"phone {user} could not register (last status {status})")
            case {"event": "calling", "user": str(user)}:
                self.made += 1
                self.callers.add(user)
            case {"event": "ended", "ending": str()}:
                self._caller_ended(report)
            case {"event": "ended", "talked": True}:
                self._agent_ended(report)

    def _caller_ended(self, report: Mapping[str, Any]) -> None:
        self.endings[report["ending"]] += 1
        if report["ending"] == ANSWERED:
            self.waits.append(report["waited"])
        if report["lost"]:
            self.lost.append(
                f"{report['user']} to {report['number']}: {report['ending']} ({report['cause']})"
            )

    def _agent_ended(self, report: Mapping[str, Any]) -> None:
        if not report["heard"] and report["seconds"] >= _DEAF_AFTER_SECONDS:
            self.lost.append(f"agent {report['user']} talked for {report['seconds']} s and heard nobody")

    @property
    def ended(self) -> int:
        return sum(self.endings.values())

    @property
    def answered(self) -> int:
        return self.endings[ANSWERED]

    @property
    def gave_up(self) -> int:
        return sum(self.endings[name] for name in GAVE_UP)

    def compare(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """What is wrong with the records: each caller must have exactly one."""
        found = Counter(record["caller"] for record in records)
        wrong = [f"{caller}: no call record" for caller in sorted(self.callers - set(found))]
        twice = (caller for caller in self.callers if found[caller] > 1)
        wrong += [f"{caller}: {found[caller]} call records" for caller in sorted(twice)]
        wrong += [
            f"{record['caller']}: recorded as failed ({record['cause']})"
            for record in records
            if record["outcome"] == "failed" and record["caller"] in self.callers
        ]
        return wrong


def mean(values: Sequence[float]) -> float:
    """0 for nothing."""
    return sum(values) / len(values) if values else 0.0
