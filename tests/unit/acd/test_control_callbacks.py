"""Callbacks and follow-ups over the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from acd.calls.callbacks import read_order
from acd.control.tokens import Role
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


async def test_a_callback_is_cancelled_unless_it_is_being_made() -> None:
    centre = Centre()
    centre.callbacks.kept["c1"] = a_callback("c1")
    centre.callbacks.making = {"c2"}
    async with serving(centre) as client:
        for callback, status in (("c1", 204), ("c1", 404), ("c2", 409)):
            answer = await client.delete(f"/v1/callbacks/{callback}", headers=bearer(Role.SUPERVISOR))
            assert answer.status == status
