"""Boxes: from the file into the tables and back, what is wrong with them, and who may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.agents.codes import find_code
from acd.database import create_engine
from acd.directory.boxes import all_boxes, box_dialled, find_box, may_listen, rules_of
from acd.directory.diff import compare
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Box, Directory, VoicemailRules
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.database import migrate

FILE = """
queues:
  - {name: billing, voicemail: {max_seconds: 60, greeting: [closed], teams: [desk]}}
  - {name: sales, voicemail: false}
agents:
  - {id: anna, extension: "1001", password: secret-one, voicemail: true}
  - {id: bela, extension: "1002", password: secret-two, team: desk, voicemail: {agents: [anna]}}
  - {id: cleo, extension: "1003", password: secret-two}
boxes:
  - {name: reception, number: "12", agents: [cleo], keep_days: 90}
  - {name: lobby}
"""


def read(text: str = FILE) -> Directory:
    return parse_directory(text, "x.yaml", ()).build("acd")


async def test_boxes_come_back_from_the_database_as_they_were_applied(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.db")
    await migrate(engine)
    store, wanted = DirectoryStore(engine, FakeClock()), read()
    await store.apply(wanted, realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert compare(kept, wanted) == ()
    assert kept.agents["anna"].voicemail == VoicemailRules()
    assert kept.boxes["reception"] == Box("reception", "12", VoicemailRules(agents=("cleo",), keep_days=90))
    assert (kept.queues["sales"].voicemail, kept.agents["cleo"].voicemail) == (None, None)


def test_a_box_that_comes_or_changes_is_seen_in_the_difference() -> None:
    changed = read(FILE.replace("{name: lobby}", "{name: attic}").replace('"12"', '"13"'))
    assert [str(change) for change in compare(read(), changed)] == [
        "+ box attic",
        "- box lobby",
        "~ box reception  (number: 12 -> 13)",
    ]


def test_a_box_is_found_by_each_of_its_names() -> None:
    directory = read()
    assert find_box(directory, "extension:1001") == find_box(directory, "agent:anna") == "agent:anna"
    assert find_box(directory, "queue:billing") == "queue:billing"
    for named in ("agent:cleo", "extension:1003", "extension:9", "queue:sales", "box:x", "anna", ""):
        assert find_box(directory, named) is None
    assert set(all_boxes(directory)) == {
        *("agent:anna", "agent:bela", "queue:billing", "box:reception", "box:lobby")
    }
    rules = rules_of(directory, "queue:billing")
    assert rules is not None
    assert (rules.max_seconds, rules.greeting) == (60, ("closed",))


def test_who_may_listen_is_the_agent_and_those_who_are_named() -> None:
    directory = read()
    allowed = {
        box: [agent.id for agent in directory.agents.values() if may_listen(directory, box, agent)]
        for box in all_boxes(directory)
    }
    assert allowed == {
        "agent:anna": ["anna"],
        "agent:bela": ["anna", "bela"],
        "queue:billing": ["bela"],
        "box:reception": ["cleo"],
        "box:lobby": [],
    }


def test_the_number_of_a_box_follows_the_code_for_voicemail() -> None:
    directory = read()
    assert find_code(directory, "*9712") == (directory.codes["*97"], "12")
    assert find_code(directory, "*97") == (directory.codes["*97"], "")
    assert find_code(directory, "*971") is None
    assert find_code(directory, "12") is None
    assert (box_dialled(directory, "*9712"), box_dialled(directory, "*97")) == ("box:reception", None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "{agents: [anna]}",
            "{agents: [ana]}",
            "agents[1].voicemail.agents[0]: there is no agent 'ana'; did you",
        ),
        (
            "teams: [desk]",
            "teams: [dusk]",
            "queues[0].voicemail.teams[0]: no agent is in team 'dusk'; did you",
        ),
        ("agents: [cleo]", "teams: [none]", "boxes[0].teams[0]: no agent is in team 'none'; give it"),
        ("{name: lobby}", '{name: lobby, number: "12"}', "boxes[1].number: *9712 is box 'reception' too"),
        ('number: "12"', 'number: "x"', "boxes[0].number: 'x' is not the number of a box: 1 to 6 digits"),
        ("{name: lobby}", "{name: reception}", "boxes[1].name: 'reception' stands already in boxes[0]"),
        (
            "max_seconds: 60",
            "max_seconds: 1",
            "queues[0].voicemail.max_seconds: must be greater than or equal to 3",
        ),
        ("greeting: [closed]", "greeting: [so so]", "'so so' is not a prompt: 1 to 64 letters"),
        ("voicemail: true", "voicemail: yes please", "agents[0].voicemail: must be a mapping"),
        ("max_seconds: 60", "max_second: 60", "queues[0].voicemail.max_second: no such key"),
    ],
)
def test_what_is_wrong_with_a_box_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert old in FILE
    with pytest.raises(DirectoryError) as caught:
        read(FILE.replace(old, new))
    assert told in str(caught.value)


def test_a_number_of_a_box_that_is_a_code_is_told() -> None:
    codes = 'codes: [{code: "*97", does: voicemail}, {code: "*9712", does: echo}]'
    with pytest.raises(DirectoryError, match=r"\*9712 is the code \*9712 too"):
        read(f"{FILE}\n{codes}")
