"""Queues of the directory file."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from acd.directory.model import Queue, Relaxation
from acd.directory.schema.words import (
    Entry,
    Language,
    Name,
    Seconds,
    SecondsOrNone,
    Skills,
    StrategyName,
    Text,
)
from routing.limits import STEPS_MAX


class RelaxEntry(Entry):
    after_seconds: Seconds
    requires: dict[Name, Annotated[int, Field(ge=0, le=10)]] = {}
    teams: Annotated[list[Text], Field(max_length=50)] = []
    any_language: bool = False

    def build(self) -> Relaxation:
        return Relaxation(
            self.after_seconds, MappingProxyType(self.requires), tuple(self.teams), self.any_language
        )


class QueueEntry(Entry):
    name: Name
    requires: Skills = {}
    any_of: Annotated[list[Annotated[Skills, Field(min_length=1)]], Field(max_length=10)] = []
    teams: Annotated[list[Text], Field(max_length=50)] = []
    languages: Annotated[list[Language], Field(max_length=20)] = []
    relax: Annotated[list[RelaxEntry], Field(max_length=STEPS_MAX)] = []
    order_by: Literal["arrival", "target"] = "arrival"
    strategy: StrategyName = "longest-idle"
    ring_seconds: Seconds = 15.0
    wrapup_seconds: SecondsOrNone = 0.0
    service_level_seconds: Seconds = 20.0
    max_wait_seconds: Seconds | None = None
    announce_position_seconds: SecondsOrNone = 30.0
    music: Name = "hold-music"
    not_answering_after: Annotated[int, Field(ge=1, le=1000)] = 3
    transfer_place: Literal["keep", "last"] = "keep"

    @model_validator(mode="after")
    def _steps_follow_each_other(self) -> QueueEntry:
        times = [step.after_seconds for step in self.relax]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("each step of relax must come after the one before: sort them by after_seconds")
        return self

    def build(self) -> Queue:
        return Queue(
            **{
                **dict(self),
                "requires": MappingProxyType(self.requires),
                "any_of": tuple(MappingProxyType(group) for group in self.any_of),
                "teams": tuple(self.teams),
                "languages": tuple(self.languages),
                "relax": tuple(step.build() for step in self.relax),
            }
        )
