"""Short words for the people of the end-to-end tests."""

from __future__ import annotations

from tests.support.audio import seconds_of
from tests.support.baresip import Baresip
from tests.support.caller import Call, Caller
from tests.support.net import eventually
from tests.support.service import PASSWORD, RunningService
from tests.support.sipp import AgentPhone, Agents, Behaviour

BILLING, BILLING_FIRST, SUPPORT = "+3726000200", "+3726000201", "+3726000202"
SALES, STRICT, TOGETHER, TWO_LINES = "+3726000203", "+3726000204", "+3726000205", "+3726000206"
PERSONAL = "+3726000207"
MENU, ECHO, MUSIC = "+3726000100", "+3726000101", "+3726000102"
CALLER_HZ, AGENT_HZ = 440.0, 700.0


def phone(
    n: int, behaviour: Behaviour = Behaviour.ANSWER, *, ring_ms: int = 100, talk_ms: int = 500
) -> AgentPhone:
    """The phone of agent a<n>."""
    return AgentPhone(str(1000 + n), PASSWORD, behaviour, ring_ms, talk_ms)


def agents(service: RunningService, *phones: AgentPhone, seconds: float = 60.0) -> Agents:
    return Agents(service.sip_address, phones, seconds=seconds)


def softphone(service: RunningService, n: int, **more: object) -> Baresip:
    """A baresip phone of agent a<n>, with real audio."""
    return Baresip(service.sip_address, str(1000 + n), PASSWORD, says=AGENT_HZ, **more)  # type: ignore[arg-type]


def caller(service: RunningService, number: str = "+37255500001") -> Caller:
    """Somebody who calls over the trunk, from this number."""
    return Caller(service.sip_address, user=number)


async def dial(someone: Caller, number: str, *, laws: tuple[int, ...] = (0, 8)) -> Call:
    """Dial, be answered by the service, and speak."""
    call = await (await someone.dial(number, payload_types=laws)).answered()
    call.rtp.say(CALLER_HZ)
    return call


async def heard(call: Call, frequency: float, seconds: float = 0.5, *, within: float = 4.0) -> None:
    """The caller hears this tone from now on, for so long."""
    call.rtp.forget()

    async def enough() -> bool:
        return seconds_of(frequency, bytes(call.rtp.heard.pcm)) >= seconds

    await eventually(enough, within=within, what=f"{frequency} Hz in what the caller hears")
