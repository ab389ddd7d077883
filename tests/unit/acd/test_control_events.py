"""The event stream over HTTP: numbered, from where one left off, and nothing that is not meant to be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence

import pytest
from aiohttp.test_utils import TestClient

from acd.control.events import MOST_LISTENERS, described
from routing.store.event_log import Begins, LoggedEvent
from tests.support.control import NOW, Centre, FakeEvents, bearer, serving

AT = int(NOW * 1000)
OFFER = LoggedEvent(8, AT, "offers", "billing", {"c": "c1~2", "a": "anna", "tk": "123"})


async def heard(client: TestClient, path: str = "/v1/events", **headers: str) -> list[dict[str, str]]:
    """The messages, each as its fields; comments under the empty name."""
    response = await client.get(path, headers={**bearer("viewer"), **headers})
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    blocks = [block for block in (await response.text()).split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block.replace("\n: ", "\n").split("\n")) for block in blocks]


async def test_each_event_has_its_number_and_the_words_of_the_api(client: TestClient, centre: Centre) -> None:
    centre.events.kept = [Begins(7), [OFFER], []]
    first, begins, offer, nothing = await heard(client)
    assert first == {"retry": "2000"}
    assert (begins["id"], begins["event"], json.loads(begins["data"])) == ("7", "begins", {"number": 7})
    assert (offer["id"], offer["event"]) == ("8", "offers")
    told = json.loads(offer["data"])
    assert told.pop("at").endswith("Z")
    assert told == {"number": 8, "kind": "offers", "queue": "billing", "call": "c1", "agent": "anna"}
    assert nothing == {"": "nothing"}
    assert centre.events.asked == [None]


async def test_who_was_away_goes_on_after_the_last_number_heard(client: TestClient, centre: Centre) -> None:
    centre.events.kept = [Begins(90, missed=True)]
    missed = (await heard(client, "/v1/events?after=5"))[1]
    assert (missed["id"], missed["event"]) == ("90", "missed")
    await heard(client, "/v1/events?after=5", **{"Last-Event-ID": "17"})
    assert centre.events.asked == [5, 17]


@pytest.mark.parametrize("after", ["x", "-1", "1e3", "9" * 20])
async def test_what_is_no_number_is_refused(client: TestClient, after: str) -> None:
    for path, headers in ((f"/v1/events?after={after}", {}), ("/v1/events", {"Last-Event-ID": after})):
        response = await client.get(path, headers={**bearer("viewer"), **headers})
        assert response.status == 400


async def test_a_store_that_is_away_is_told_before_the_stream_begins(
    client: TestClient, centre: Centre
) -> None:
    centre.events.away = True
    response = await client.get("/v1/events", headers=bearer("viewer"))
    assert (response.status, (await response.json())["type"].rpartition(":")[2]) == (503, "store-unavailable")


async def test_so_many_listen_at_most_and_who_leaves_makes_room(client: TestClient, centre: Centre) -> None:
    release = asyncio.Event()

    class Endless(FakeEvents):
        async def follow(self, after: int | None) -> AsyncGenerator[Begins | Sequence[LoggedEvent], None]:
            yield Begins(1)
            await release.wait()

    centre.events = Endless()
    async with serving(centre) as client:
        listening = [await client.get("/v1/events", headers=bearer("viewer")) for _ in range(MOST_LISTENERS)]
        refused = await client.get("/v1/events", headers=bearer("viewer"))
        assert (refused.status, (await refused.json())["type"].rpartition(":")[2]) == (
            503,
            "too-many-listeners",
        )
        release.set()
        for response in listening:
            await response.text()
        assert (await client.get("/v1/events", headers=bearer("viewer"))).status == 200


def test_what_is_not_meant_to_be_told_is_left_out() -> None:
    """Whatever a later kind of event carries: only named fields are told."""
    event = LoggedEvent(
        9, AT, "entered", "billing", {"c": "c1", "caller": "+37255512345", "p": "3", "tk": "1"}
    )
    assert "+372" not in json.dumps(described(event))
    assert described(event)["priority"] == 3
    counted = LoggedEvent(10, AT, "counted", "", {"name": "billing", "entered": "4"})
    assert described(counted)["counters"] == {"entered": 4}
