"""What each resource shows and does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient

from acd.control.orders import HangUp, Trace, Transfer
from acd.directory.model import Trunk, TrunkHost
from acd.sip.trunk_status import HostStatus, TrunkStatus
from routing.model import AgentState, AgentStatus, QueueStatus
from tests.support.control import NOW, Centre, a_call, a_record, bearer


@pytest.fixture
def centre() -> Centre:
    centre = Centre()
    now_ms = int(NOW * 1000)
    centre.store.queue_statuses["billing"] = QueueStatus(
        "billing", waiting=3, offered=1, oldest_ms=now_ms - 42_500, counters={"entered": 7}
    )
    centre.store.agent_statuses |= {
        "anna": AgentStatus("anna", AgentState.TALKING, now_ms - 5000, call_id="c9"),
        "bert": AgentStatus("bert", AgentState.PAUSED, now_ms - 1000, reason="lunch"),
    }
    centre.calls.views["c1"] = a_call()
    centre.forecast.queues["billing"], centre.forecast.calls["c1"] = 55.5, 31.0
    return centre


async def read(client: TestClient, path: str, role: str = "viewer") -> dict:
    response = await client.get(path, headers=bearer(role))
    assert response.status == 200, await response.text()
    assert response.content_type == "application/json"
    return await response.json()


async def test_queues_show_waiting_longest_wait_and_agents_by_state(client: TestClient):
    queues = {queue["name"]: queue for queue in (await read(client, "/v1/queues"))["items"]}
    billing = queues["billing"]
    assert (billing["waiting"], billing["ringing"], billing["longest_wait_seconds"]) == (3, 1, 42.5)
    assert billing["counters"] == {"entered": 7}
    assert (billing["expected_wait_seconds"], queues["support"]["expected_wait_seconds"]) == (55.5, None)
    assert billing["agents"] == {
        "available": 0,
        "offered": 0,
        "talking": 1,
        "wrapup": 0,
        "paused": 1,
        "offline": 0,
        "not-answering": 0,
    }
    assert queues["support"]["waiting"] == 0
    assert queues["support"]["longest_wait_seconds"] == 0
    assert queues["support"]["agents"]["offline"] == 1


async def test_one_queue_is_the_same_as_in_the_list(client: TestClient):
    listed = (await read(client, "/v1/queues"))["items"][0]
    assert await read(client, f"/v1/queues/{listed['name']}") == listed


async def test_a_clock_behind_the_oldest_caller_shows_no_negative_wait(client: TestClient, centre: Centre):
    centre.clock.now = NOW - 3600
    assert (await read(client, "/v1/queues/billing"))["longest_wait_seconds"] == 0


async def test_agents_show_state_reason_since_and_call(client: TestClient):
    agents = {agent["id"]: agent for agent in (await read(client, "/v1/agents"))["items"]}
    anna, bert, cleo = agents["anna"], agents["bert"], agents["cleo"]
    assert (anna["state"], anna["call_id"], anna["reason"]) == ("talking", "c9", None)
    assert datetime.fromisoformat(anna["since"]).timestamp() == NOW - 5
    assert anna["queues"] == ["billing", "support"]
    assert (bert["state"], bert["reason"], bert["queues"]) == ("paused", "lunch", ["billing"])
    assert (cleo["state"], cleo["since"], cleo["call_id"]) == ("offline", None, None)
    assert await read(client, "/v1/agents/bert") == bert
    assert await read(client, "/v1/agents/cleo") == cleo


async def test_a_supervisor_changes_an_agents_state(client: TestClient, centre: Centre):
    response = await client.post(
        "/v1/agents/anna/state", json={"state": "paused", "reason": "training"}, headers=bearer("supervisor")
    )
    assert response.status == 200
    assert (await response.json())["state"] == "paused"
    assert centre.agents.changes == [("anna", AgentState.PAUSED, "training")]


async def test_the_reason_may_be_left_out(client: TestClient, centre: Centre):
    response = await client.post(
        "/v1/agents/anna/state", json={"state": "available"}, headers=bearer("supervisor")
    )
    assert response.status == 200
    assert centre.agents.changes == [("anna", AgentState.AVAILABLE, "")]


async def test_a_state_that_is_not_possible_now_is_a_conflict_that_says_why(client: TestClient):
    response = await client.post(
        "/v1/agents/cleo/state", json={"state": "available"}, headers=bearer("supervisor")
    )
    assert response.status == 409
    problem = await response.json()
    assert problem["type"] == "urn:acd:problem:state-not-allowed"
    assert "registered phone" in problem["detail"]


async def test_calls_show_where_they_are(client: TestClient):
    (call,) = (await read(client, "/v1/calls", "supervisor"))["items"]
    assert call["id"] == "c1"
    assert (call["state"], call["queue"], call["agent"]) == ("queued", "billing", None)
    assert (call["caller"], call["waiting_seconds"]) == ("+37255512345", 12.5)
    assert call["expected_wait_seconds"] == 31.0
    assert datetime.fromisoformat(call["started_at"]).timestamp() == NOW - 30
    assert await read(client, "/v1/calls/c1", "supervisor") == call


async def test_calls_of_other_nodes_are_shown_and_what_is_done_to_them_goes_there(
    client: TestClient, centre: Centre
):
    centre.calls_elsewhere.kept = {
        "c1": replace(a_call("c1"), node="b"),
        "c0": replace(a_call("c0"), node="b", started_at=NOW - 90),
    }
    shown = await read(client, "/v1/calls", "supervisor")
    assert shown["complete"] is True
    assert [(call["id"], call["node"]) for call in shown["items"]] == [("c0", "b"), ("c1", "a")]
    assert (await read(client, "/v1/calls/c0"))["node"] == "b"

    async def act() -> set[tuple[int, str]]:
        told = {"headers": bearer("supervisor")}
        order = {"to": "1002", "preferred_agent": "bert"}
        answers = [
            await client.delete("/v1/calls/c0", **told),
            await client.post("/v1/calls/c0/transfer", json=order, **told),
            await client.post("/v1/calls/c0/trace", **told),
        ]
        kinds = [(await one.json())["type"] if one.status >= 400 else "" for one in answers]
        return {(one.status, kind) for one, kind in zip(answers, kinds, strict=True)}

    assert await act() == {(204, "")}
    assert centre.orders.given == [
        ("b", HangUp("c0")),
        ("b", Transfer("c0", "1002", "bert", "")),
        ("b", Trace("c0")),
    ]
    centre.orders.silent.add("b")
    assert await act() == {(504, "urn:acd:problem:node-silent")}
    kept = await client.get("/v1/calls/c0/trace", headers=bearer("supervisor"))
    assert (kept.status, (await kept.json())["type"]) == (409, "urn:acd:problem:trace-elsewhere")
    assert centre.calls.hung_up == centre.calls.transfers == []


async def test_calls_of_this_node_are_shown_while_the_others_cannot_be_seen(
    client: TestClient, centre: Centre
):
    centre.calls_elsewhere.unseen = True
    shown = await read(client, "/v1/calls", "supervisor")
    assert ([call["id"] for call in shown["items"]], shown["complete"]) == (["c1"], False)
    assert (await read(client, "/v1/calls/c1"))["id"] == "c1"
    assert (await client.get("/v1/calls/c0", headers=bearer("viewer"))).status == 503
    assert (await client.delete("/v1/calls/c1", headers=bearer("supervisor"))).status == 204


async def test_a_supervisor_hangs_up_a_call(client: TestClient, centre: Centre):
    response = await client.delete("/v1/calls/c1", headers=bearer("supervisor"))
    assert response.status == 204
    assert await response.read() == b""
    assert centre.calls.hung_up == ["c1"]


async def test_a_supervisor_sends_a_caller_elsewhere(client: TestClient, centre: Centre):
    async def transfer(to: object, call: str = "c1"):
        path = f"/v1/calls/{call}/transfer"
        return await client.post(path, headers=bearer("supervisor"), json={"to": to})

    response = await transfer("1002")
    assert (response.status, centre.calls.transfers) == (204, [("c1", "1002")])
    refusals = [
        ("1002", "c9", 404),
        ("4711", "c1", 422),
        ("", "c1", 422),
        (17, "c1", 422),
        ("1001", "c1", 409),
    ]
    for to, call, status in refusals:
        response = await transfer(to, call)
        assert response.status == status
        assert response.content_type == "application/problem+json"
    assert (await (await transfer("4711")).json())["errors"][0]["pointer"] == "/to"
    unknown = await client.post(
        "/v1/calls/c1/transfer",
        headers=bearer("supervisor"),
        json={"to": "billing", "preferred_agent": "nobody"},
    )
    assert (unknown.status, (await unknown.json())["errors"][0]["pointer"]) == (422, "/preferred_agent")
    assert centre.calls.transfers == [("c1", "1002")]


async def test_a_viewer_sees_callers_masked(client: TestClient, centre: Centre):
    centre.records.kept = [a_record()]
    (call,) = (await read(client, "/v1/calls"))["items"]
    (record,) = (await read(client, "/v1/records"))["items"]
    assert call["caller"] == record["caller"] == "+372******45"
    assert (await read(client, "/v1/calls/c1"))["caller"] == "+372******45"
    assert call["called"] == "+3726000200"


async def test_records_show_the_outcome_and_each_state(client: TestClient, centre: Centre):
    centre.records.kept = [a_record(), a_record("r2", outcome="abandoned", agent="", answered_at=None)]
    answered, abandoned = (await read(client, "/v1/records", "supervisor"))["items"]
    assert answered["outcome"] == "answered"
    assert (answered["wait_seconds"], answered["talk_seconds"]) == (15.0, 60.0)
    assert (answered["hangup_side"], answered["cause"]) == ("caller", "normal")
    assert [segment["state"] for segment in answered["segments"]] == ["queued", "talking"]
    assert (abandoned["agent"], abandoned["answered_at"]) == (None, None)


async def test_record_filters_reach_the_history(client: TestClient, centre: Centre):
    await read(
        client,
        "/v1/records?queue=billing&agent=anna&outcome=answered&limit=7"
        "&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00%2B01:00",
    )
    (filters, cursor, limit) = centre.records.asked[0]
    assert (filters.queue, filters.agent, filters.outcome) == ("billing", "anna", "answered")
    assert filters.since == filters.until == datetime.fromisoformat("2026-01-01T00:00:00+00:00").timestamp()
    assert (cursor, limit) == (None, 7)


async def test_records_are_read_page_by_page(client: TestClient, centre: Centre):
    centre.records.kept = [a_record(f"r{index}") for index in range(5)]
    seen: list[str] = []
    path: str | None = "/v1/records?limit=2"
    while path:
        page = await read(client, path)
        seen += [record["id"] for record in page["items"]]
        path = f"/v1/records?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == ["r0", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize(
    "query",
    [
        "outcome=splendid",
        "limit=0",
        "limit=501",
        "limit=many",
        "from=yesterday",
        "from=2026-01-01T00:00:00",
        "from=1800000000",
        "to=0.5",
        "to=-1",
        "cursor=%5C%C2%84",
        "queue=",
        "queue=" + "q" * 65,
        "cursor=" + "9" * 300,
        "cursor=none-of-ours",
        "colour=red",
    ],
)
async def test_a_query_that_makes_no_sense_is_a_400_that_names_it(client: TestClient, query: str):
    response = await client.get(f"/v1/records?{query}", headers=bearer("viewer"))
    assert response.status == 400
    problem = await response.json()
    assert problem["status"] == 400
    if "none-of-ours" not in query:
        assert problem["errors"][0]["pointer"] == "/" + query.split("=")[0]


HOSTILE = [
    "<script>alert(1)</script>",
    "a'b\"c",
    "\u202eevil",
    "x" * 2000,
    "..",
    "%00",
    "a\r\nX-Evil: 1",
    "🙂",
    "{id}",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/queues/{}"),
        ("GET", "/v1/agents/{}"),
        ("POST", "/v1/agents/{}/state"),
        ("GET", "/v1/calls/{}"),
        ("DELETE", "/v1/calls/{}"),
        ("POST", "/v1/calls/{}/transfer"),
    ],
)
async def test_a_hostile_name_is_simply_not_found(client: TestClient, method: str, path: str, name: str):
    from yarl import URL

    url = URL(path.format(quote(name, safe="")), encoded=True)
    wanted = {"to": "1002"} if "transfer" in path else {"state": "paused"}
    body = {"json": wanted} if method == "POST" else {}
    response = await client.request(method, url, headers=bearer("admin"), **body)
    assert response.status in (404, 405)  # ".." leaves the collection
    assert response.content_type == "application/problem+json"
    assert name not in await response.text()
    assert "X-Evil" not in response.headers


async def test_what_callers_and_directory_hold_stays_text_in_json(client: TestClient, centre: Centre):
    evil = '"><script>alert(1)</script>\u2028\x00'
    centre.records.kept = [a_record(caller=evil)]
    response = await client.get("/v1/records", headers=bearer("supervisor"))
    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(await response.text())["items"][0]["caller"] == evil
    agents = await read(client, "/v1/agents")
    assert agents["items"][1]["name"] == '<b onload="x">Bert</b>'


# Trunks.


async def test_a_trunk_that_only_brings_calls_has_its_limit_and_no_hosts(client: TestClient):
    (shown,) = (await read(client, "/v1/trunks"))["items"]
    assert (shown["name"], shown["up"], shown["hosts"], shown["registration"]) == ("carrier", True, [], None)
    assert (shown["calls"], shown["max_calls"], shown["calls_per_second"]) == (0, 2, None)
    assert await read(client, "/v1/trunks/carrier") == shown


async def test_a_trunk_shows_its_hosts_our_registration_and_its_calls(client: TestClient, centre: Centre):
    centre.directory = replace(
        centre.directory,
        trunks={
            "carrier": Trunk(
                "carrier",
                (),
                hosts=(TrunkHost("sbc.example"),),
                username="line1",
                realm="carrier.example",
                ha1_md5="secret",
                register_seconds=600,
                calls_per_second=5.0,
                calls_per_second_in=7.0,
            )
        },
    )
    hosts = (
        HostStatus("sbc.example", "udp", ("192.0.2.1", 5060), 1, 5, is_up=False, out_seconds=12.5),
        HostStatus("sbc.example", "tls", ("2001:db8::1", 5061), 2, 1, is_up=True),
    )
    centre.trunks["carrier"] = TrunkStatus(
        hosts,
        only_brings=False,
        is_registered=False,
        registers_over=("192.0.2.1", 5060),
        calls=3,
        calls_out=9,
        answered_out=7,
        failovers=1,
    )
    shown = await read(client, "/v1/trunks/carrier")
    assert shown["up"] is False
    assert shown["hosts"] == [
        {
            "host": "sbc.example",
            "transport": "udp",
            "address": "192.0.2.1:5060",
            "priority": 1,
            "weight": 5,
            "up": False,
            "out_seconds": 12.5,
        },
        {
            "host": "sbc.example",
            "transport": "tls",
            "address": "[2001:db8::1]:5061",
            "priority": 2,
            "weight": 1,
            "up": True,
            "out_seconds": None,
        },
    ]
    assert shown["registration"] == {
        "username": "line1",
        "realm": "carrier.example",
        "registered": False,
        "over": "192.0.2.1:5060",
    }
    assert (shown["calls"], shown["calls_per_second"], shown["calls_per_second_in"]) == (3, 5.0, 7.0)
    assert (shown["calls_out"], shown["answered_out"], shown["failovers"]) == (9, 7, 1)
    assert "secret" not in str(shown)


async def test_a_trunk_that_there_is_not_is_not_found(client: TestClient):
    assert (await client.get("/v1/trunks/nobody", headers=bearer("viewer"))).status == 404
