"""A simulated agent: rings for a while, answers, talks, sometimes hangs up first, now and then declines."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from acd.demo.phones.phone import Phone, PhoneCall
from acd.demo.phones.report import Report
from acd.demo.phones.voice import AGENT_TONE, CALLER_TONE, tone_frames

_HEARD_WITHIN = 3.0
_LONGEST_TALK = 300.0


@dataclass(frozen=True, slots=True)
class AgentHabits:
    """Ranges in seconds, shares from 0 to 1."""

    ring_seconds: tuple[float, float] = (0.5, 3.0)
    talk_seconds: tuple[float, float] = (4.0, 10.0)
    hangs_up_first: float = 0.3
    declines: float = 0.05


class Agent:
    """One registered phone and the person at it."""

    def __init__(
        self,
        server: tuple[str, int],
        user: str,
        password: str,
        *,
        bind: tuple[str, int],
        habits: AgentHabits,
        report: Report,
        seed: int,
    ) -> None:
        self.user = user
        self._habits = habits
        self._report = report
        self._chance = random.Random(seed)
        self._voice = tone_frames(AGENT_TONE)
        self.phone = Phone(server, user, password, bind=bind, on_call=self._on_call, awaited_tone=CALLER_TONE)

    def start(self) -> None:
        """Register; reports `registered` or, after ten seconds, `not-registered`."""
        self.phone.start()
        threading.Thread(target=self._await_registration, daemon=True).start()

    def _await_registration(self) -> None:
        if self.phone.sip.registered.wait(10.0):
            self._report("registered", self.user)
        else:
            self._report("not-registered", self.user, status=self.phone.sip.register_status)

    def stop(self) -> None:
        """Hang up and unregister."""
        self.phone.stop()

    def _on_call(self, call: PhoneCall) -> None:
        self._report("ringing", self.user, call=call.call_id)
        habits, chance = self._habits, self._chance
        declines = chance.random() < habits.declines
        if call.decided.wait(chance.uniform(*habits.ring_seconds)):
            self._report("ended", self.user, call=call.call_id, cause=call.cause, talked=False)
            return
        if declines:
            call.deny()
            self._report("ended", self.user, call=call.call_id, cause="declined", talked=False)
            return
        call.speak(self._voice)
        if not call.accept():
            return
        self._report("answered", self.user, call=call.call_id)
        self._talk(call)

    def _talk(self, call: PhoneCall) -> None:
        habits, chance = self._habits, self._chance
        first = chance.random() < habits.hangs_up_first
        patience = chance.uniform(*habits.talk_seconds) if first else _LONGEST_TALK
        began = time.monotonic()
        heard = call.ear.tone.wait(_HEARD_WITHIN)
        if heard:
            self._report("heard-audio", self.user, call=call.call_id)
        if not call.ended.wait(patience):
            call.hangup()
        seconds = round(call.ended_at - began, 2)
        self._report(
            "ended", self.user, call=call.call_id, cause=call.cause, talked=True, heard=heard, seconds=seconds
        )
