"""/v1/caller-lists: lists are shown, numbers are put on them and taken off."""

from __future__ import annotations

import pytest
import structlog

from acd.control.tokens import Role
from tests.support.control import Centre, bearer, serving

SUPERVISOR, VIEWER = bearer(Role.SUPERVISOR), bearer(Role.VIEWER)
PATH = "/v1/caller-lists/vips/numbers"
NUMBER = "+3725550077"


async def test_lists_are_shown_with_what_they_give() -> None:
    async with serving(Centre()) as client:
        shown = await (await client.get("/v1/caller-lists", headers=VIEWER)).json()
    vips, crm = shown["items"]
    assert (vips["name"], vips["priority"], vips["numbers"], vips["lookup"]) == ("vips", 50, 1, False)
    assert (crm["name"], crm["priority"], crm["lookup"]) == ("crm", None, True)


async def test_a_number_is_put_on_a_list_shown_and_taken_off() -> None:
    centre = Centre()
    async with serving(centre) as client:
        with structlog.testing.capture_logs() as logs:
            put = await client.post(PATH, headers=SUPERVISOR, json={"number": NUMBER, "note": "board"})
        assert put.status == 204
        assert [line["route"] for line in logs] == ["/v1/caller-lists/{name}/numbers"]
        (shown,) = (await (await client.get(PATH, headers=SUPERVISOR)).json())["items"]
        assert (shown["number"], shown["note"], shown["changed_by"]) == (NUMBER, "board", "supervisor")
        (masked,) = (await (await client.get(PATH, headers=VIEWER)).json())["items"]
        assert masked["number"] == "+372*****77"
        assert (await client.delete(f"{PATH}/{NUMBER}", headers=SUPERVISOR)).status == 204
        assert (await client.delete(f"{PATH}/{NUMBER}", headers=SUPERVISOR)).status == 404
    assert centre.caller_lists.kept == {}


async def test_numbers_are_paged_and_a_viewer_gets_no_key_that_is_one() -> None:
    centre = Centre()
    async with serving(centre) as client:
        for n in range(3):
            await client.post(PATH, headers=SUPERVISOR, json={"number": f"+37255500{n}0"})
        first = await (await client.get(f"{PATH}?limit=2", headers=SUPERVISOR)).json()
        assert first["next_after"] == "+3725550010"
        query = {"after": first["next_after"]}
        second = await (await client.get(PATH, params=query, headers=SUPERVISOR)).json()
        assert [item["number"] for item in second["items"]] == ["+3725550020"]
        assert second["next_after"] is None
        assert (await (await client.get(f"{PATH}?limit=2", headers=VIEWER)).json())["next_after"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", PATH, {"number": "5550001"}, 422),
        ("POST", PATH, {"number": "+3725550001", "note": "line\n"}, 422),
        ("POST", PATH.replace("vips", "nobody"), {"number": NUMBER}, 404),
        ("POST", PATH.replace("vips", "crm"), {"number": NUMBER}, 409),
        ("DELETE", f"{PATH}/+3725550001", None, 409),
        ("DELETE", f"{PATH}/x", None, 404),
        ("GET", PATH.replace("vips", "nobody"), None, 404),
        ("GET", f"{PATH}?limit=0", None, 400),
    ],
)
async def test_what_cannot_be_done_is_told(method: str, path: str, body: object, status: int) -> None:
    async with serving(Centre()) as client:
        sent = {"json": body} if body else {}
        assert (await client.request(method, path, headers=SUPERVISOR, **sent)).status == status  # type: ignore[arg-type]


async def test_a_list_that_is_full_is_told() -> None:
    centre = Centre()
    centre.caller_lists.full = True
    async with serving(centre) as client:
        answer = await client.post(PATH, headers=SUPERVISOR, json={"number": NUMBER})
        assert answer.status == 409
        assert (await answer.json())["type"] == "urn:acd:problem:list-full"
