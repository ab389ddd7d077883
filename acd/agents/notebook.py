"""What agents have to say about their conversations and refusals, and what they say by phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from acd.agents.notes import Note, NoteMissing, NoteProblem, NoteRefused, Owed, RefusedCall, missing_in
from acd.agents.terms import call_of_entry
from acd.clock import Clock
from acd.directory.model import Directory
from acd.errors import AcdError
from routing.model import AgentState, AgentStatus

log = structlog.get_logger(__name__)

REASON_SECONDS = 300.0
"""How long after a refusal its reason may be given."""
LATE_SECONDS = 900.0
"""How long after a wrap-up a phone may still give its code."""


class NotesAway(AcdError):
    """The database that keeps the notes does not answer."""

    cause = "database-unavailable"


class Notes(Protocol):
    """Where notes are kept. Every method raises what the database raises."""

    async def put(self, note: Note) -> None:
        """Keep a note; it replaces an earlier one of the same agent and call."""

    async def of(self, call_id: str) -> Sequence[Note]: ...

    async def owed(self, agent: str, since: float) -> Owed | None:
        """The newest conversation of an agent that ended since then and lacks what its queue requires."""


class Refusals(Protocol):
    """Where the reasons of refusals are kept. Every method raises what the database raises."""

    async def give(self, call: RefusedCall, reason: str) -> None: ...

    async def last(self, agent: str, since: float) -> RefusedCall | None:
        """What the agent did not take last, since then."""


class Notebook:
    """Beside the desk: whether an agent may be done with a conversation yet."""

    def __init__(
        self, notes: Notes, refusals: Refusals, clock: Clock, directory: Callable[[], Directory]
    ) -> None:
        self._notes = notes
        self._refusals = refusals
        self._clock = clock
        self._directory = directory

    async def check(self, status: AgentStatus) -> None:
        """Raises NoteMissing where the agent wraps up a call and something required is not noted.

        Without the database nobody is held.
        """
        if status.state is not AgentState.WRAPUP or status.wrapup is None:
            return
        rules = self._directory().queues.get(status.wrapup.queue)
        if rules is None or not rules.note_required:
            return
        try:
            note = await self._note(call_of_entry(status.wrapup.call_id), status.agent_id)
        except SQLAlchemyError as error:
            log.warning("notes-away", agent=status.agent_id, error=str(error))
            return
        if missing := missing_in(rules, note):
            raise NoteMissing(missing)

    async def give_code(self, status: AgentStatus, number: str) -> None:
        """The code of that number (1 is the first) for the call that the agent wraps up, or the last one that
        lacks something. What else is noted of it stays. Raises NoteRefused, NotesAway.
        """
        try:
            owed = await self._at_hand(status)
            if owed is None:
                raise NoteRefused([NoteProblem("code", "there is no call to give it to", in_form=False)])
            rules = self._directory().queues.get(owed.queue)
            codes = rules.wrapup_codes if rules else ()
            if rules is None or not 1 <= int(number or "0") <= len(codes):
                raise NoteRefused([NoteProblem("code", "no code has this number", in_form=False)])
            before = await self._note(owed.call_id, status.agent_id)
            note = before or Note(owed.call_id, status.agent_id, owed.queue, None, {}, 0.0)
            note = replace(note, code=codes[int(number) - 1], given_at=self._clock.time())
            await self._notes.put(replace(note, complete=not missing_in(rules, note)))
        except SQLAlchemyError as error:
            raise NotesAway(str(error)) from error

    async def give_reason(self, agent: str, number: str) -> None:
        """The reason of that number for the call that the agent did not take last. Raises as `give_code`."""
        try:
            call = await self._refusals.last(agent, self._clock.time() - REASON_SECONDS)
            rules = self._directory().queues.get(call.queue) if call else None
            reasons = rules.refusal_reasons if rules else ()
            if call is None or not 1 <= int(number or "0") <= len(reasons):
                raise NoteRefused([NoteProblem("reason", "no reason has this number now", in_form=False)])
            await self._refusals.give(call, reasons[int(number) - 1])
        except SQLAlchemyError as error:
            raise NotesAway(str(error)) from error

    async def _at_hand(self, status: AgentStatus) -> Owed | None:
        if status.wrapup is not None:
            return Owed(call_of_entry(status.wrapup.call_id), status.wrapup.queue)
        return await self._notes.owed(status.agent_id, self._clock.time() - LATE_SECONDS)

    async def _note(self, call_id: str, agent: str) -> Note | None:
        found = await self._notes.of(call_id)
        return next((note for note in found if note.agent == agent), None)
