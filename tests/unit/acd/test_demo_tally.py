"""What the demo calls lost."""

from __future__ import annotations

import json

from acd.demo.tally import Tally


def say(tally: Tally, **report: object) -> None:
    tally.feed(json.dumps({"at": 1.0, **report}))


def ended(tally: Tally, caller: str, ending: str, *, lost: bool, waited: float = 1.0) -> None:
    say(tally, event="calling", user=caller, number="+3726000100", plan="talk")
    say(
        tally,
        event="ended",
        user=caller,
        number="+3726000100",
        ending=ending,
        lost=lost,
        cause="x",
        waited=waited,
    )


def record(caller: str, outcome: str = "answered") -> dict[str, object]:
    return {"caller": caller, "outcome": outcome, "cause": "normal", "wait_seconds": 1.0}


def test_a_conversation_and_a_caller_who_leaves_are_not_lost() -> None:
    tally = Tally()
    ended(tally, "+1", "talked", lost=False, waited=3.0)
    ended(tally, "+2", "left-early", lost=False)
    assert (tally.made, tally.answered, tally.gave_up, tally.lost) == (2, 1, 1, [])
    assert tally.waits == [3.0]
    assert tally.compare([record("+1"), record("+2", "abandoned")]) == []


def test_a_dropped_call_is_lost() -> None:
    tally = Tally()
    ended(tally, "+1", "dropped", lost=True)
    assert len(tally.lost) == 1


def test_an_agent_who_talks_and_hears_nobody_makes_a_lost_call() -> None:
    tally = Tally()
    say(tally, event="ended", user="1001", talked=True, heard=False, seconds=4.0, cause="x")
    say(tally, event="ended", user="1001", talked=True, heard=False, seconds=0.1, cause="x")
    assert len(tally.lost) == 1


def test_each_caller_must_have_exactly_one_record() -> None:
    tally = Tally()
    for caller in ("+1", "+2", "+3"):
        ended(tally, caller, "talked", lost=False)
    problems = tally.compare([record("+1"), record("+2"), record("+2"), record("+9")])
    assert problems == ["+3: no call record", "+2: 2 call records"]


def test_a_record_of_a_failure_is_a_lost_call() -> None:
    tally = Tally()
    ended(tally, "+1", "talked", lost=False)
    assert len(tally.compare([record("+1", "failed")])) == 1


def test_a_phone_that_cannot_register_is_reported() -> None:
    tally = Tally()
    say(tally, event="not-registered", user="1001", status=403)
    assert "403" in tally.lost[0]


def test_noise_between_the_reports_is_passed_over() -> None:
    tally = Tally()
    for line in ("", "not json", "[]", "7", '{"event": 1}', '{"event": "ended"}'):
        tally.feed(line)
    assert tally == Tally()
