"""The do-not-call list over the API."""

from __future__ import annotations

from dataclasses import replace

from acd.directory.model import Dialling
from tests.support.control import Centre, bearer, serving


def centre() -> Centre:
    made = Centre()
    made.directory = replace(made.directory, dialling=Dialling(country="EE"))
    return made


async def test_numbers_are_put_on_the_list_found_and_taken_off() -> None:
    async with serving(centre()) as client:
        body = {"numbers": ["55512345", "+372999*", "+37255512345"], "note": "asked us"}
        async with client.post("/v1/do-not-call", json=body, headers=bearer("supervisor")) as answer:
            assert (answer.status, await answer.json()) == (200, {"added": 2})
        async with client.get("/v1/do-not-call?limit=1", headers=bearer("supervisor")) as answer:
            page = await answer.json()
            assert [item["entry"] for item in page["items"]] == ["+37255512345"]
            assert (page["items"][0]["note"], page["next_after"]) == ("asked us", "+37255512345")
        after = "/v1/do-not-call?limit=2&after=%2B37255512345"
        async with client.get(after, headers=bearer("supervisor")) as answer:
            page = await answer.json()
            assert [item["entry"] for item in page["items"]] == ["+372999*"]
            assert page["next_after"] is None
        async with client.get("/v1/do-not-call/55512345", headers=bearer("supervisor")) as answer:
            assert await answer.json() == {"number": "+37255512345", "forbidden": True}
        async with client.delete("/v1/do-not-call/%2B372999*", headers=bearer("supervisor")) as answer:
            assert answer.status == 204
        async with client.delete("/v1/do-not-call/%2B372999*", headers=bearer("supervisor")) as answer:
            assert answer.status == 404
        async with client.get("/v1/do-not-call/nobody", headers=bearer("supervisor")) as answer:
            assert answer.status == 400


async def test_a_number_is_called_for_an_agent_who_may_call_it() -> None:
    made = centre()
    async with serving(made) as client:
        url, headers = "/v1/agents/anna/calls", bearer("supervisor")
        async with client.post(url, json={"to": "55512345"}, headers=headers) as answer:
            assert (answer.status, await answer.json()) == (200, {"call_id": "c9"})
        async with client.post(url, json={"to": "4711"}, headers=headers) as answer:
            assert answer.status == 403
            assert (await answer.json())["type"] == "urn:acd:problem:not-allowed"
        async with client.post(url, json={"to": "sales"}, headers=headers) as answer:
            assert answer.status == 422
        async with client.post("/v1/agents/nobody/calls", json={"to": "55512345"}, headers=headers) as answer:
            assert answer.status == 404
    assert made.calls.dialled == [("anna", "55512345")]


async def test_what_is_no_number_is_not_taken() -> None:
    async with serving(centre()) as client:
        for numbers in (["sales"], [], ["+372", "*"], ["1" * 30]):
            body = {"numbers": numbers}
            async with client.post("/v1/do-not-call", json=body, headers=bearer("supervisor")) as answer:
                assert answer.status == 422
        async with client.get("/v1/do-not-call", headers=bearer("viewer")) as answer:
            assert answer.status == 403
