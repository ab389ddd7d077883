"""Signalling and audio over IPv6, with real phones on both sides."""

from __future__ import annotations

import pytest

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.cast import BILLING
from tests.support.every_transport import V6, EveryTransport
from tests.support.net import eventually
from tests.support.service import PASSWORD

SERVICE = EveryTransport
SETTINGS = {"media": {"address": V6}}
FIRST_HZ, SECOND_HZ = 700.0, 1100.0


@pytest.mark.interop("baresip", "IPv6, calls and is called, audio both ways")
async def test_two_phones_hear_each_other_over_ipv6(service: EveryTransport) -> None:
    server = (V6, service.ports["v6"])
    async with (
        Baresip(server, "1001", PASSWORD, says=FIRST_HZ, host=V6) as first,
        Baresip(server, "1002", PASSWORD, says=SECOND_HZ, host=V6) as second,
    ):
        await first.registered()
        await second.registered()
        await service.agent_reaches("a2", "available")
        await service.post("/v1/agents/a1/state", {"state": "paused"})
        await first.dial(f"sip:{BILLING}@[{V6}]:{server[1]}")  # 1.0 forgets the brackets of a bare number.
        await second.until("CALL_ESTABLISHED")

        async def both_hear() -> bool:
            heard = seconds_of(SECOND_HZ, first.heard()), seconds_of(FIRST_HZ, second.heard())
            return min(heard) >= 0.4

        await eventually(both_hear, within=6, what="each other's tone")
        await first.hang_up()
        await second.until("CALL_CLOSED")
