"""The agent's leg: rung, answered, let go; or those of several agents who are rung together."""

from __future__ import annotations

import structlog

from acd.calls import model as m
from acd.calls.hands.live import LiveCall
from acd.calls.model import Side
from acd.errors import AcdError
from acd.sip.core.events import LegAnswered, LegEnded, LegEvent
from routing.model import Offer

log = structlog.get_logger(__name__)


class AgentLeg:
    def __init__(self, live: LiveCall) -> None:
        self._live = live

    # One agent.

    async def ring(self, effect: m.RingAgent) -> None:
        leg = self._new_leg()
        self._live.seats.seat(Side.AGENT, leg)
        if effect.offer.together:
            await self._ring_together(leg, effect.offer)
            return
        try:
            await self._invite(leg, effect.offer.agent_id)
        except AcdError as error:
            self._live.post(m.AgentUnavailable(error.cause))

    def answered(self, sdp: bytes | None) -> None:
        """The agent's phone sent 200: take its answer, or let the phone go."""
        leg = self._live.seats.leg_of(Side.AGENT)
        if leg is None:
            return
        try:
            self._live.services.media.apply_answer(leg, sdp or b"")
        except AcdError as error:
            self._live.post(m.AgentUnavailable(error.cause))
        else:
            self._live.post(m.AgentAnswered(sdp or b""))

    async def release(self, effect: m.ReleaseAgentLeg) -> None:
        await self._live.release(self._live.seats.vacate(Side.AGENT), effect.reason)

    def _new_leg(self) -> str:
        return f"{self._live.call.id}-{self._live.call.offers}"

    async def _invite(self, leg: str, agent: str) -> None:
        """Ring an agent. Raises AcdError."""
        live, sip = self._live, self._live.services.sip
        live.claim(leg)
        try:
            await sip.look_up(agent)
            srtp = sip.srtp_toward(agent)
            offer = await live.services.media.offer(leg, near=live.seats.caller, srtp=srtp)
            caller, caller_name = self._shown()
            sip.invite_agent(
                leg,
                agent,
                offer=offer,
                caller=caller,
                caller_name=caller_name,
                queue=live.call.queue,
                call_id=live.call.id,
            )
        except AcdError as error:
            log.info("agent-unreachable", agent=agent, cause=error.cause)
            raise

    def _shown(self) -> tuple[str, str]:
        """Number and name of who is on the line: the caller, or the agent who was sent on in their place."""
        call, agents = self._live.call, self._live.context.directory.agents
        sent_on = agents.get(call.from_agent) if call.seated and not call.seated.place.own else None
        return (sent_on.extension, sent_on.name) if sent_on else (call.caller, call.caller_name)

    # Several agents who are rung together.

    async def ring_rival(self, effect: m.RingRival) -> None:
        await self._ring_together(self._new_leg(), effect.offer)

    async def _ring_together(self, leg: str, offer: Offer) -> None:
        self._live.seats.ring(offer.token, leg)
        try:
            await self._invite(leg, offer.agent_id)
        except AcdError as error:
            self._live.post(m.RivalOver(offer.token, "local", error.sip_status))

    def rung(self, token: int, event: LegEvent) -> None:
        """Something happened to the phone of one of them."""
        match event:
            case LegAnswered(leg=leg, sdp=sdp):
                try:
                    self._live.services.media.apply_answer(leg, sdp or b"")
                except AcdError as error:
                    self._live.post(m.RivalOver(token, "local", error.sip_status))
                else:
                    self._live.post(m.RivalAnswered(token))
            case LegEnded(by=by, status=status):
                self._live.post(m.RivalOver(token, by, status))

    async def release_rival(self, effect: m.ReleaseRival) -> None:
        await self._live.release(self._live.seats.stop_ringing(effect.token), effect.reason)

    def take_rival(self, effect: m.TakeRival) -> None:
        if leg := self._live.seats.rung(effect.token):
            self._live.seats.seat(Side.AGENT, leg)
