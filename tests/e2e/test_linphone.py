"""linphone as an agent's phone."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.support.audio import seconds_of, seconds_of_sound
from tests.support.cast import AGENT_HZ, BILLING, caller, dial
from tests.support.linphone import Linphone
from tests.support.net import eventually
from tests.support.service import PASSWORD, RunningService

pytestmark = pytest.mark.skipif(
    shutil.which("linphone-daemon") is None, reason="not installed: linphone-cli; run: make setup-test"
)


@pytest.mark.interop(
    "linphone", "registers over UDP and TCP, is called, is heard", "holds and resumes", "hangs up"
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_linphone_takes_a_call_holds_it_and_hangs_up(service: RunningService, transport: str) -> None:
    phone = Linphone(service.sip_address, "1001", PASSWORD, says=AGENT_HZ, transport=transport)
    async with phone as agent, caller(service, "+37255512001") as someone:
        await service.agent_reaches("a1", "available")
        call = await dial(someone, BILLING)
        await service.call_reaches(someone.user, "talking")
        await agent.speak()

        async def hears(frequency: float) -> bool:
            call.rtp.forget()
            await asyncio.sleep(0.6)
            return seconds_of(frequency, bytes(call.rtp.heard.pcm)) >= 0.3

        async def caller_hears() -> bool:
            return await hears(AGENT_HZ)

        async def music() -> bool:
            gone = not await hears(AGENT_HZ)
            return gone and seconds_of_sound(bytes(call.rtp.heard.pcm)) > 0.3

        await eventually(caller_hears, within=5, what="the agent's tone at the caller")
        await agent.command("call-pause")
        await eventually(music, within=5, what="music at the held caller")
        await agent.command("call-resume")
        await eventually(caller_hears, within=5, what="the agent's tone after the hold")
        await agent.command("terminate")
        assert await call.ended() == "far"
        record = await service.record_of(someone.user)
    assert record["hangup_side"] == "agent"
