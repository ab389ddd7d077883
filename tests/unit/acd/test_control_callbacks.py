"""Callbacks and follow-ups over the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from acd.calls.callbacks import read_order
from acd.control.tokens import Role
from acd.directory.model import Route
from tests.support.control import NOW, Centre, a_callback, bearer, serving


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


async def test_callbacks_are_listed_with_their_numbers_masked_for_viewers() -> None:
    centre = Centre()
    centre.callbacks.kept["c1"] = a_callback("c1")
    centre.callbacks.kept["c2"] = a_callback("c2", queue="extension", agent="anna", kind="follow-up")
    async with serving(centre) as client:
        shown = await (await client.get("/v1/callbacks", headers=bearer(Role.VIEWER))).json()
        of_queue = await (
            await client.get("/v1/callbacks?queue=billing", headers=bearer(Role.SUPERVISOR))
        ).json()
    first, second = shown["items"]
    assert (first["id"], first["kind"], first["queue"], first["agent"]) == ("c1", "callback", "billing", None)
    assert (second["queue"], second["agent"], second["kind"]) == (None, "anna", "follow-up")
    assert "5551" not in first["number"]
    assert [item["number"] for item in of_queue["items"]] == ["+37255512345"]


async def test_a_follow_up_for_an_agent_is_noted_with_its_time() -> None:
    centre = Centre()
    body = {"number": "+3725550001", "at": moment(3600), "agent": "anna", "note": "about the invoice"}
    async with serving(centre) as client:
        answer = await client.post("/v1/callbacks", json=body, headers=bearer(Role.SUPERVISOR))
        made = await answer.json()
    assert (made["kind"], made["agent"], made["state"]) == ("follow-up", "anna", "resting")
    kept = centre.callbacks.kept[made["id"]]
    assert (kept.due_ms, kept.number, kept.attempts) == (round((NOW + 3600) * 1000), "", 1)
    assert read_order(kept.document).note == "about the invoice"


async def test_a_follow_up_for_a_skill_is_for_a_queue() -> None:
    centre = Centre()
    centre.directory = type(centre.directory)(
        queues=centre.directory.queues, agents=centre.directory.agents, skills=frozenset({"billing"})
    )
    body = {"number": "5550001", "at": moment(0), "queue": "billing", "skills": {"billing": 3}}
    async with serving(centre) as client:
        made = await (await client.post("/v1/callbacks", json=body, headers=bearer(Role.SUPERVISOR))).json()
    assert (made["queue"], made["state"]) == ("billing", "waiting")
    assert read_order(centre.callbacks.kept[made["id"]].document).skills == {"billing": 3}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"agent": "nobody"}, "/agent"),
        ({"agent": None, "queue": "nothing"}, "/queue"),
        ({"queue": "billing"}, ""),
        ({"agent": None}, ""),
        ({"agent": None, "queue": "billing", "skills": {"magic": 1}}, "/skills/magic"),
        ({"agent": None, "skills": {"magic": 1}}, "/skills/magic"),
        ({"skills": {"billing": 1}}, ""),
        ({"number": "sip:x"}, "/number"),
        ({"at": moment(-3600)}, "/at"),
        ({"at": moment(400 * 86_400)}, "/at"),
        ({"attempts": 0}, "/attempts"),
    ],
)
async def test_a_follow_up_that_cannot_be_is_refused_with_its_field(
    change: dict[str, Any], pointer: str
) -> None:
    body = {"number": "+3725550001", "at": moment(60), "agent": "anna", **change}
    async with serving(Centre()) as client:
        answer = await client.post("/v1/callbacks", json=body, headers=bearer(Role.SUPERVISOR))
        problem = await answer.json()
    assert answer.status == 422
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def centre_where_anna_may_call() -> Centre:
    centre = Centre()
    agents = {**centre.directory.agents}
    agents["anna"] = replace(agents["anna"], dialling=("national",))
    routes = {"+372": Route("+372", "national"), "+372900": Route("+372900", "premium")}
    centre.directory = replace(
        centre.directory, agents=agents, routes=routes, skills=frozenset({"billing", "support"})
    )
    return centre


async def test_an_agent_schedules_for_self_and_for_a_skill_sees_and_cancels_them() -> None:
    centre = centre_where_anna_may_call()
    centre.callbacks.kept["c1"] = a_callback("c1")
    centre.callbacks.kept["c2"] = a_callback("c2", queue="extension", agent="bert", kind="follow-up")
    ask = {"number": "+37255500001", "at": moment(3600)}
    async with serving(centre) as client:
        mine = await (await client.post("/v1/callbacks", json=ask, headers=bearer(Role.AGENT))).json()
        wanted = {**ask, "skills": {"support": 2}}
        ours = await (await client.post("/v1/callbacks", json=wanted, headers=bearer(Role.AGENT))).json()
        listed = await (await client.get("/v1/callbacks", headers=bearer(Role.AGENT))).json()
        for callback, status in ((ours["id"], 204), ("c1", 403), ("c2", 403), ("c9", 404)):
            answer = await client.delete(f"/v1/callbacks/{callback}", headers=bearer(Role.AGENT))
            assert answer.status == status, callback
    assert (mine["agent"], mine["promised_by"], mine["number"]) == ("anna", "anna", "+37255500001")
    assert (ours["agent"], ours["queue"], ours["skills"]) == (None, None, {"support": 2})
    assert [item["id"] for item in listed["items"]] == [mine["id"], ours["id"]]
    assert set(centre.callbacks.kept) == {"c1", "c2", mine["id"]}
    assert centre.callbacks.kept[mine["id"]].queue == "extension"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"agent": "bert"}, "forbidden"),
        ({"queue": "billing"}, "forbidden"),
        ({"number": "+372900100"}, "not-allowed"),
        ({"number": "+4912345678"}, "no-route"),
    ],
)
async def test_an_agent_schedules_neither_for_others_nor_what_they_may_not_call(
    change: dict[str, Any], kind: str
) -> None:
    centre = centre_where_anna_may_call()
    body = {"number": "+37255500001", "at": moment(60), **change}
    async with serving(centre) as client:
        answer = await client.post("/v1/callbacks", json=body, headers=bearer(Role.AGENT))
        problem = await answer.json()
    assert (answer.status, problem["type"]) == (403, f"urn:acd:problem:{kind}")
    assert centre.callbacks.kept == {}


async def test_a_follow_up_for_a_skill_needs_no_queue() -> None:
    centre = centre_where_anna_may_call()
    body = {"number": "+37255500001", "at": moment(0), "skills": {"billing": 3}}
    async with serving(centre) as client:
        made = await (await client.post("/v1/callbacks", json=body, headers=bearer(Role.SUPERVISOR))).json()
        listed = await (await client.get("/v1/callbacks", headers=bearer(Role.VIEWER))).json()
    assert (made["queue"], made["promised_by"]) == (None, None)
    assert centre.callbacks.kept[made["id"]].queue == "skill"
    assert [item["id"] for item in listed["items"]] == [made["id"]]


async def test_a_callback_is_cancelled_unless_it_is_being_made() -> None:
    centre = Centre()
    centre.callbacks.kept["c1"] = a_callback("c1")
    centre.callbacks.making = {"c2"}
    async with serving(centre) as client:
        for callback, status in (("c1", 204), ("c1", 404), ("c2", 409)):
            answer = await client.delete(f"/v1/callbacks/{callback}", headers=bearer(Role.SUPERVISOR))
            assert answer.status == status
