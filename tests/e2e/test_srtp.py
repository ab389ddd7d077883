"""Encrypted audio with a real phone, tones checked both ways."""

from __future__ import annotations

import pytest

from tests.support.audio import seconds_of
from tests.support.cast import AGENT_HZ, BILLING, CALLER_HZ, caller, dial, softphone
from tests.support.net import eventually
from tests.support.service import RunningService, standard_directory

DIRECTORY = standard_directory(agents=2)
DIRECTORY["devices"] = [{"name": "must", "srtp": "require"}, {"name": "may", "srtp": "offer"}]
DIRECTORY["agents"][0]["device"] = "must"
DIRECTORY["agents"][1]["device"] = "may"
SETTINGS = {"media": {"srtp_without_tls": True}}


async def both_hear(service: RunningService, n: int, mediaenc: str) -> None:
    async with softphone(service, n, mediaenc=mediaenc) as agent, caller(service) as someone:
        await agent.registered()
        call = await dial(someone, BILLING)
        await agent.until("CALL_ESTABLISHED")

        async def caller_hears() -> bool:
            return seconds_of(AGENT_HZ, bytes(call.rtp.heard.pcm)) >= 0.5

        async def agent_hears() -> bool:
            return seconds_of(CALLER_HZ, agent.heard()) >= 0.5

        await eventually(caller_hears, within=5, what="the agent's tone at the caller")
        await eventually(agent_hears, within=5, what="the caller's tone at the agent")
        await call.hang_up()
        await agent.until("CALL_CLOSED")


@pytest.mark.interop("baresip", "SRTP (SDES) required")
async def test_phone_that_takes_only_encrypted_audio_and_the_caller_hear_each_other(
    service: RunningService,
) -> None:
    await both_hear(service, 1, "srtp-mand")


@pytest.mark.interop("baresip", "SRTP (SDES) offered")
async def test_offered_encryption_is_taken_by_a_phone_that_can(service: RunningService) -> None:
    await both_hear(service, 2, "srtp")


async def test_offered_encryption_is_no_hindrance_to_a_phone_that_cannot(service: RunningService) -> None:
    await both_hear(service, 2, "")


async def test_required_encryption_keeps_a_call_from_a_phone_that_cannot(service: RunningService) -> None:
    async with softphone(service, 1) as agent, caller(service) as someone:
        await agent.registered()
        call = await dial(someone, BILLING)

        async def rejected() -> bool:
            return await service.metric("acd_agent_offers_failed_total") > 0

        await eventually(rejected, within=5, what="the offer refused by the phone")
        assert agent.times("CALL_ESTABLISHED") == 0
        await call.hang_up()
