"""Voice messages: taken from a caller, played to an agent."""

from __future__ import annotations

import asyncio

import structlog

from acd.calls import model as m
from acd.calls.hands.audio import Audio
from acd.calls.hands.live import LiveCall
from acd.calls.messages import BoxFull
from acd.errors import AcdError

_MAILBOX_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Voicemail:
    def __init__(self, live: LiveCall, audio: Audio) -> None:
        self._live = live
        self._audio = audio

    async def take(self, effect: m.TakeMessage) -> None:
        services, recording = self._live.services, effect.message.id
        try:
            file = await services.messages.begin(effect.message)
        except AcdError as error:
            why = "full" if isinstance(error, BoxFull) else "failed"
            self._live.post(m.RecordingOver(recording, 0.0, why))
            return
        services.media.record(
            self._live.seats.caller,
            recording,
            file,
            limit_seconds=effect.limit_seconds,
            silence_seconds=effect.silence_seconds,
        )

    def end(self, effect: m.EndMessage) -> None:
        self._live.services.media.stop_recording(self._live.seats.caller)

    def open_box(self, effect: m.OpenMailbox) -> None:
        self._live.ask(self._look_into(effect.box))

    async def _look_into(self, box: str) -> m.MailboxOpened:
        try:
            async with asyncio.timeout(_MAILBOX_SECONDS):
                return m.MailboxOpened(tuple(await self._live.services.messages.waiting(box)))
        except Exception as error:
            # Whoever listens is told that it cannot be opened, and the call goes on.
            log.warning("mailbox-not-opened", box=box, error=str(error) or type(error).__name__)
            return m.MailboxOpened(None)

    def play(self, effect: m.PlayMessage) -> None:
        files = self._audio.files(effect.prompts, effect.language)
        if effect.message:
            audio = self._live.services.messages.audio(effect.message)
            there = audio.exists()
            if not there:
                log.warning("message-audio-not-here", message=effect.message)
            files += [audio] if there else self._audio.files(("not-possible",), effect.language)
        self._audio.play_files(effect.playback, files)

    def mark_heard(self, effect: m.MarkHeard) -> None:
        self._live.services.messages.heard(effect.message, effect.agent)

    def delete(self, effect: m.DeleteMessage) -> None:
        self._live.services.messages.deleted(effect.message)
