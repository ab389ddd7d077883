"""A request that is sent again with its key begins nothing a second time."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from acd.control.once import Kept
from tests.support.control import NOW, Centre, a_call, bearer


@pytest.fixture
def centre() -> Centre:
    centre = Centre()
    centre.calls.views["c1"] = a_call()
    return centre


async def dial(client: TestClient, key: str, to: str = "+37255512345", **more: Any) -> ClientResponse:
    headers = {**bearer(more.get("role", "supervisor")), "Idempotency-Key": key}
    agent = more.get("agent", "anna")
    return await client.post(f"/v1/agents/{agent}/calls", json={"to": to}, headers=headers)


async def test_a_call_that_is_ordered_twice_with_one_key_is_made_once(client: TestClient, centre: Centre):
    first, second = await dial(client, "k1"), await dial(client, "k1")
    assert first.status == second.status == 200
    assert await first.json() == await second.json() == {"call_id": "c9"}
    assert second.content_type == "application/json"
    assert [answer.headers.get("Idempotency-Replayed") for answer in (first, second)] == [None, "true"]
    assert centre.calls.dialled == [("anna", "+37255512345")]
    await dial(client, '"k2"')
    assert (await dial(client, "k2")).headers["Idempotency-Replayed"] == "true"
    assert len(centre.calls.dialled) == 2


async def test_a_key_is_of_one_token_and_one_path(client: TestClient, centre: Centre):
    for more in ({}, {"agent": "bert"}, {"role": "admin"}):
        assert (await dial(client, "k1", **more)).status == 200
    assert len(centre.calls.dialled) == 3


async def test_a_key_that_comes_with_another_body_is_refused(client: TestClient, centre: Centre):
    await dial(client, "k1")
    other = await dial(client, "k1", "+37255599999")
    assert (other.status, (await other.json())["type"]) == (422, "urn:acd:problem:idempotency-key-reused")
    assert len(centre.calls.dialled) == 1


async def test_who_repeats_while_the_first_is_under_way_is_told_to_wait(client: TestClient, centre: Centre):
    await dial(client, "k1")
    (name,) = centre.onces.kept
    centre.onces.kept[name] = Kept(centre.onces.kept[name].request)
    again = await dial(client, "k1")
    assert (again.status, again.headers["Retry-After"]) == (409, "1")
    assert (await again.json())["type"] == "urn:acd:problem:idempotency-key-in-use"


async def test_what_was_refused_may_be_sent_again(client: TestClient, centre: Centre):
    assert (await dial(client, "k1", "4711")).status == 403
    assert centre.onces.kept == {}
    assert (await dial(client, "k1", agent="nobody")).status == 404
    assert centre.onces.kept == {}


async def test_a_transfer_and_a_follow_up_have_their_answers_kept_too(client: TestClient, centre: Centre):
    headers = {**bearer("supervisor"), "Idempotency-Key": "k1"}
    for expected in (None, "true"):
        moved = await client.post("/v1/calls/c1/transfer", json={"to": "1002"}, headers=headers)
        assert (moved.status, await moved.read()) == (204, b"")
        assert moved.headers.get("Idempotency-Replayed") == expected
    order = {"number": "+37255512345", "at": NOW + 60, "agent": "anna"}
    ids = [
        (await (await client.post("/v1/callbacks", json=order, headers=headers)).json())["id"]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert (len(centre.calls.transfers), len(centre.callbacks.kept)) == (1, 1)


@pytest.mark.parametrize("key", ["x" * 256, "with space", "caf\u00e9"])
async def test_a_key_that_is_none_is_refused(client: TestClient, centre: Centre, key: str):
    answer = await dial(client, key)
    assert (answer.status, (await answer.json())["type"]) == (
        400,
        "urn:acd:problem:idempotency-key-malformed",
    )
    assert centre.calls.dialled == []


async def test_without_a_key_each_request_counts(client: TestClient, centre: Centre):
    for _ in range(2):
        await client.post("/v1/agents/anna/calls", json={"to": "112"}, headers=bearer("supervisor"))
    assert len(centre.calls.dialled) == 2
    assert centre.onces.kept == {}
