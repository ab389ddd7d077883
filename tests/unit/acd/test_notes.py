"""What an agent notes about a call: checked against the queue's form, kept with the record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from acd.agents.notes import Note, NoteRefused, check_note
from acd.clock import SystemClock
from acd.control.ports import RecordFilter
from acd.control.tokens import Role
from acd.database import create_engine, writing
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import FormField, Queue
from acd.directory.store import DirectoryStore
from acd.history.notes import NoteStore
from acd.history.reader import RecordReader
from acd.history.tables import records
from routing.model import AgentState, AgentStatus, Wrapup
from tests.support.clock import FakeClock
from tests.support.control import NOW, Centre, a_record, bearer, serving
from tests.support.database import migrate

RULES = Queue(
    "billing",
    wrapup_codes=("paid", "disputed"),
    wrapup_code_required=True,
    wrapup_form=(
        FormField("invoice", "number", required=True),
        FormField("reason", "choice", choices=("late", "wrong")),
        FormField("remark"),
    ),
)
FILE = """
queues:
  - name: billing
    wrapup_seconds: 10
    wrapup_mode: extendable
    wrapup_limit_seconds: 90
    wrapup_codes: [paid, "not paid"]
    wrapup_code_required: true
    wrapup_form:
      - {name: invoice, kind: number, required: true}
      - {name: reason, kind: choice, choices: [late, wrong], label: "Why?"}
"""


def problems(code: str | None, fields: dict[str, object]) -> dict[str, str]:
    with pytest.raises(NoteRefused) as refused:
        check_note(RULES, code, fields)
    return {problem.field: problem.message for problem in refused.value.problems}


def test_a_note_that_fits_is_kept_in_the_order_of_the_form() -> None:
    kept = check_note(RULES, "paid", {"remark": "calls again\non Monday", "reason": "", "invoice": 4711})
    assert list(kept.items()) == [("invoice", 4711), ("remark", "calls again\non Monday")]


def test_every_field_that_does_not_fit_is_named() -> None:
    found = problems("sold", {"invoice": "4711", "reason": "other", "remark": "x" * 4001, "colour": "red"})
    assert found == {
        "code": "is not among the codes of queue 'billing': paid, disputed",
        "colour": "the form of queue 'billing' has no such field",
        "invoice": "must be a number",
        "reason": "must be one of: late, wrong",
        "remark": "must have at most 4000 characters",
    }
    assert problems(None, {}) == {"code": "is required", "invoice": "is required"}


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), 10**400, "1"], ids=range(5))
def test_what_is_no_number_is_refused(value: object) -> None:
    assert "number" in problems("paid", {"invoice": value})["invoice"]


def test_control_characters_are_refused() -> None:
    assert problems("paid", {"invoice": 1, "remark": "a\x00b"}) == {"remark": "contains control characters"}


async def test_forms_come_back_from_the_database(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    wanted = parse_directory(FILE, "x", ()).build("acd")
    store = DirectoryStore(engine, FakeClock())
    await store.apply(wanted, realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert kept.queues == wanted.queues
    assert kept.queues["billing"].wrapup_form[1].choices == ("late", "wrong")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("limit_seconds: 90", "limit_seconds: 5", "wrapup_limit_seconds is less than wrapup_seconds"),
        ("mode: extendable", "mode: open", "must be 'fixed', 'until-ended' or 'extendable'"),
        ('[paid, "not paid"]', "[]", "wrapup_code_required needs codes"),
        ('"not paid"', "paid", "wrapup_codes names something twice"),
        ("name: reason", "name: invoice", "wrapup_form names something twice"),
        (", choices: [late, wrong]", "", "choices belong to a field of kind choice"),
        ("kind: number", "kind: date", "must be 'text', 'number' or 'choice'"),
    ],
)
def test_a_form_that_cannot_work_is_named_with_its_mend(right: str, wrong: str, says: str) -> None:
    with pytest.raises(DirectoryError, match=says):
        parse_directory(FILE.replace(right, wrong), "x", ())


async def test_notes_are_read_with_the_record_and_the_last_word_of_an_agent_counts(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    async with writing(engine) as connection:
        rows = [msgspec.to_builtins(a_record(call_id)) for call_id in ("c1", "c2")]
        await connection.execute(insert(records), rows)
    notes = NoteStore(engine)
    for note in (
        Note("c1", "anna", "billing", "paid", {}, NOW),
        Note("c1", "anna", "billing", "disputed", {"invoice": 1.5}, NOW + 1),
        Note("c1", "bert", "billing", None, {"remark": "ü"}, NOW),
    ):
        await notes.put(note)
    page = await RecordReader(engine, SystemClock()).records(RecordFilter())
    await engine.dispose()
    assert set(page.notes) == {"c1"}
    assert [(n.agent, n.code, dict(n.fields)) for n in page.notes["c1"]] == [
        ("bert", None, {"remark": "ü"}),
        ("anna", "disputed", {"invoice": 1.5}),
    ]


def wrapping_up() -> Centre:
    """Anna wraps up a call of billing."""
    centre = Centre()
    centre.directory = parse_directory(
        FILE + 'agents:\n  - {id: anna, extension: "1001", password: secret1}\n', "x", ()
    ).build("acd")
    now_ms = int(NOW * 1000)
    centre.store.agent_statuses["anna"] = AgentStatus(
        "anna",
        AgentState.WRAPUP,
        now_ms,
        wrapup=Wrapup("c1~1", "billing", now_ms + 10_000, now_ms + 90_000),
    )
    centre.records.kept = [a_record("old"), a_record("other", segments=())]
    return centre


PATH = "/v1/agents/anna/wrap-up"


async def test_an_agents_wrapup_shows_what_may_be_noted() -> None:
    async with serving(wrapping_up()) as client:
        view = await (await client.get(PATH, headers=bearer(Role.VIEWER))).json()
    assert (view["state"], view["call_id"], view["queue"], view["note"]) == ("wrapup", "c1", "billing", None)
    assert (view["codes"], view["code_required"]) == (["paid", "not paid"], True)
    assert [field["name"] for field in view["form"]] == ["invoice", "reason"]


async def test_a_note_is_kept_before_the_wrapup_goes_on_or_ends() -> None:
    centre = wrapping_up()
    body = {"code": "paid", "fields": {"invoice": 7}, "extend_seconds": 30, "end": True}
    async with serving(centre) as client:
        view = await (await client.post(PATH, json=body, headers=bearer(Role.SUPERVISOR))).json()
    assert (view["note"]["code"], view["note"]["fields"]) == ("paid", {"invoice": 7})
    assert centre.agents.wrapups == [("anna", 30.0), ("anna", "end")]
    assert centre.notes.kept == [Note("c1", "anna", "billing", "paid", {"invoice": 7}, NOW)]


async def test_a_note_that_does_not_fit_changes_nothing_and_points_at_each_field() -> None:
    centre = wrapping_up()
    body = {"fields": {"invoice": "x", "reason": "wrong"}, "end": True}
    async with serving(centre) as client:
        answer = await client.post(PATH, json=body, headers=bearer(Role.SUPERVISOR))
        problem = await answer.json()
    assert (answer.status, problem["type"]) == (422, "urn:acd:problem:invalid-note")
    assert {error["pointer"] for error in problem["errors"]} == {"/code", "/fields/invoice"}
    assert (centre.notes.kept, centre.agents.wrapups) == ([], [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": "paid", "fields": {"invoice": 1}, "call_id": "old"}, 200),
        ({"code": "paid", "fields": {"invoice": 1}, "call_id": "c1"}, 200),
        ({"code": "paid", "fields": {"invoice": 1}, "call_id": "other"}, 422),
        ({"code": "paid", "fields": {"invoice": 1}, "call_id": "none"}, 422),
        ({}, 422),
    ],
)
async def test_a_note_is_for_a_call_that_the_agent_had(body: dict[str, object], status: int) -> None:
    async with serving(wrapping_up()) as client:
        assert (await client.post(PATH, json=body, headers=bearer(Role.SUPERVISOR))).status == status


async def test_without_a_call_there_is_nothing_to_note() -> None:
    centre = wrapping_up()
    centre.store.agent_statuses.clear()
    async with serving(centre) as client:
        answer = await client.post(PATH, json={"code": "paid"}, headers=bearer(Role.SUPERVISOR))
        assert answer.status == 409
        view = await (await client.get(PATH, headers=bearer(Role.VIEWER))).json()
        assert (view["call_id"], view["form"]) == (None, [])
