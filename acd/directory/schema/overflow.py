"""Overflow rules of a queue in the directory file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from acd.directory.model import OVERFLOW_KINDS, OverflowRule
from acd.directory.schema.voicemail import BoxName
from acd.directory.schema.words import Dialled, Entry, Extension, Name, Seconds, Text
from routing.overflow import Conditions, Moment


class OverflowEntry(Entry):
    at: Moment = "any"
    after_seconds: Seconds | None = None
    waiting_over: Annotated[int, Field(ge=0, le=100_000)] | None = None
    full: bool = False
    expected_wait_over_seconds: Seconds | None = None
    no_agent: bool = False
    queue: Name | None = None
    place: Literal["keep", "last"] | None = None
    leads: Annotated[Text, Field(min_length=1)] | None = None
    instead: bool | None = None
    number: Dialled | None = None
    extension: Extension | None = None
    flow: Text | None = None
    voicemail: BoxName | None = None
    message: Annotated[list[Name], Field(min_length=1, max_length=20)] | None = None
    then: Literal["hang-up", "wait"] | None = None

    @model_validator(mode="after")
    def _leads_to_one_place(self) -> OverflowEntry:
        given = [kind for kind in OVERFLOW_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"a rule leads to one of {', '.join(OVERFLOW_KINDS)}; {found}")
        if self.place is not None and self.queue is None:
            raise ValueError("place is of a rule that leads to a queue; leave it out")
        if self.instead is not None and self.leads is None:
            raise ValueError("instead is of a rule that leads to the leads of a team; leave it out")
        if self.then is not None and self.message is None:
            raise ValueError("then is of a rule with a message; leave it out")
        return self

    @model_validator(mode="after")
    def _can_hold(self) -> OverflowEntry:
        of_line = self.full or self.waiting_over is not None
        if not (of_line or self.no_agent or self.after_seconds or self.expected_wait_over_seconds):
            raise ValueError(
                "a rule needs a condition: after_seconds, waiting_over, full, expected_wait_over_seconds"
                " or no_agent"
            )
        if self.full and self.waiting_over is not None:
            raise ValueError("full and waiting_over are both about the length of the line; keep one of them")
        if of_line and (self.at == "waiting" or self.after_seconds):
            raise ValueError(
                "the length of the line is looked at when a caller joins; leave out after_seconds"
                " and at: waiting"
            )
        if self.at == "joining" and self.after_seconds:
            raise ValueError("who joins has not waited yet; leave out after_seconds or at")
        return self

    def build(self, max_waiting: int | None) -> OverflowRule:
        """The rule; `max_waiting` is of its queue."""
        over = max_waiting - 1 if self.full and max_waiting is not None else self.waiting_over
        when = Conditions(
            self.at, self.after_seconds or 0.0, over, self.expected_wait_over_seconds, self.no_agent
        )
        return OverflowRule(
            when,
            queue=self.queue or "",
            place=self.place or "keep",
            leads=self.leads or "",
            instead=bool(self.instead),
            number=self.number or "",
            extension=self.extension or "",
            flow=self.flow or "",
            voicemail=self.voicemail or "",
            message=tuple(self.message or ()),
            then=self.then or "hang-up",
        )
