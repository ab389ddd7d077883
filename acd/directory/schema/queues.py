"""Queues of the directory file."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from acd.directory.model import (
    AbsentState,
    AnnounceWait,
    CallbackRules,
    FormField,
    LastAgent,
    LendsWhile,
    Queue,
    RefusalRule,
    Refusals,
    Relaxation,
    WrapupMode,
)
from acd.directory.schema.dialling import CallerId, DialClasses
from acd.directory.schema.overflow import OverflowEntry
from acd.directory.schema.voicemail import OptionalVoicemail
from acd.directory.schema.words import (
    DAY_SECONDS,
    Entry,
    Languages,
    Name,
    QueueName,
    Seconds,
    SecondsOrNone,
    Skills,
    StrategyName,
    Text,
)
from routing.limits import (
    CALLBACK_ATTEMPTS_MAX,
    PREFERENCES_MAX,
    QUEUE_WEIGHT_MAX,
    RING_AGENTS_MAX,
    STEPS_MAX,
)
from routing.model import RejectReason

_DIGIT = re.compile(r"[0-9]?", re.ASCII)
_PREFIX = re.compile(r"\+?[0-9]{1,15}", re.ASCII)


def _digit(value: str) -> str:
    if not _DIGIT.fullmatch(value):
        raise ValueError(f"{value!r} is not a digit: one of 0-9, in quotes")
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"{value!r} is not the beginning of a number like '+3725' or '5'")
    return value


Choice = Annotated[Text, Field(min_length=1)]


class RelaxEntry(Entry):
    after_seconds: Seconds
    requires: dict[Name, Annotated[int, Field(ge=0, le=10)]] = {}
    teams: Annotated[list[Text], Field(max_length=50)] = []
    any_language: bool = False
    languages: Annotated[int, Field(ge=2, le=PREFERENCES_MAX)] | None = None
    any_of: dict[Name, Annotated[int, Field(ge=0, le=10)]] = {}

    def build(self) -> Relaxation:
        return Relaxation(
            self.after_seconds,
            MappingProxyType(self.requires),
            tuple(self.teams),
            self.any_language,
            self.languages or 0,
            MappingProxyType(self.any_of),
        )


def _levels(languages: Languages) -> dict[str, int]:
    levels = languages if isinstance(languages, dict) else {}
    return {language: level for language, level in levels.items() if level > 1}


class FormFieldEntry(Entry):
    name: Name
    kind: Literal["text", "number", "choice"] = "text"
    label: Text = ""
    required: bool = False
    choices: Annotated[list[Choice], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _has_choices_where_one_chooses(self) -> FormFieldEntry:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("choices belong to a field of kind choice, which needs at least one")
        return self

    def build(self) -> FormField:
        return FormField(self.name, self.kind, self.label, self.required, tuple(self.choices))


class CallbackEntry(Entry):
    digit: Annotated[str, AfterValidator(_digit)] = ""
    flow: Text = "callback"
    first: Literal["agent", "customer"] = "agent"
    ring_seconds: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 30.0
    attempts: Annotated[int, Field(ge=1, le=CALLBACK_ATTEMPTS_MAX)] = 3
    interval_seconds: Seconds = 300.0
    expire_seconds: Annotated[float, Field(gt=0, le=30 * DAY_SECONDS, allow_inf_nan=False)] = 28_800.0
    numbers: Annotated[list[Annotated[str, AfterValidator(_prefix)]], Field(max_length=100)] = []
    dialling: DialClasses = [*CallbackRules().dialling]

    def build(self) -> CallbackRules:
        lists = {"numbers": tuple(self.numbers), "dialling": tuple(self.dialling)}
        return CallbackRules(**{**dict(self), **lists})


class RefusalEntry(Entry):
    """What is left out is as it is for this way of not taking a call."""

    rest_seconds: SecondsOrNone | None = None
    not_answering_after: Annotated[int, Field(ge=0, le=1000)] | None = None
    exclude_seconds: Seconds | Literal["wait"] | None = None
    pause: Text | None = None

    def build(self, standard: RefusalRule) -> RefusalRule:
        given = {name: value for name, value in self if value is not None}
        if self.exclude_seconds == "wait":
            given["exclude_seconds"] = None
        return replace(standard, **given)


class RefusalsEntry(Entry):
    rejected: RefusalEntry = RefusalEntry()
    busy: RefusalEntry = RefusalEntry()
    no_answer: Annotated[RefusalEntry, Field(alias="no-answer")] = RefusalEntry()
    unreachable: RefusalEntry = RefusalEntry()
    retry_seconds: Annotated[float, Field(ge=1, le=DAY_SECONDS, allow_inf_nan=False)] = 5.0

    @model_validator(mode="after")
    def _excludes_at_least_until_the_retry(self) -> RefusalsEntry:
        for name, rule in self._rules(self.build()):
            if rule.exclude_seconds is not None and rule.exclude_seconds < self.retry_seconds:
                raise ValueError(
                    f"exclude_seconds of {name} is less than retry_seconds; raise the one or lower the other"
                )
        return self

    @staticmethod
    def _rules(built: Refusals) -> list[tuple[str, RefusalRule]]:
        ways = [reason.value for reason in RejectReason]
        return [(way, getattr(built, way.replace("-", "_"))) for way in ways]

    def build(self) -> Refusals:
        standard = Refusals()
        return Refusals(
            rejected=self.rejected.build(standard.rejected),
            busy=self.busy.build(standard.busy),
            no_answer=self.no_answer.build(standard.no_answer),
            unreachable=self.unreachable.build(standard.unreachable),
            retry_seconds=self.retry_seconds,
        )


class LendsWhileEntry(Entry):
    waiting_at_most: Annotated[int, Field(ge=0, le=10_000)] = 0
    longest_wait_under_seconds: Seconds | None = None
    free_agents_at_least: Annotated[int, Field(ge=0, le=1_000)] = 0

    def build(self) -> LendsWhile:
        return LendsWhile(**dict(self))


class LastAgentEntry(Entry):
    days: Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)] = 30.0
    timeout_seconds: Seconds = 20.0

    def build(self) -> LastAgent:
        return LastAgent(self.days, self.timeout_seconds)


class QueueEntry(Entry):
    name: QueueName
    requires: Skills = {}
    any_of: Annotated[list[Annotated[Skills, Field(min_length=1)]], Field(max_length=10)] = []
    teams: Annotated[list[Text], Field(max_length=50)] = []
    languages: Languages = []
    relax: Annotated[list[RelaxEntry], Field(max_length=STEPS_MAX)] = []
    order_by: Literal["arrival", "target"] = "arrival"
    weight: Annotated[int, Field(ge=1, le=QUEUE_WEIGHT_MAX)] = 1
    strategy: StrategyName = "longest-idle"
    ring_seconds: Seconds = 15.0
    ring_agents: Annotated[int, Field(ge=1, le=RING_AGENTS_MAX)] | Literal["all"] = 1
    wrapup_seconds: SecondsOrNone = 0.0
    wrapup_mode: WrapupMode = "fixed"
    wrapup_limit_seconds: Seconds = 300.0
    wrapup_codes: Annotated[list[Choice], Field(max_length=200)] = []
    wrapup_code_required: bool = False
    wrapup_form: Annotated[list[FormFieldEntry], Field(max_length=30)] = []
    refusal_reasons: Annotated[list[Choice], Field(max_length=200)] = []
    refusal_reason_required: bool = False
    callback: CallbackEntry | None = None
    voicemail: OptionalVoicemail = None
    service_level_seconds: Seconds = 20.0
    max_wait_seconds: Seconds | None = None
    announce_position_seconds: SecondsOrNone = 30.0
    announce_wait: AnnounceWait = "never"
    music: Name = "hold-music"
    refusals: RefusalsEntry = RefusalsEntry()
    preferred_seconds: Seconds = 20.0
    last_agent: LastAgentEntry | None = None
    lends_while: LendsWhileEntry | None = None
    caller_id: CallerId = ""
    transfer_place: Literal["keep", "last"] = "keep"
    overflow: Annotated[list[OverflowEntry], Field(max_length=20)] = []
    max_waiting: Annotated[int, Field(ge=1, le=100_000)] | None = None
    join_when_empty: bool = True
    leave_when_empty: bool = False
    agents_count_as_absent: list[AbsentState] = ["paused", "not-answering"]

    @model_validator(mode="after")
    def _steps_follow_each_other(self) -> QueueEntry:
        times = [step.after_seconds for step in self.relax]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("each step of relax must come after the one before: sort them by after_seconds")
        return self

    @model_validator(mode="after")
    def _wrapup_can_be_done(self) -> QueueEntry:
        if self.wrapup_mode != "fixed" and self.wrapup_limit_seconds < self.wrapup_seconds:
            raise ValueError("wrapup_limit_seconds is less than wrapup_seconds; raise it")
        if self.wrapup_code_required and not self.wrapup_codes:
            raise ValueError("wrapup_code_required needs codes to choose from; add them to wrapup_codes")
        names = [field.name for field in self.wrapup_form]
        for what, values in (("wrapup_form", names), ("wrapup_codes", self.wrapup_codes)):
            if len(set(values)) < len(values):
                raise ValueError(f"{what} names something twice; each must be unique")
        return self

    @model_validator(mode="after")
    def _refusals_can_be_told(self) -> QueueEntry:
        if self.refusal_reason_required and not self.refusal_reasons:
            raise ValueError("refusal_reason_required needs reasons to choose from; add refusal_reasons")
        if len(set(self.refusal_reasons)) < len(self.refusal_reasons):
            raise ValueError("refusal_reasons names something twice; each must be unique")
        return self

    @model_validator(mode="after")
    def _full_has_a_measure(self) -> QueueEntry:
        if self.max_waiting is None and any(rule.full for rule in self.overflow):
            raise ValueError("full in overflow needs max_waiting; say how many may wait")
        return self

    def build(self) -> Queue:
        return Queue(
            **{
                **dict(self),
                "ring_agents": RING_AGENTS_MAX if self.ring_agents == "all" else self.ring_agents,
                "requires": MappingProxyType(self.requires),
                "any_of": tuple(MappingProxyType(group) for group in self.any_of),
                "teams": tuple(self.teams),
                "languages": tuple(self.languages),
                "language_levels": MappingProxyType(_levels(self.languages)),
                "relax": tuple(step.build() for step in self.relax),
                "wrapup_codes": tuple(self.wrapup_codes),
                "refusal_reasons": tuple(self.refusal_reasons),
                "wrapup_form": tuple(field.build() for field in self.wrapup_form),
                "callback": self.callback.build() if self.callback else None,
                "overflow": tuple(rule.build(self.max_waiting) for rule in self.overflow),
                "agents_count_as_absent": tuple(dict.fromkeys(self.agents_count_as_absent)),
                "voicemail": self.voicemail.rules() if self.voicemail else None,
                "refusals": self.refusals.build(),
                "last_agent": self.last_agent.build() if self.last_agent else None,
                "lends_while": self.lends_while.build() if self.lends_while else None,
            }
        )
