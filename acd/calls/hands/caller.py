"""The caller's leg: its media opened, its INVITE answered or refused."""

from __future__ import annotations

from acd.calls import model as m
from acd.calls.hands.live import LiveCall
from acd.directory.model import Srtp
from acd.errors import AcdError


class CallerLeg:
    """Also that of an agent who calls, until the two change seats."""

    def __init__(self, live: LiveCall, near: str | None, srtp: Srtp) -> None:
        self._live = live
        self._near = near
        self._srtp: Srtp = srtp

    async def open_media(self, effect: m.OpenCallerMedia) -> None:
        live, media = self._live, self._live.services.media
        leg = live.seats[effect.side]
        try:
            if effect.offer is None:
                sdp = await media.offer(leg, near=self._near, srtp=self._srtp)
            else:
                sdp = await media.answer(leg, effect.offer, near=self._near, srtp=self._srtp)
        except AcdError as error:
            live.post(m.CallerMediaRefused(error.sip_status, error.cause))
        else:
            live.post(m.CallerMediaOpened(sdp))

    def ask_who(self, effect: m.AskCaller) -> None:
        self._live.ask(self._live.services.callers.ask(effect))

    def answer(self, effect: m.AnswerCaller) -> None:
        self._live.services.sip.accept(self._live.seats[effect.side], effect.sdp)

    def refuse(self, effect: m.RefuseCaller) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.refuse(leg, effect.status, effect.why)

    def apply_answer(self, effect: m.ApplyCallerAnswer) -> None:
        try:
            self._live.services.media.apply_answer(self._live.seats[effect.side], effect.sdp)
        except AcdError as error:
            self._live.post(m.ClearRequested(error.cause))

    def hang_up(self, effect: m.HangUp) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.hangup(leg, effect.reason)
