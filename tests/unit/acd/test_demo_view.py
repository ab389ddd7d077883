"""What the demo shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from acd.demo.site import Site, make_site
from acd.demo.tally import Tally
from acd.demo.view import Snapshot, addresses, plain, summary, table

QUEUE = {
    "name": "billing",
    "waiting": 2,
    "longest_wait_seconds": 7.4,
    "agents": {"available": 1, "talking": 3},
}
AGENT = {
    "id": "anna",
    "name": "Anna [Tamm]",
    "extension": "1001",
    "state": "talking",
    "since": "2026-01-01T00:00:00Z",
    "call_id": "c1",
}
CALL = {"id": "c1", "caller": "+3725500"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path, sip_port=0, http_port=0, media_ports="30000-30999")


def test_the_table_shows_queues_agents_and_the_way_in(site: Site) -> None:
    snapshot = Snapshot([QUEUE], [AGENT], [CALL], at=1767225605.0)
    console = Console(width=120, record=True, force_terminal=True, file=io.StringIO())
    console.print(table(snapshot, Tally(), addresses(site, "acd_token"), 3.0, None))
    text = console.export_text()
    for word in ("billing", "7 s", "Anna [Tamm]", "5 s", "+3725500", "acd_token", "1099", site.sip_address):
        assert word in text


def test_without_a_terminal_it_is_one_line(site: Site) -> None:
    line = plain(Snapshot([QUEUE], [AGENT], [CALL]), Tally(), 12.0)
    assert "\n" not in line
    assert "waiting=2" in line
    assert "talking=1" in line


def test_a_service_that_does_not_answer_shows_empty_tables(site: Site) -> None:
    console = Console(width=120, record=True, force_terminal=True, file=io.StringIO())
    console.print(table(Snapshot(), Tally(), [], 3.0, 10.0))
    assert "ends in 10 s" in console.export_text()


def test_the_summary_names_every_lost_call() -> None:
    text = summary(Tally(), [], ["+1: no call record", "+2: dropped"])
    assert "lost               2" in text
    assert "LOST  +2: dropped" in text
