"""Voicemail with real phones: a message is left, a lamp goes on, the agent listens and deletes; the API."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
import wave
from pathlib import Path

import pytest

from tests.support.audio import read_wav, seconds_of
from tests.support.baresip import Baresip
from tests.support.caller import Call, Caller
from tests.support.cast import CALLER_HZ, caller, dial, softphone
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory

LEAVE, DESERTED = "+3726000300", "+3726000301"
SETTINGS = {"ivr": {"flows_dir": str(Path(__file__).parent / "flows")}}
DIRECTORY = standard_directory(agents=3)
DIRECTORY["numbers"].append({"number": LEAVE, "flow": "leave"})
DIRECTORY["agents"][0]["voicemail"] = True
DIRECTORY["agents"][2]["voicemail"] = {"wait_seconds": 0.5, "agents": ["a1"]}
DIRECTORY["skills"].append("rare")
DIRECTORY["queues"].append(
    {
        "name": "deserted",
        "requires": {"rare": 1},
        "voicemail": {"agents": ["a1"]},
        "overflow": [{"no_agent": True, "voicemail": "queue:deserted"}],
    }
)
DIRECTORY["numbers"].append({"number": DESERTED, "queue": "deserted"})
DIRECTORY["boxes"] = [{"name": "door", "number": "7", "agents": ["a1"]}]


def audio_of(service: RunningService, box: str, message: str, part: str = "") -> tuple[int, bytes]:
    """The audio of a message over the API; `part` is a range of it."""
    url = f"{service.http_url}/v1/voicemail/{box}/{message}/audio"
    headers = {"Authorization": f"Bearer {service.token()}", **({"Range": part} if part else {})}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.read()


async def messages(service: RunningService, box: str, count: int) -> list[dict[str, object]]:
    """Wait until a box has so many messages."""

    async def there() -> list[dict[str, object]] | None:
        found = (await service.ask(f"/v1/voicemail/{box}"))["items"]
        return found or [{}] if len(found) == count else None

    return await eventually(there, within=15, what=f"{count} messages in {box}")


async def speaks(service: RunningService, someone: Caller, seconds: float, *, called: str = LEAVE) -> Call:
    """Dial, pass the greeting over, and speak until so much of it is on the disk."""
    call = await dial(someone, called)
    await service.call_reaches(someone.user, "ivr")
    await call.rtp.press("#")

    async def recorded() -> bool:
        files = list((service.data_dir / "voicemail" / "incoming").rglob("*.wav"))
        return any(seconds_of(CALLER_HZ, read_wav(file)) >= seconds for file in files)

    await eventually(recorded, within=20, what="the caller's tone in the recording")
    return call


async def lamp(phone: Baresip, count: str) -> None:
    """Wait until the phone was told last that there are so many new and old messages."""

    async def shown() -> bool:
        return phone.messages_told()[-1:] == [count]

    await eventually(shown, within=15, what=f"a lamp that shows {count}")


@pytest.mark.interop("baresip", "message lamp, voicemail by phone")
async def test_a_message_lights_the_lamp_is_heard_and_deleted_by_phone(service: RunningService) -> None:
    async with (
        softphone(service, 1, watches_messages=True) as agent,
        caller(service, "+37255530001") as someone,
    ):
        await agent.registered()
        await lamp(agent, "0/0")
        call = await speaks(service, someone, 1.5)
        await call.rtp.press("#")
        await lamp(agent, "1/0")
        (message,) = await messages(service, "agent:a1", 1)
        assert (message["caller"], message["called"], message["heard_at"]) == ("+37255530001", LEAVE, None)
        await call.hang_up()
        record = await service.record_of(someone.user)
        assert (record["outcome"], record["cause"]) == ("voicemail", "normal")

        status, audio = await asyncio.to_thread(audio_of, service, "agent:a1", message["id"])
        kept = service.data_dir / "voicemail" / f"{message['id']}.wav"
        assert (status, audio) == (200, kept.read_bytes())
        assert seconds_of(CALLER_HZ, read_wav(kept)) >= 1.5
        part = await asyncio.to_thread(audio_of, service, "agent:a1", message["id"], "bytes=44-143")
        assert part == (206, audio[44:144])

        await agent.dial("*97")

        async def hears_it() -> bool:
            return seconds_of(CALLER_HZ, agent.heard()) >= 1.0

        await eventually(hears_it, within=20, what="the message at the agent's phone")
        await lamp(agent, "0/1")
        await agent.press("3")
        await lamp(agent, "0/0")
        assert await messages(service, "agent:a1", 0)
        assert not kept.exists()
        await agent.until("CALL_CLOSED", within=20)
    assert await service.metric("acd_voicemail_taken_total", kind="agent") >= 1
    assert await service.metric("acd_voicemail_messages", kind="agent") == 0
    assert someone.user[4:] not in " ".join(str(path) for path in service.data_dir.rglob("*"))


@pytest.mark.interop("baresip", "leaves a message at an extension")
async def test_a_call_to_an_agent_who_is_away_leaves_a_message(service: RunningService) -> None:
    async with softphone(service, 2) as colleague:
        await colleague.registered()
        await colleague.dial("1003")
        await colleague.until("CALL_ESTABLISHED")
        call = await service.call_reaches("1002", "ivr")
        await colleague.press("#")
        await asyncio.sleep(3)
        await colleague.hang_up()
        (message,) = await messages(service, "agent:a3", 1)
        assert (message["call_id"], message["caller"]) == (call["id"], "1002")
        file = service.data_dir / "voicemail" / f"{message['id']}.wav"
        assert seconds_of(700.0, read_wav(file)) > 0.5
    path = f"/v1/voicemail/agent:a3/{message['id']}"
    status, answer = await asyncio.to_thread(service.request, "PATCH", path, {"heard": True})
    assert (status, answer["heard_by"]) == (200, "api")
    assert (await asyncio.to_thread(service.request, "DELETE", path))[0] == 204
    assert not file.exists()


async def test_a_service_that_is_killed_in_the_middle_of_a_message_keeps_what_was_said(
    service: RunningService,
) -> None:
    async with caller(service, "+37255530003") as someone:
        call = await speaks(service, someone, 1.5)
        (file,) = (service.data_dir / "voicemail" / "incoming").rglob("*.wav")
        service.kill9()
        with wave.open(str(file)) as left:
            frames = left.readframes(left.getnframes())
        assert seconds_of(CALLER_HZ, frames) >= 1.5
        service.start()
        (message,) = await messages(service, "agent:a1", 1)
        kept = service.data_dir / "voicemail" / f"{message['id']}.wav"
        assert seconds_of(CALLER_HZ, read_wav(kept)) >= 1.5
        assert not file.exists()
        record = await service.record_of(someone.user)
        assert (record["outcome"], record["cause"]) == ("failed", "node-died")
        call.rtp.say(None)
    path = f"/v1/voicemail/agent:a1/{message['id']}"
    assert (await asyncio.to_thread(service.request, "DELETE", path, role="viewer"))[0] == 403
    assert (await asyncio.to_thread(service.request, "DELETE", path))[0] == 204


async def test_who_comes_to_a_queue_where_nobody_is_leaves_a_message_for_it(service: RunningService) -> None:
    async with caller(service, "+37255530091") as someone:
        call = await speaks(service, someone, 1.5, called=DESERTED)
        await call.hang_up()
        (message,) = await messages(service, "queue:deserted", 1)
        assert (message["caller"], message["queue"]) == (someone.user, "deserted")
        record = await service.record_of(someone.user)
    assert record["outcome"] == "voicemail"
    counters = (await service.queue("deserted"))["counters"]
    assert (counters["entered"], counters["overflowed"], counters["abandoned"]) == (1, 1, 0)
