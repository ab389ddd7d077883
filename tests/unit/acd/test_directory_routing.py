"""What a queue asks of agents: read from a file, kept in the database, checked against the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.database import create_engine
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.database import migrate

TEXT = """
skills: [billing, lang-et]
queues:
  - name: billing
    requires: {billing: 5}
    any_of: [{billing: 1, lang-et: 2}]
    teams: [a]
    languages: [et, en]
    order_by: target
    weight: 4
    strategy: least-skilled
    relax:
      - {after_seconds: 30, requires: {billing: 3}}
      - {after_seconds: 60, teams: [b], any_language: true}
    lends_while: {waiting_at_most: 1, longest_wait_under_seconds: 8, free_agents_at_least: 2}
  - {name: support}
agents:
  - id: anna
    extension: "1001"
    password: secret1
    team: a
    queues: {billing: 2, support: {priority: 3, lent_by: billing}}
    order: 3
    weight: 7
  - {id: bert, extension: "1002", password: secret2, team: b}
"""


async def test_what_is_asked_of_agents_comes_back_from_the_database(tmp_path: Path):
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    wanted = parse_directory(TEXT, "x", ()).build("acd")
    store = DirectoryStore(engine, FakeClock())
    await store.apply(wanted, realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert (kept.queues, kept.agents) == (wanted.queues, wanted.agents)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("teams: [b]", "teams: [c]", "no agent is in team 'c'"),
        ("lent_by: billing", "lent_by: support", "'support' is no queue of this agent's own"),
        ("waiting_at_most: 1,", "waiting_at_most: -1,", "greater than or equal to 0"),
        ("    lends_while: ", "    # ", "queue 'billing' does not say when it lends; give it lends_while"),
        ("queues: {billing: 2,", "queues: {biling: 2,", "no queue 'biling'; did you mean 'billing'?"),
        ("requires: {billing: 3}", "requires: {biling: 3}", "'biling' is not among the skills"),
        ("    weight: 4", "    weight: 11", "queues.0..weight: .*less than or equal to 10"),
        ("after_seconds: 60", "after_seconds: 30", "sort them by after_seconds"),
        ("least-skilled", "best", "'best' is not a strategy; there are longest-idle"),
        ("least-skilled", "ring-all", "'ring-all' is not a strategy; 'ring_agents: all' beside a strategy"),
        ("least-skilled", "RingAll", "'RingAll' is not a strategy; 'ring_agents: all' beside a strategy"),
        ("least-skilled", "rrmemory", "'rrmemory' is not a strategy; say 'round-robin'"),
    ],
)
def test_a_rule_that_cannot_work_is_named_with_its_mend(right: str, wrong: str, says: str):
    with pytest.raises(DirectoryError, match=says.replace("?", r"\?")):
        parse_directory(TEXT.replace(right, wrong), "x", ())
