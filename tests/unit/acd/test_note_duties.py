"""Notes that a queue requires: who may be done without, and which conversations lack one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.agents.notebook import LATE_SECONDS, Notebook
from acd.agents.notes import Note, NoteMissing, NoteRefused, missing_in
from acd.calls.facts import CallFact, ConversationOver, NoteMissed, WrapupEnded
from acd.control.ports import RecordFilter
from acd.control.tokens import Role
from acd.database import create_engine, writing
from acd.directory.check import find_warnings
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, FormField, Queue
from acd.history.duties import NoteDuties
from acd.history.notes import NoteStore
from acd.history.reader import RecordReader
from acd.history.refusals import RefusalStore
from acd.history.tables import records
from routing.model import AgentState, AgentStatus, Wrapup
from tests.support.clock import FakeClock
from tests.support.control import Centre, FakeRefusals, a_record, bearer, serving
from tests.support.database import migrate
from tests.support.net import patience

FORM = (FormField("invoice", required=True), FormField("remark"))
DIRECTORY = Directory(
    queues={
        "codes": Queue("codes", wrapup_seconds=30, wrapup_codes=("paid", "late"), wrapup_code_required=True),
        "form": Queue(
            "form", wrapup_mode="until-ended", wrapup_limit_seconds=90, wrapup_codes=("x",), wrapup_form=FORM
        ),
        "hasty": Queue("hasty", wrapup_codes=("paid",), wrapup_code_required=True),
        "free": Queue("free", wrapup_seconds=30, wrapup_codes=("paid",), wrapup_form=(FormField("remark"),)),
    }
)


def test_what_is_missing_is_named_by_field() -> None:
    codes, form = DIRECTORY.queues["codes"], DIRECTORY.queues["form"]
    assert [problem.field for problem in missing_in(codes, None)] == ["code"]
    assert missing_in(codes, Note("c", "anna", "codes", "paid", {}, 0.0)) == ()
    assert [problem.field for problem in missing_in(form, Note("c", "anna", "form", "x", {}, 0.0))] == [
        "invoice"
    ]
    assert missing_in(DIRECTORY.queues["free"], None) == ()


class Bench:
    def __init__(self, engine: AsyncEngine) -> None:
        self.clock = FakeClock()
        self.notes = NoteStore(engine)
        self.reader = RecordReader(engine, self.clock)
        self.told: list[CallFact] = []
        self.refusals = RefusalStore(engine)
        self.notebook = Notebook(self.notes, self.refusals, self.clock, lambda: DIRECTORY)
        self.duties = NoteDuties(self.notes, self.refusals, self.clock, lambda: DIRECTORY, self.told.append)

    async def hear(self, *facts: CallFact) -> None:
        for fact in facts:
            self.duties(fact)
        await self.duties.stop()

    async def missing(self) -> list[str]:
        """Calls that are shown to lack a note; both ways of asking agree."""
        shown = await self.reader.records(RecordFilter())
        found = await self.reader.records(RecordFilter(note_missing=True))
        others = await self.reader.records(RecordFilter(note_missing=False))
        assert {record.id for record in found.records} == shown.without_note == found.without_note
        assert {record.id for record in others.records} == {r.id for r in shown.records} - shown.without_note
        return sorted(shown.without_note)

    def wraps(self, call_id: str, queue: str) -> AgentStatus:
        now_ms = round(self.clock.time() * 1000)
        wrapup = Wrapup(f"{call_id}~1", queue, now_ms + 30_000, now_ms + 90_000)
        return AgentStatus("anna", AgentState.WRAPUP, now_ms, wrapup=wrapup)

    def is_free(self) -> AgentStatus:
        return AgentStatus("anna", AgentState.AVAILABLE, 0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    async with writing(engine) as connection:
        rows = [msgspec.to_builtins(a_record(call_id)) for call_id in ("c1", "c2", "c3")]
        await connection.execute(insert(records), rows)
    yield Bench(engine)
    await engine.dispose()


async def test_a_wrapup_cannot_be_ended_before_its_note_is_given(bench: Bench) -> None:
    status = bench.wraps("c1", "codes")
    with pytest.raises(NoteMissing, match="code"):
        await bench.notebook.check(status)
    await bench.notebook.give_code(status, "2")
    await bench.notebook.check(status)
    (note,) = await bench.notes.of("c1")
    assert (note.code, note.queue, note.complete) == ("late", "codes", True)
    await bench.notebook.check(bench.wraps("c2", "free"))
    await bench.notebook.check(bench.is_free())


async def test_a_code_by_phone_leaves_the_form_as_it_was_written(
    bench: Bench,
) -> None:
    status = bench.wraps("c1", "form")
    await bench.notes.put(Note("c1", "anna", "form", None, {"remark": "again"}, 1.0, complete=False))
    await bench.notebook.give_code(status, "1")
    (note,) = await bench.notes.of("c1")
    assert (note.code, dict(note.fields), note.complete) == ("x", {"remark": "again"}, False)
    with pytest.raises(NoteMissing, match="invoice"):
        await bench.notebook.check(status)


@pytest.mark.parametrize("number", ["", "0", "3", "200"])
async def test_a_number_that_no_code_has_is_refused(bench: Bench, number: str) -> None:
    with pytest.raises(NoteRefused):
        await bench.notebook.give_code(bench.wraps("c1", "codes"), number)
    assert await bench.notes.of("c1") == ()


async def test_nobody_is_held_while_the_database_is_away() -> None:
    class Away(NoteStore):
        def __init__(self) -> None:
            pass

        async def of(self, call_id: str) -> tuple[Note, ...]:
            raise OperationalError("SELECT", {}, Exception("away"))

    status = AgentStatus("anna", AgentState.WRAPUP, 0, wrapup=Wrapup("c1", "codes", 1, 2))
    await Notebook(Away(), FakeRefusals(), FakeClock(), lambda: DIRECTORY).check(status)


async def test_a_wrapup_that_ends_without_its_note_is_told_and_shown(bench: Bench) -> None:
    await bench.hear(ConversationOver("c1", "codes", "anna"), ConversationOver("c2", "free", "anna"))
    assert await bench.missing() == []
    await bench.hear(WrapupEnded("codes", "anna", 12.0))
    assert bench.told == [NoteMissed("codes", "anna")]
    assert await bench.missing() == ["c1"]
    # Late is better than never, also by phone.
    await bench.notebook.give_code(bench.is_free(), "1")
    assert await bench.missing() == []


async def test_a_note_that_was_given_in_time_is_not_missed(bench: Bench) -> None:
    await bench.notes.put(Note("c1", "anna", "codes", "paid", {}, 1.0))
    await bench.hear(ConversationOver("c1", "codes", "anna"), WrapupEnded("codes", "anna", 1.0))
    assert (bench.told, await bench.missing()) == ([], [])


async def test_each_agent_of_a_call_owes_a_note(bench: Bench) -> None:
    await bench.notes.put(Note("c1", "anna", "codes", "paid", {}, 1.0))
    await bench.hear(ConversationOver("c1", "codes", "anna"), ConversationOver("c1", "form", "bert"))
    await bench.hear(WrapupEnded("codes", "anna", 1.0), WrapupEnded("form", "bert", 1.0))
    assert (bench.told, await bench.missing()) == ([NoteMissed("form", "bert")], ["c1"])


async def test_a_node_that_dies_meanwhile_leaves_the_note_missing_at_the_limit(bench: Bench) -> None:
    await bench.hear(ConversationOver("c1", "form", "anna"))
    bench.clock.advance(89)
    assert await bench.missing() == []
    bench.clock.advance(2)
    assert await bench.missing() == ["c1"]


async def test_where_no_wrapup_is_heard_of_it_is_over_in_its_time(bench: Bench) -> None:
    await bench.hear(ConversationOver("c1", "hasty", "anna"), ConversationOver("c2", "codes", "anna"))
    await bench.duties.look()
    assert (bench.told, await bench.missing()) == ([NoteMissed("hasty", "anna")], ["c1"])
    bench.clock.advance(31)
    await bench.duties.look()
    assert bench.told == [NoteMissed("hasty", "anna"), NoteMissed("codes", "anna")]


async def test_a_phone_gives_no_code_to_a_call_of_long_ago(bench: Bench) -> None:
    await bench.hear(ConversationOver("c1", "codes", "anna"), WrapupEnded("codes", "anna", 1.0))
    bench.clock.advance(LATE_SECONDS + 1)
    with pytest.raises(NoteRefused):
        await bench.notebook.give_code(bench.is_free(), "1")


async def test_the_worker_writes_what_it_hears(bench: Bench) -> None:
    bench.duties.start()
    bench.duties(ConversationOver("c1", "codes", "anna"))
    bench.duties(WrapupEnded("codes", "anna", 1.0))
    async with asyncio.timeout(patience(5)):
        while not bench.told:
            await asyncio.sleep(0.01)
    await bench.duties.stop()
    assert await bench.missing() == ["c1"]


async def test_the_api_names_what_is_missing_and_lets_a_supervisor_sign_out_all_the_same() -> None:
    centre = Centre()
    problem = missing_in(DIRECTORY.queues["form"], None)
    centre.agents.refusal = NoteMissing(problem)
    async with serving(centre) as client:
        path, order = "/v1/agents/anna/wrap-up", {"end": True}
        answer = await client.post(path, json=order, headers=bearer(Role.AGENT))
        document = await answer.json()
        for role in (Role.AGENT, Role.SUPERVISOR):
            await client.post("/v1/agents/anna/state", json={"state": "offline"}, headers=bearer(role))
        shown = await (await client.get("/v1/records?note_missing=true", headers=bearer(Role.VIEWER))).json()
    assert (answer.status, document["type"]) == (409, "urn:acd:problem:note-missing")
    assert [error["pointer"] for error in document["errors"]] == ["/fields/invoice"]
    assert centre.agents.forced == [False, True]
    assert shown["items"] == []
    assert centre.records.asked[-1][0].note_missing is True


FILE = """
skills: [billing]
queues:
  - {name: billing, wrapup_codes: [paid], wrapup_code_required: true}
codes:
  - {code: "*1", does: wrapup-code}
  - {code: "*15", does: end-wrapup}
"""


def test_a_code_that_hides_a_wrapup_code_and_a_note_without_time_are_said() -> None:
    with pytest.raises(DirectoryError, match=r"\*15 picks something here and is a code itself"):
        parse_directory(FILE, "x", ())
    content = parse_directory(FILE.replace('"*1"', '"*9"'), "x", ())
    assert any("no wrap-up to write it in" in warning for warning in find_warnings(content))
