"""Why a call went where it went, or still waits: over the API and in the terminal."""

from __future__ import annotations

import io
from datetime import datetime

import msgspec
import pytest
from aiohttp.test_utils import TestClient
from rich.console import Console

from acd.calls.record import Attempt, Segment
from acd.calls.view import Reasons
from acd.control.why import Why, why_of_record
from acd.explain import show
from routing.model import AgentState, AgentStatus, Candidate, Decision, Requirement, Skipped
from tests.support.control import NOW, Centre, a_call, a_record, bearer

NEEDS = Requirement("billing", (("billing", 3),))
CANDIDATES = (Candidate("bert", 1, 10, passed_over=True), Candidate("anna", 1, 20), Candidate("dora", 1, 30))
RUNG = Attempt(NOW - 60, "billing", "anna", "billing 3", "answered", 4.0, Decision("agent", "k", CANDIDATES))
REFUSED = Attempt(NOW - 5, "billing", "anna", "billing 3", "rejected", 2.0)


@pytest.fixture
def centre() -> Centre:
    centre = Centre()
    centre.store.agent_statuses |= {
        "anna": AgentStatus("anna", AgentState.AVAILABLE, 0),
        "bert": AgentStatus("bert", AgentState.PAUSED, 0, reason="lunch"),
    }
    return centre


async def test_a_call_that_is_over_tells_who_was_rung_and_who_was_not(client: TestClient, centre: Centre):
    centre.records.kept.append(a_record("r1", attempts=(RUNG,)))
    response = await client.get("/v1/calls/r1/why", headers=bearer("viewer"))
    why = await response.json()
    assert (response.status, why["state"], why["waits_for"], why["agents"]) == (200, "ended", None, [])
    (offer,) = why["offers"]
    assert (offer["agent"], offer["result"], offer["needs"], offer["sought"]) == (
        *("anna", "answered", "billing 3"),
        "agent",
    )
    told = [(each["name"], each["chosen"], each["passed_over"]) for each in offer["candidates"]]
    assert told == [("bert", False, True), ("anna", True, False), ("dora", False, False)]


async def test_an_offer_tells_who_was_skipped_and_why_also_once_the_call_is_over(
    client: TestClient, centre: Centre
):
    skipped = Skipped((("paused", 2), ("skill", 31)), (("bert", "paused (lunch)"),))
    decision = Decision("agent", "k", CANDIDATES, skipped)
    centre.records.kept.append(a_record("r1", attempts=(msgspec.structs.replace(RUNG, decision=decision),)))
    why = await (await client.get("/v1/calls/r1/why", headers=bearer("viewer"))).json()
    (offer,) = why["offers"]
    assert offer["skipped"] == [{"reason": "paused", "agents": 2}, {"reason": "skill", "agents": 31}]
    assert offer["nearest"] == [{"agent": "bert", "obstacle": "paused (lunch)"}]
    out = io.StringIO()
    show(Why.model_validate(why), Console(file=out, width=120))
    assert "not: 2 paused, 31 skill (nearest: bert: paused (lunch))" in out.getvalue()


def test_a_record_of_before_has_nobody_who_was_skipped():
    old = msgspec.json.encode(RUNG)
    assert b"skipped" not in old or b'"skipped":null' in old
    assert msgspec.json.decode(old.replace(b',"skipped":null', b""), type=Attempt) == RUNG


async def test_a_waiting_call_tells_what_is_in_the_way_with_each_agent(client: TestClient, centre: Centre):
    centre.calls.views["c1"] = a_call()
    centre.calls.reasons["c1"] = Reasons(a_call(), (REFUSED,), NEEDS)
    why = await (await client.get("/v1/calls/c1/why", headers=bearer("viewer"))).json()
    assert (why["state"], why["waits_for"]) == ("queued", "billing 3")
    assert [(agent["agent"], agent["obstacles"]) for agent in why["agents"]] == [
        ("anna", ["has just not taken this call"]),
        ("bert", ["billing 1, asked 3", "paused (lunch)"]),
        ("cleo", ["billing 0, asked 3", "offline"]),
    ]


async def test_a_live_call_of_another_node_tells_the_same(client: TestClient, centre: Centre):
    centre.calls_elsewhere.kept["c1"] = a_call()
    centre.calls_elsewhere.reasons["c1"] = Reasons(a_call(), (REFUSED,), NEEDS)
    why = await (await client.get("/v1/calls/c1/why", headers=bearer("viewer"))).json()
    assert (why["state"], why["waits_for"]) == ("queued", "billing 3")
    assert [offer["result"] for offer in why["offers"]] == ["rejected"]
    assert why["agents"][0]["obstacles"] == ["has just not taken this call"]
    centre.calls_elsewhere.unseen = True
    assert (await client.get("/v1/calls/c1/why", headers=bearer("viewer"))).status == 503


async def test_a_call_that_nobody_knows_is_not_found(client: TestClient):
    response = await client.get("/v1/calls/nobody/why", headers=bearer("viewer"))
    assert response.status == 404


async def test_a_call_that_overflowed_tells_where_to_and_why(client: TestClient, centre: Centre):
    mark = Segment("overflow", NOW - 30, "billing", to="queue sales", why="waited")
    centre.records.kept.append(a_record("r1", segments=(mark,)))
    centre.calls.views["c1"] = a_call()
    centre.calls.reasons["c1"] = Reasons(a_call(), (), NEEDS, (mark,))
    for name in ("r1", "c1"):
        why = await (await client.get(f"/v1/calls/{name}/why", headers=bearer("viewer"))).json()
        (told,) = why["overflows"]
        assert (told["queue"], told["to"], told["why"]) == ("billing", "queue sales", "waited")
    out = io.StringIO()
    show(Why.model_validate(why), Console(file=out, width=120))
    assert "by a rule of billing: queue sales (waited)" in out.getvalue()
    (record,) = (await (await client.get("/v1/records", headers=bearer("viewer"))).json())["items"]
    assert (record["segments"][0]["to"], record["segments"][0]["why"]) == ("queue sales", "waited")


def test_the_terminal_shows_the_same_and_takes_no_orders_from_names():
    wicked = Attempt(NOW, "billing", "[bold]x[/]", "", "busy", 1.0)
    why = why_of_record(a_record("r1", attempts=(RUNG, wicked)), {})
    assert Why.model_validate_json(why.model_dump_json()) == why
    out = io.StringIO()
    show(why, Console(file=out, width=120))
    text = out.getvalue()
    assert "anna: answered after 4.0 s (best for the call; needed billing 3)" in text
    assert "passed over: just in vain" in text
    assert "[bold]x[/]: busy" in text


async def test_a_record_lists_the_offers_that_were_not_taken(client: TestClient, centre: Centre):
    ended = Attempt(NOW - 2, "billing", "cleo", "", "ended", 1.0)
    centre.records.kept.append(a_record("r1", attempts=(REFUSED, RUNG, ended)))
    (record,) = (await (await client.get("/v1/records", headers=bearer("viewer"))).json())["items"]
    (refusal,) = record["refusals"]
    assert (refusal["agent"], refusal["reason"], refusal["ring_seconds"]) == ("anna", "rejected", 2.0)
    assert datetime.fromisoformat(refusal["at"]).timestamp() == NOW - 3
