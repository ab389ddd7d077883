"""Rules of overflow: read from a file, kept in the database, checked against the rest, shown in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.database import create_engine
from acd.directory.diff import compare
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, OverflowRule, Queue
from acd.directory.store import DirectoryStore
from acd.flows import find_loose_ends
from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary
from routing.overflow import Conditions
from tests.support.clock import FakeClock
from tests.support.database import migrate

TEXT = """
queues:
  - name: billing
    max_waiting: 20
    join_when_empty: false
    leave_when_empty: true
    agents_count_as_absent: [wrap-up, busy, wrap-up]
    overflow:
      - {full: true, number: "+3726000300"}
      - {no_agent: true, at: joining, flow: main}
      - {after_seconds: 60, expected_wait_over_seconds: 300, queue: sales, place: last}
      - {after_seconds: 90, message: [please-wait], then: wait}
      - {waiting_over: 3, extension: "1001"}
      - {after_seconds: 120, voicemail: "extension:1001"}
      - {after_seconds: 150, leads: crew, instead: true}
  - {name: sales, overflow: [{after_seconds: 30, queue: last}]}
  - {name: last}
agents:
  - {id: anna, extension: "1001", password: secret1, voicemail: true, team: helpers, leads: [crew]}
  - {id: bert, extension: "1002", password: secret2, team: crew, queues: {sales: 1}, takes: by-priority}
numbers:
  - {number: "+3726000300", queue: last}
"""
FLOWS = ("main",)


def read(text: str = TEXT) -> Directory:
    return parse_directory(text, "x", FLOWS).build("acd")


def test_rules_are_read_in_their_order() -> None:
    queue = read().queues["billing"]
    assert queue.overflow == (
        OverflowRule(Conditions(waiting_over=19), number="+3726000300"),
        OverflowRule(Conditions("joining", no_agent=True), flow="main"),
        OverflowRule(
            Conditions(after_seconds=60, expected_wait_over_seconds=300), queue="sales", place="last"
        ),
        OverflowRule(Conditions(after_seconds=90), message=("please-wait",), then="wait"),
        OverflowRule(Conditions(waiting_over=3), extension="1001"),
        OverflowRule(Conditions(after_seconds=120), voicemail="extension:1001"),
        OverflowRule(Conditions(after_seconds=150), leads="crew", instead=True),
    )
    assert queue.agents_count_as_absent == ("wrap-up", "busy")
    assert [rule.message for rule in queue.rules[7:]] == [("queue-full",), *[("nobody-there",)] * 2]


async def test_rules_come_back_from_the_database(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(read(), realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert kept.queues == read().queues
    assert kept.agents == read().agents


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("queue: sales,", "queue: sale,", "there is no queue 'sale'; did you mean 'sales'?"),
        ("flow: main", "flow: mani", "there is no flow 'mani'; did you mean 'main'?"),
        ('number: "+3726000300"}\n      -', 'number: "+37"}\n      -', "'.37' is not a number"),
        ('3, extension: "1001"', '3, extension: "1009"', "there is no extension '1009'"),
        ("voicemail: true", "voicemail: false", "there is no voicemail box 'extension:1001'"),
        ('"extension:1001"', '"anna"', "'anna' is not a box: write agent:, extension:"),
        ("flow: main", "flow: main, queue: sales", "leads to one of .*; it has queue and flow"),
        (", flow: main", "", "leads to one of .*; it has none"),
        ("no_agent: true, at: joining", "at: joining", "a rule needs a condition"),
        ("no_agent: true,", "no_agent: true, after_seconds: 3,", "who joins has not waited yet"),
        ("waiting_over: 3", "waiting_over: 3, after_seconds: 3", "looked at when a caller joins"),
        ("full: true", "full: true, waiting_over: 3", "keep one of them"),
        ("max_waiting: 20", "", "full in overflow needs max_waiting"),
        ("place: last}\n      -", "then: wait}\n      -", "then is of a rule with a message"),
        ("then: wait}\n      -", "place: last}\n      -", "place is of a rule that leads to a queue"),
        (
            "leads: crew, i",
            "leads: crow, i",
            "overflow.*leads: there is no team 'crow'; did you mean 'crew'?",
        ),
        (
            "leads: crew, i",
            "leads: helpers, i",
            "leads: nobody leads team 'helpers'; write it among the leads",
        ),
        ("queues: {sales: 1}, takes", "takes", "takes: without queues there are no priorities to go by"),
        ("leads: [crew]", "leads: [crow]", "leads.*there is no team 'crow'; did you mean 'crew'?"),
        ("leads: crew, i", "message: [x], i", "instead is of a rule that leads to the leads of a team"),
        ("[please-wait]", "[]", "must not be empty"),
        ("[wrap-up, busy, wrap-up]", "[asleep]", "'paused', 'not-answering', 'wrap-up' or 'busy'"),
        ("queue: last}]", "queue: sales}]", "callers of 'sales' go to itself"),
        ("queue: last}]", "queue: billing}]", "callers of 'sales' go to 'billing', which leads back"),
        (
            "name: last}",
            "name: last, overflow: [{full: true, queue: billing}], max_waiting: 2}",
            "leads back",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_named_with_its_mend(right: str, wrong: str, says: str) -> None:
    assert right in TEXT
    with pytest.raises(DirectoryError, match=says.replace("?", r"\?")):
        read(TEXT.replace(right, wrong))


def test_a_difference_shows_rules_in_words() -> None:
    (change,) = compare(read(), read(TEXT.replace("after_seconds: 90", "after_seconds: 45")))
    (field,) = change.fields
    assert "after 90 s -> message please-wait" in field.before
    assert "after 45 s -> message please-wait" in field.after


def test_a_prompt_or_flow_that_is_not_there_is_told_before_a_caller_meets_it() -> None:
    rules = (
        OverflowRule(Conditions(no_agent=True), message=("nobody-ther",)),
        OverflowRule(Conditions(after_seconds=9), flow="gone"),
    )
    directory = Directory(queues={"q": Queue("q", overflow=rules, max_waiting=3)})
    prompts = PromptLibrary([SHIPPED_PROMPTS])
    assert find_loose_ends(directory, {}, prompts) == [
        "overflow of queue q leads to the flow 'gone', which is not there; put its file into the flow folder,"
        " or give the number another",
        "overflow of queue q: there is no prompt 'nobody-ther'; did you mean 'nobody-there'?",
    ]
