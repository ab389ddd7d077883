"""Simulated callers: dial a number, press digits for the menu, wait, talk to the agent they hear, hang up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from acd.demo.phones.phone import Phone, PhoneCall
from acd.demo.phones.report import Report
from acd.demo.phones.voice import AGENT_TONE, CALLER_TONE, tone_frames

_ANSWERED_WITHIN = 10.0
_BEFORE_FIRST_DIGIT = 0.8
_BETWEEN_DIGITS = 1.2
_LONGEST_TALK = 300.0
_WAIT_AFTER_STOP = 10.0


class Plan(StrEnum):
    """What the caller has in mind."""

    TALK = "talk"
    LISTEN = "listen"
    """To a number without an agent (echo, music)."""
    LEAVE_EARLY = "leave-early"
    """Loses patience in the menu or the queue."""


class Ending(StrEnum):
    """How it came out. The first four are as planned or the caller's own choice; the others are lost."""

    TALKED = "talked"
    LISTENED = "listened"
    LEFT_EARLY = "left-early"
    GAVE_UP = "gave-up"
    REFUSED = "refused"
    NO_ANSWER = "no-answer"
    DROPPED = "dropped"
    """The far end hung up before an agent was heard."""
    SILENT = "silent"
    """Answered, but nothing was ever heard."""

    @property
    def lost(self) -> bool:
        return self in (Ending.REFUSED, Ending.NO_ANSWER, Ending.DROPPED, Ending.SILENT)


@dataclass(frozen=True, slots=True)
class Dialled:
    """A number to call, how often (weight), and the digits of its menu: one string to choose from a step."""

    number: str
    weight: float = 1.0
    digits: tuple[str, ...] = ()
    plan: Plan = Plan.TALK


@dataclass(frozen=True, slots=True)
class CallerHabits:
    """Ranges in seconds, shares from 0 to 1."""

    talk_seconds: tuple[float, float] = (4.0, 10.0)
    patience_seconds: float = 90.0
    leaves_early: float = 0.08
    lets_agent_hang_up: float = 0.3


class Callers:
    """Any number of callers on one trunk socket; each call has a number of its own, to be found again by."""

    def __init__(
        self,
        server: tuple[str, int],
        *,
        bind: tuple[str, int],
        dialled: Sequence[Dialled],
        habits: CallerHabits,
        report: Report,
        seed: int,
        prefix: str = "+37255",
    ) -> None:
        self._dialled = dialled
        self._habits = habits
        self._report = report
        self._chance = random.Random(seed)
        self._prefix = f"{prefix}{seed % 100:02d}"
        self._voice = tone_frames(CALLER_TONE)
        self._count = 0
        self._closing_at = float("inf")
        """When those who still wait lose patience."""
        self._threads: list[threading.Thread] = []
        self.phone = Phone(server, "caller", "", bind=bind, awaited_tone=AGENT_TONE)

    def run(self, *, calls_per_minute: float, most: int | None, stop: threading.Event) -> None:
        """Place calls at random moments (a Poisson stream) until told to stop; then let the last ones end."""
        self.phone.start()
        while not stop.is_set() and (most is None or self._count < most):
            self._place()
            stop.wait(self._chance.expovariate(calls_per_minute / 60.0))
        if stop.is_set():
            self._closing_at = time.monotonic() + _WAIT_AFTER_STOP
        for thread in self._threads:
            thread.join()
        time.sleep(0.3)  # the last BYE's answer
        self.phone.stop()

    def _place(self) -> None:
        self._count += 1
        chance = random.Random(self._chance.random())
        weights = [entry.weight for entry in self._dialled]
        entry = chance.choices(self._dialled, weights)[0]
        caller = f"{self._prefix}{self._count:06d}"
        thread = threading.Thread(target=self._one, args=(entry, caller, chance), name=caller, daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _one(self, entry: Dialled, caller: str, chance: random.Random) -> None:
        plan = entry.plan
        if plan is Plan.TALK and chance.random() < self._habits.leaves_early:
            plan = Plan.LEAVE_EARLY
        started = time.monotonic()
        self._report("calling", caller, number=entry.number, plan=plan)
        call = self.phone.call(entry.number, caller)
        call.speak(self._voice)
        waited, talked = 0.0, 0.0
        if not call.decided.wait(_ANSWERED_WITHIN):
            call.hangup()
            ending = Ending.NO_ANSWER
        elif call.ended.is_set():
            ending = Ending.REFUSED
        else:
            self._report("answered", caller)
            ending, waited, talked = self._inside(call, entry, plan, chance)
        self._report(
            "ended",
            caller,
            number=entry.number,
            plan=plan,
            ending=ending,
            lost=ending.lost,
            cause=call.cause,
            waited=round(waited, 2),
            talked=round(talked, 2),
            seconds=round(time.monotonic() - started, 2),
            packets=call.ear.packets,
        )

    def _inside(
        self, call: PhoneCall, entry: Dialled, plan: Plan, chance: random.Random
    ) -> tuple[Ending, float, float]:
        """What happens after the answer: the ending, and the seconds waited and talked."""
        began = time.monotonic()
        if plan is Plan.LISTEN:
            dropped = call.ended.wait(chance.uniform(*self._habits.talk_seconds))
            call.hangup()
            heard = call.ear.sound.is_set()
            ending = Ending.DROPPED if dropped else Ending.LISTENED if heard else Ending.SILENT
            return ending, 0.0, time.monotonic() - began
        self._press_menu(call, entry, chance)
        patience = chance.uniform(1.0, 6.0) if plan is Plan.LEAVE_EARLY else self._habits.patience_seconds
        found = self._first_of(call, patience)
        waited = time.monotonic() - began
        if found == "tone":
            return Ending.TALKED, waited, self._talk(call, chance)
        if found == "ended":
            return Ending.DROPPED, waited, 0.0
        call.hangup()
        if plan is Plan.LEAVE_EARLY:
            return Ending.LEFT_EARLY, waited, 0.0
        return (Ending.GAVE_UP if call.ear.sound.is_set() else Ending.SILENT), waited, 0.0

    def _press_menu(self, call: PhoneCall, entry: Dialled, chance: random.Random) -> None:
        pause = _BEFORE_FIRST_DIGIT
        for choices in entry.digits:
            if call.ended.wait(pause):
                return
            call.press(chance.choice(choices))
            pause = _BETWEEN_DIGITS

    def _talk(self, call: PhoneCall, chance: random.Random) -> float:
        began = time.monotonic()
        self._report("heard-audio", self.phone.username, call=call.call_id)
        waits = chance.random() < self._habits.lets_agent_hang_up
        seconds = chance.uniform(*self._habits.talk_seconds) * (2 if waits else 1)
        if not call.ended.wait(min(seconds, _LONGEST_TALK)):
            call.hangup()
        return time.monotonic() - began

    def _first_of(self, call: PhoneCall, patience: float) -> str:
        """Which comes first: the agent's `tone`, the call `ended`, or `patience` running out."""
        deadline = time.monotonic() + patience
        while time.monotonic() < min(deadline, self._closing_at):
            if call.ear.tone.wait(0.1):
                return "tone"
            if call.ended.is_set():
                return "ended"
        return "patience"
