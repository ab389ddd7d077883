"""What the people of a call hear: prompts, music, each other; and their phones' wish to hear it otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from acd.calls import model as m
from acd.calls.hands.live import LiveCall
from acd.calls.model import Side
from acd.errors import AcdError
from ivr.prompts import UnknownPrompt

log = structlog.get_logger(__name__)


class Audio:
    def __init__(self, live: LiveCall) -> None:
        self._live = live

    def play(self, effect: m.PlayToCaller) -> None:
        self.play_files(effect.playback, self.files(effect.prompts, effect.language))

    def play_files(self, playback: int, files: Sequence[Path]) -> None:
        """PlaybackOver tells when the caller has heard them."""
        self._live.services.media.play(self._live.seats.caller, str(playback), files)

    def files(self, prompts: Sequence[str], language: str) -> list[Path]:
        """Of the prompts that there are: a recording that was taken away must not end the call."""
        found = []
        for prompt in prompts:
            try:
                found.append(self._live.services.prompts.resolve(prompt, language))
            except UnknownPrompt as error:
                log.error("prompt-missing", error=str(error))
        return found

    def play_music(self, effect: m.PlayMusic) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.media.music(leg, self._live.services.prompts.music(effect.name))

    def play_silence(self, effect: m.PlaySilence) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.media.silence(leg)

    def play_echo(self, effect: m.PlayEcho) -> None:
        self._live.services.media.echo(self._live.seats.caller)

    def bridge(self, effect: m.BridgeLegs) -> None:
        if leg := self._live.seats.leg_of(Side.AGENT):
            self._live.services.media.bridge(self._live.seats.caller, leg)

    # New offers within the call (RFC 3264 section 8).

    def reoffered(self, side: Side, offer: bytes | None) -> None:
        """A re-INVITE: our media answers it, the machine decides what it means."""
        leg = self._live.seats.leg_of(side)
        if leg is None:
            return
        try:
            answer, direction = self._live.services.media.reanswer(leg, offer)
        except AcdError as error:
            self._live.post(m.ReofferUnusable(side, error.sip_status))
        else:
            self._live.post(m.Reoffered(side, answer, direction))

    def reoffer_answered(self, side: Side, sdp: bytes | None) -> None:
        """The answer to an offer of ours within the call; the audio stays as it was where it is unusable."""
        leg = self._live.seats.leg_of(side)
        if leg is None or sdp is None:
            return
        try:
            direction = self._live.services.media.apply_answer(leg, sdp)
        except AcdError as error:
            log.info("reoffer-answer-not-used", side=side.value, cause=error.cause)
        else:
            self._live.post(m.ReofferAnswered(side, direction))

    def accept_reoffer(self, effect: m.AcceptReoffer) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.accept_reoffer(leg, effect.answer)

    def refuse_reoffer(self, effect: m.RefuseReoffer) -> None:
        if leg := self._live.seats.leg_of(effect.side):
            self._live.services.sip.refuse_reoffer(leg, effect.status)
