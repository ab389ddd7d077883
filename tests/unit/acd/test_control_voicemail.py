"""/v1/voicemail: boxes and counts, messages page by page, their audio whole and in parts, and changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import structlog

from acd.directory.model import Box, VoicemailRules
from tests.support.control import NOW, Centre, a_message, bearer, serving


def a_centre(folder: Path = Path("/nonexistent")) -> Centre:
    centre = Centre()
    anna = replace(centre.directory.agents["anna"], voicemail=VoicemailRules())
    agents = {**centre.directory.agents, "anna": anna}
    centre.directory = replace(centre.directory, agents=agents, boxes={"door": Box("door")})
    centre.messages.folder = folder
    for message in (
        a_message("m1"),
        a_message("m2", heard_at=NOW - 5, heard_by="anna"),
        a_message("m3", "queue:gone"),
    ):
        centre.messages.kept[message.id] = message
    return centre


async def test_every_box_is_listed_with_what_is_in_it():
    async with serving(a_centre()) as client:
        answer = await (await client.get("/v1/voicemail", headers=bearer("viewer"))).json()
    assert answer["items"] == [
        {"box": "agent:anna", "new": 1, "heard": 1, "takes_messages": True},
        {"box": "box:door", "new": 0, "heard": 0, "takes_messages": True},
        {"box": "queue:gone", "new": 1, "heard": 0, "takes_messages": False},
    ]


async def test_messages_of_a_box_come_page_by_page():
    async with serving(a_centre()) as client:
        first = await client.get("/v1/voicemail/agent:anna?limit=1", headers=bearer("supervisor"))
        page = await first.json()
        assert [item["id"] for item in page["items"]] == ["m1"]
        assert page["items"][0]["caller"] == "+37255512345"
        assert (page["items"][0]["seconds"], page["items"][0]["heard_at"]) == (12.5, None)
        url = f"/v1/voicemail/agent:anna?cursor={page['next_cursor']}"
        last = await (await client.get(url, headers=bearer("supervisor"))).json()
        assert ([item["id"] for item in last["items"]], last["next_cursor"]) == (["m2"], None)
        assert last["items"][0]["heard_by"] == "anna"
        for path, status in (("agent:bert", 404), ("agent:anna?cursor=x", 400), ("agent:anna?limit=0", 400)):
            response = await client.get(f"/v1/voicemail/{path}", headers=bearer("supervisor"))
            assert response.status == status


async def test_audio_comes_whole_or_in_the_range_that_is_asked_for(tmp_path: Path):
    (tmp_path / "m1.wav").write_bytes(bytes(range(100)))
    async with serving(a_centre(tmp_path)) as client:
        url = "/v1/voicemail/agent:anna/m1/audio"
        whole = await client.get(url, headers=bearer("supervisor"))
        assert (whole.status, whole.content_type, await whole.read()) == (200, "audio/wav", bytes(range(100)))
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        part = await client.get(url, headers={**bearer("supervisor"), "Range": "bytes=10-19"})
        assert (part.status, await part.read()) == (206, bytes(range(10, 20)))
        assert part.headers["Content-Range"] == "bytes 10-19/100"
        beyond = await client.get(url, headers={**bearer("supervisor"), "Range": "bytes=200-"})
        assert beyond.status == 416


async def test_audio_that_is_not_here_or_of_another_box_is_told(tmp_path: Path):
    async with serving(a_centre(tmp_path)) as client:
        for path, status, kind in (
            ("agent:anna/m1", 409, "audio-elsewhere"),
            ("box:door/m1", 404, "not-found"),
            ("agent:anna/m9", 404, "not-found"),
            ("agent:anna/..%2F..%2Fetc%2Fpasswd", 404, "not-found"),
        ):
            response = await client.get(f"/v1/voicemail/{path}/audio", headers=bearer("supervisor"))
            assert (response.status, (await response.json())["type"]) == (status, f"urn:acd:problem:{kind}")


async def test_a_message_is_marked_made_new_again_and_deleted():
    centre = a_centre()
    async with serving(centre) as client:
        url, headers = "/v1/voicemail/agent:anna/m1", bearer("supervisor")
        heard = await client.patch(url, headers=headers, json={"heard": True})
        assert (heard.status, (await heard.json())["heard_by"]) == (200, "api")
        again = await client.patch(url, headers=headers, json={"heard": False})
        assert (await again.json())["heard_at"] is None
        for wrong in ({}, {"heard": "yes"}, {"heard": True, "box": "x"}):
            assert (await client.patch(url, headers=headers, json=wrong)).status == 422
        assert (await client.delete("/v1/voicemail/box:door/m1", headers=headers)).status == 404
        assert (await client.delete(url, headers=headers)).status == 204
        assert (await client.delete(url, headers=headers)).status == 404
    assert "m1" not in centre.messages.kept


async def test_who_read_or_changed_what_is_in_the_log_without_the_caller(tmp_path: Path):
    (tmp_path / "m1.wav").write_bytes(b"RIFF")
    with structlog.testing.capture_logs() as logs:
        async with serving(a_centre(tmp_path)) as client:
            await client.get("/v1/voicemail", headers=bearer("supervisor"))
            await client.get("/v1/voicemail/agent:anna", headers=bearer("supervisor"))
            await client.get("/v1/voicemail/agent:anna/m1/audio", headers=bearer("supervisor"))
            await client.delete("/v1/voicemail/agent:anna/m1", headers=bearer("supervisor"))
    told = [(entry["event"], entry["target"], entry["role"]) for entry in logs]
    message = {"box": "agent:anna", "id": "m1"}
    assert told == [
        ("api-read", {"box": "agent:anna"}, "supervisor"),
        ("api-read", message, "supervisor"),
        ("api-change", message, "supervisor"),
    ]
    assert "12345" not in str(logs)
