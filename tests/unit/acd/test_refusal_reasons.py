"""Why an agent did not take a call: asked by the queue, said by phone or API, kept with the record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.agents.notebook import REASON_SECONDS, Notebook
from acd.agents.notes import NoteRefused, RefusedCall
from acd.calls.facts import OfferFailed
from acd.calls.record import Attempt
from acd.control.ports import RecordFilter
from acd.control.records import records_of
from acd.control.tokens import Role
from acd.control.why import why_of_record
from acd.database import create_engine, writing
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, Queue
from acd.directory.store import DirectoryStore
from acd.explain import show
from acd.history.duties import NoteDuties
from acd.history.notes import NoteStore
from acd.history.reader import RecordReader
from acd.history.refusals import RefusalStore
from acd.history.tables import records
from routing.model import AgentState, AgentStatus
from tests.support.clock import FakeClock
from tests.support.control import NOW, Centre, a_call, a_record, bearer, serving
from tests.support.database import migrate

REASONS = ("in a meeting", "wrong skill")
DIRECTORY = Directory(
    queues={
        "billing": Queue("billing", refusal_reasons=REASONS, refusal_reason_required=True),
        "support": Queue("support", refusal_reasons=REASONS),
        "sales": Queue("sales"),
    }
)
RUNG = Attempt(at=1.0, queue="billing", agent="anna", needs="", result="rejected", ring_seconds=2.0)


class Bench:
    def __init__(self, engine: AsyncEngine) -> None:
        self.clock = FakeClock()
        self.refusals = RefusalStore(engine)
        self.reader = RecordReader(engine, self.clock)
        self.notebook = Notebook(NoteStore(engine), self.refusals, self.clock, lambda: DIRECTORY)
        self.duties = NoteDuties(
            NoteStore(engine), self.refusals, self.clock, lambda: DIRECTORY, lambda fact: None
        )

    async def refuse(self, queue: str = "billing", how: str = "rejected", agent: str = "anna") -> None:
        self.duties(OfferFailed("c1", queue, agent, how, 2.0))
        await self.duties.stop()

    async def shown(self) -> list[tuple[str, str | None, bool]]:
        """What the record of the call has of each refusal."""
        (record,) = records_of(await self.reader.records(RecordFilter()), Role.VIEWER)
        return [(refusal.reason, refusal.why, refusal.why_missing) for refusal in record.refusals]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    twice = (msgspec.structs.replace(RUNG, result="no-answer"), RUNG)
    async with writing(engine) as connection:
        await connection.execute(insert(records), [msgspec.to_builtins(a_record("c1", attempts=twice))])
    yield Bench(engine)
    await engine.dispose()


async def test_a_reason_that_the_queue_wants_is_missing_until_it_is_said(bench: Bench) -> None:
    assert await bench.shown() == [("no-answer", None, False), ("rejected", None, False)]
    await bench.refuse()
    assert await bench.shown() == [("no-answer", None, False), ("rejected", None, True)]
    await bench.notebook.give_reason("anna", "2")
    assert await bench.shown() == [("no-answer", None, False), ("rejected", "wrong skill", False)]


@pytest.mark.parametrize(
    ("queue", "how", "kept", "required"),
    [
        ("billing", "busy", True, True),
        ("billing", "no-answer", True, False),
        ("support", "rejected", True, False),
        ("billing", "unreachable", False, False),
        ("billing", "elsewhere", False, False),
        ("sales", "rejected", False, False),
    ],
)
async def test_only_what_an_agent_can_tell_of_is_asked(
    bench: Bench, queue: str, how: str, kept: bool, required: bool
) -> None:
    await bench.refuse(queue, how)
    found = await bench.refusals.last("anna", 0.0)
    assert (found is not None, bool(found and found.required)) == (kept, required)


@pytest.mark.parametrize("number", ["", "0", "3"])
async def test_a_number_that_no_reason_has_is_refused(bench: Bench, number: str) -> None:
    await bench.refuse()
    with pytest.raises(NoteRefused):
        await bench.notebook.give_reason("anna", number)


async def test_nothing_can_be_said_of_others_calls_or_too_late(bench: Bench) -> None:
    await bench.refuse()
    with pytest.raises(NoteRefused):
        await bench.notebook.give_reason("bert", "1")
    bench.clock.advance(REASON_SECONDS + 1)
    with pytest.raises(NoteRefused):
        await bench.notebook.give_reason("anna", "1")


async def test_what_was_said_while_it_rang_is_kept_when_it_is_refused_and_no_longer(bench: Bench) -> None:
    ringing = RefusedCall("c1", "anna", "billing", bench.clock.time(), required=False)
    await bench.refusals.give(ringing, "in a meeting")
    bench.clock.advance(3)
    await bench.refuse()
    assert (await bench.shown())[1] == ("rejected", "in a meeting", False)
    bench.clock.advance(3600)
    await bench.refuse()
    assert (await bench.shown())[1] == ("rejected", None, True)


async def test_why_tells_what_was_said(bench: Bench) -> None:
    await bench.refuse()
    await bench.notebook.give_reason("anna", "1")
    record = await bench.reader.record("c1")
    assert record is not None
    why = why_of_record(record, await bench.refusals.of("c1"))
    assert [offer.why for offer in why.offers] == [None, "in a meeting"]
    console = Console(record=True, width=200)
    show(why, console)
    assert "said: in a meeting" in console.export_text()


PATH = "/v1/agents/anna/refusal"


def centre_that_asks() -> Centre:
    centre = Centre()
    centre.directory = replace(centre.directory, queues={**centre.directory.queues, **DIRECTORY.queues})
    return centre


async def test_an_agent_says_why_while_the_call_rings() -> None:
    centre = centre_that_asks()
    centre.calls.views["c1"] = replace(a_call(), state="offered", agent="anna")
    centre.store.agent_statuses["anna"] = AgentStatus("anna", AgentState.OFFERED, 0, call_id="c1~2")
    async with serving(centre) as client:
        view = await (await client.get(PATH, headers=bearer(Role.AGENT))).json()
        given = await client.post(PATH, json={"reason": "in a meeting"}, headers=bearer(Role.AGENT))
        said = await given.json()
    assert (view["call_id"], view["reasons"], view["required"]) == ("c1", [*REASONS], True)
    assert (view["reason"], said["reason"]) == (None, "in a meeting")
    assert centre.refusals.kept["c1", "anna"].reason == "in a meeting"


async def test_a_reason_is_one_of_the_queue_and_for_a_call_of_just_now() -> None:
    centre = centre_that_asks()
    async with serving(centre) as client:
        early = await client.post(PATH, json={"reason": "in a meeting"}, headers=bearer(Role.AGENT))
        shown = await (await client.get(PATH, headers=bearer(Role.AGENT))).json()
        centre.refusals.kept["c1", "anna"] = RefusedCall("c1", "anna", "billing", NOW - 60, required=True)
        wrong = await client.post(PATH, json={"reason": "hungry"}, headers=bearer(Role.AGENT))
        problem = await wrong.json()
        right = await client.post(PATH, json={"reason": "wrong skill"}, headers=bearer(Role.SUPERVISOR))
    assert (early.status, shown["call_id"]) == (409, None)
    assert (wrong.status, problem["errors"][0]["pointer"]) == (422, "/reason")
    assert "in a meeting, wrong skill" in problem["errors"][0]["detail"]
    assert right.status == 200
    assert centre.refusals.kept["c1", "anna"].reason == "wrong skill"


FILE = """
queues:
  - {name: billing, refusal_reasons: [meeting, skill], refusal_reason_required: true}
"""


async def test_reasons_are_kept_with_the_queue(tmp_path: Path) -> None:
    built = parse_directory(FILE, "x", ()).build("acd")
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(built, realm="acd", expected=0)
    loaded = await store.load()
    await engine.dispose()
    assert loaded.queues["billing"] == built.queues["billing"]
    assert loaded.queues["billing"].refusal_reasons == ("meeting", "skill")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("refusal_reasons: [meeting, skill], ", "", "needs reasons to choose from"),
        ("[meeting, skill]", "[meeting, meeting]", "names something twice"),
    ],
)
def test_reasons_that_cannot_be_are_named(right: str, wrong: str, says: str) -> None:
    with pytest.raises(DirectoryError, match=says):
        parse_directory(FILE.replace(right, wrong), "x", ())
