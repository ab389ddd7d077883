"""What becomes of an agent who did not take a call: the rules of the queue, as a file says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.calls.steps.refusing import refusal_of
from acd.database import create_engine
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import RefusalRule, Refusals
from acd.directory.store import DirectoryStore
from routing.limits import WHOLE_WAIT_MS
from routing.model import AgentState, Offer, Refusal, RejectReason
from tests.support.clock import FakeClock
from tests.support.database import migrate

TEXT = """
queues:
  - name: billing
    refusals:
      rejected: {rest_seconds: 30, exclude_seconds: wait, not_answering_after: 5}
      no-answer: {pause: missed a call}
      unreachable: {not_answering_after: 1}
      retry_seconds: 12.5
"""


def offer(unanswered: int) -> Offer:
    return Offer("c1", "anna", "billing", 7, 0, unanswered)


def rules_of(text: str) -> Refusals:
    return parse_directory(text, "x", ()).build("acd").queues["billing"].refusals


def test_what_a_file_leaves_out_is_as_without_it() -> None:
    rules = rules_of(TEXT)
    assert rules.rejected == RefusalRule(rest_seconds=30, not_answering_after=5, exclude_seconds=None)
    assert rules.busy == Refusals().busy
    assert rules.no_answer == RefusalRule(rest_seconds=0, not_answering_after=3, pause="missed a call")
    assert rules.unreachable == RefusalRule(not_answering_after=1)
    assert rules.retry_seconds == 12.5
    assert rules_of("queues: [{name: billing}]") == Refusals()


async def test_the_rules_come_back_from_the_database(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(parse_directory(TEXT, "x", ()).build("acd"), realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert kept.queues["billing"].refusals == rules_of(TEXT)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("rest_seconds: 30", "rest_seconds: -1", "refusals.rejected.rest_seconds: must be greater than or"),
        ("exclude_seconds: wait", "exclude_seconds: 9", "exclude_seconds of rejected is less than retry_sec"),
        ("exclude_seconds: wait", "exclude_seconds: ever", "exclude_seconds"),
        ("retry_seconds: 12.5", "retry_seconds: 0", "retry_seconds: must be greater than or equal to 1"),
        ("no-answer", "no_answer", "refusals.no_answer: no such key"),
        ("refusals:", "not_answering_after: 3\n    refusals:", "it is refusals: {no-answer:"),
    ],
)
def test_a_rule_that_cannot_work_is_named(right: str, wrong: str, says: str) -> None:
    with pytest.raises(DirectoryError) as raised:
        parse_directory(TEXT.replace(right, wrong), "x", ())
    assert says in str(raised.value)


@pytest.mark.parametrize("reason", list(RejectReason))
def test_without_rules_one_who_refuses_at_once_rests_and_the_third_absence_counts(
    reason: RejectReason,
) -> None:
    absent = reason in (RejectReason.NO_ANSWER, RejectReason.UNREACHABLE)
    rest_ms = 0 if reason is RejectReason.NO_ANSWER else 5_000
    common = {"rest_ms": rest_ms, "retry_ms": 5_000, "exclude_ms": 60_000, "counts": absent}
    assert refusal_of(Refusals(), offer(1), reason) == Refusal(reason, **common)
    then = AgentState.NOT_ANSWERING if absent else AgentState.AVAILABLE
    assert refusal_of(Refusals(), offer(2), reason) == Refusal(reason, then, **common)


def test_each_way_of_not_taking_a_call_has_its_rule() -> None:
    rules = rules_of(TEXT)
    rejected = refusal_of(rules, offer(0), RejectReason.REJECTED)
    assert (rejected.rest_ms, rejected.exclude_ms, rejected.counts) == (30_000, WHOLE_WAIT_MS, True)
    assert refusal_of(rules, offer(4), RejectReason.REJECTED).then is AgentState.NOT_ANSWERING
    missed = refusal_of(rules, offer(9), RejectReason.NO_ANSWER)
    assert (missed.then, missed.why) == (AgentState.PAUSED, "missed a call")
    assert refusal_of(rules, offer(0), RejectReason.UNREACHABLE).then is AgentState.NOT_ANSWERING
    assert refusal_of(rules, offer(0), RejectReason.BUSY).retry_ms == 12_500
