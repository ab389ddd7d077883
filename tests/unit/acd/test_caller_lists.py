"""Callers by number and by look-up: what a list gives, whom it turns away, and who may be on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.callers import members
from acd.callers.book import CallerBook
from acd.callers.members import ListedNumber, ListFull, ListStore, ListWatcher
from acd.calls import model as m
from acd.calls.machine import step
from acd.calls.model import Call, Found, State
from acd.calls.steps.context import Context
from acd.calls.steps.ending import record_of
from acd.calls.steps.tickets import ticket_of
from acd.database import create_engine, reading
from acd.directory.diff import compare
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Directory, Gives
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.database import migrate

TEXT = """
skills: [billing, card]
priorities: {vip: 50}
queues: [{name: billing}, {name: desk}]
agents: [{id: anna, extension: "1001", password: secret1, skills: {billing: 5}}]
numbers: [{number: "+3726000200", queue: billing, priority: 5, language: et, skills: {card: 2}}]
caller_lists:
  - {name: nuisance, numbers: ["+37255566"], reject: true}
  - {name: vips, numbers: ["+3725550001"], prefixes: ["+46", "+3589"], priority: vip, preferred_agent: anna}
  - {name: swedes, prefixes: ["+46"], priority: 9, language: sv, skills: {card: 1, billing: 3}, queue: desk}
  - name: crm
    prefixes: ["+372"]
    lookup: {url: "https://crm.example/callers/{number}?to={called}", timeout_seconds: 1.5,
             authorization_env: ACD_LOOKUP_CRM}
  - {name: asks-everybody, lookup: {url: "http://crm.example/", allow_http: true, method: POST}}
"""
NOW = 1_700_000_000.0
VIP, SWEDE, NUISANCE, OTHER = "+3725550001", "+46855501", "+37255566", "+358405550"


def directory(text: str = TEXT) -> Directory:
    return parse_directory(text, "x", ()).build("acd")


DIRECTORY = directory()
CONTEXT = Context(directory=DIRECTORY, flows={})


def book(put: dict[str, set[str]] | None = None) -> CallerBook:
    return CallerBook(lambda: DIRECTORY, lambda name: (put or {}).get(name, set()), None, None)  # type: ignore[arg-type]


def drive(call: Call, *events: m.Event) -> tuple[Call, list[m.Effect]]:
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(CONTEXT, call, event, NOW)
        effects += more
    return call, effects


def arrive(caller: str, *found: Found) -> tuple[Call, list[m.Effect]]:
    call = Call("c1", "a", caller, "", "+3726000200", "carrier", "", started_at=NOW)
    return drive(
        call,
        m.CallArrived(b"o", book().lists_of(caller)),
        m.CallerKnown(found=found),
        m.CallerMediaOpened(b"a"),
    )


def of(effects: list[m.Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


# The file.


async def test_lists_come_back_from_the_database_in_their_order(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'acd.db'}")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(DIRECTORY, realm="acd")
    kept = await store.load()
    assert (dict(kept.caller_lists), kept.priorities) == (dict(DIRECTORY.caller_lists), DIRECTORY.priorities)
    assert list(kept.caller_lists) == ["nuisance", "vips", "swedes", "crm", "asks-everybody"]
    changed = directory(TEXT.replace("vip: 50", "vip: 60").replace('"+46", ', ""))
    await store.apply(changed, realm="acd")
    assert not compare(await store.load(), changed)
    await engine.dispose()


def test_a_changed_list_is_shown_without_all_of_its_numbers() -> None:
    many = ", ".join(f'"+37255500{n:02}"' for n in range(20))
    after = directory(TEXT.replace('numbers: ["+37255566"]', f"numbers: [{many}]"))
    (change,) = compare(DIRECTORY, after)
    shown = "+3725550000, +3725550001, +3725550002, +3725550003, +3725550004 and 15 more"
    assert str(change) == f"~ caller-list nuisance  (numbers: +37255566 -> {shown})"


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ('"+37255566"', '"5550001"', "is not a caller's number: write it like '+3725550001' (E.164)"),
        ('"+46", ', '"46", ', "is not the beginning of a number like '+3725'"),
        ("priority: vip", "priority: vipp", "there is no priority 'vipp'; did you mean 'vip'?"),
        ("preferred_agent: anna", "preferred_agent: ana", "there is no agent 'ana'; did you mean 'anna'?"),
        ("queue: desk", "queue: desks", "there is no queue 'desks'; did you mean 'desk'?"),
        ("billing: 3", "biling: 3", "'biling' is not among the skills"),
        ("name: vips", "name: swedes", "'swedes' stands already in"),
        (", reject: true", "", "gives its callers nothing"),
        ("reject: true", "reject: 200", "reject"),
        ("{number}?", "{secret}?", "{number} and {called} are all that can be filled in"),
        (
            "https://crm.example/callers",
            "https://{number}.example/callers",
            "nothing is filled in before the",
        ),
        ("https://crm", "https://me:pw@crm", "no user, no password"),
        ("https://crm", "ftp://crm", "must be like 'https://crm.example/callers/{number}'"),
        ("https://crm", "http://crm", "numbers of callers would go out in the clear"),
        ("ACD_LOOKUP_CRM", "PATH", "its name begins with ACD_LOOKUP_"),
        ("timeout_seconds: 1.5", "timeout_seconds: 11", "timeout_seconds: must be less than or equal to 10"),
        ("    prefixes:", "    priority: 3\n    prefixes:", "what a look-up gives, its answer says"),
    ],
)
def test_a_list_that_cannot_work_is_named_with_its_mend(right: str, wrong: str, says: str) -> None:
    with pytest.raises(DirectoryError) as raised:
        directory(TEXT.replace(right, wrong, 1))
    assert says in str(raised.value)


# Who is on which.


@pytest.mark.parametrize(
    ("number", "lists"),
    [
        (VIP, ("vips",)),
        (SWEDE, ("vips", "swedes")),
        (NUISANCE, ("nuisance",)),
        (OTHER, ()),
        ("+4", ()),
        ("anonymous", ()),
        ("", ()),
    ],
)
def test_a_caller_is_on_the_lists_that_name_the_number_or_how_it_begins(
    number: str, lists: tuple[str, ...]
) -> None:
    assert book().lists_of(number) == lists


def test_numbers_that_were_put_on_a_list_count_as_those_of_the_file() -> None:
    assert book({"nuisance": {OTHER}, "crm": {OTHER}}).lists_of(OTHER) == ("nuisance",)


# What they give.


def test_what_the_first_list_gives_holds_and_the_highest_level_of_each_skill() -> None:
    call, effects = arrive(SWEDE)
    assert call.state is State.ANSWERING
    assert of(effects, m.AskCaller)[0].lookups == ("asks-everybody",)
    assert (call.priority, call.language, call.preferred, call.goes_to) == (50, "sv", "anna", "desk")
    assert call.skills == {"card": 2, "billing": 3}
    assert call.attributes == {"caller_lists": "vips,swedes"}
    call, _ = drive(call, m.CallerConfirmed(None))
    ticket = ticket_of(CONTEXT, call)
    assert (call.queue, ticket.requirement.agent, ticket.priority) == ("desk", "anna", 50)


def test_a_caller_on_no_list_is_as_the_number_says() -> None:
    call, _ = arrive(OTHER)
    assert (call.priority, call.language, call.skills, call.attributes) == (5, "et", {"card": 2}, {})
    assert drive(call, m.CallerConfirmed(None))[0].queue == "billing"


def test_what_a_look_up_finds_counts_in_the_place_of_its_list() -> None:
    found = Found(
        "crm", Gives(priority=1, language="fi", queue="desk"), {"customer": "4711", "caller_lists": "x"}
    )
    call, effects = arrive(VIP, found)
    assert of(effects, m.AskCaller)[0].lookups == ("crm", "asks-everybody")
    # The list of the file comes before the look-up, and has the priority; of the rest it says nothing.
    assert (call.priority, call.language, call.goes_to) == (50, "fi", "desk")
    assert call.attributes == {"caller_lists": "vips,crm", "customer": "4711"}


def test_what_the_trunk_tells_of_a_call_no_look_up_changes() -> None:
    call = Call("c1", "a", OTHER, "", "+3726000200", "t", "", started_at=NOW, attributes={"customer": "1"})
    found = Found("asks-everybody", Gives(), {"customer": "2", "city": "Turku"})
    call, _ = drive(call, m.CallArrived(b"o"), m.CallerKnown(found=(found,)))
    assert call.attributes == {"customer": "1", "city": "Turku", "caller_lists": "asks-everybody"}


# Who is turned away.


def test_a_caller_on_a_block_list_is_refused_before_anything_is_opened_or_asked() -> None:
    call = Call("c1", "a", NUISANCE, "", "+3726000200", "carrier", "", started_at=NOW)
    call, effects = drive(call, m.CallArrived(b"o", book().lists_of(NUISANCE)))
    assert call.state is State.ENDED
    assert of(effects, m.RefuseCaller) == [m.RefuseCaller(603)]
    assert of(effects, m.OpenCallerMedia) == of(effects, m.AskCaller) == []
    record = record_of(call, of(effects, m.Close)[0], NOW)
    assert (record.outcome, record.cause, record.attributes) == (
        "rejected",
        "blocked",
        {"caller_lists": "nuisance"},
    )


@pytest.mark.parametrize("media_first", [False, True])
def test_a_caller_whom_a_look_up_turns_away_is_refused_and_never_answered(media_first: bool) -> None:
    call = Call("c1", "a", OTHER, "", "+3726000200", "carrier", "", started_at=NOW)
    call, _ = drive(call, m.CallArrived(b"o"))
    words = (m.CallerMediaOpened(b"a"), m.CallerKnown(found=(Found("asks-everybody", Gives(reject=486)),)))
    call, effects = drive(call, *(words if media_first else reversed(words)))
    assert of(effects, m.RefuseCaller) == [m.RefuseCaller(486)]
    assert of(effects, m.AnswerCaller) == []
    assert call.state is State.ENDED


# What changes while the service runs.


async def test_what_one_node_puts_on_a_list_or_takes_off_the_others_hear(engine: AsyncEngine) -> None:
    clock = FakeClock()
    here, there = (ListWatcher(ListStore(engine, clock), clock, 3600) for _ in range(2))
    await there.start()
    await here.put("vips", "+1555001", "asked for it", "supervisor")
    await here.put("vips", "+1555002", "", "admin")
    await here.put("other", "+1555001", "", "admin")
    assert set(here.members("vips")) == {"+1555001", "+1555002"}
    assert set(there.members("vips")) == set()
    await there.poll()
    assert set(there.members("vips")) == {"+1555001", "+1555002"}
    assert await here.remove("vips", "+1555001", "admin")
    assert not await here.remove("vips", "+1555001", "admin")
    await there.poll()
    assert (set(there.members("vips")), set(there.members("other"))) == ({"+1555002"}, {"+1555001"})
    await here.put("vips", "+1555001", "again", "admin")
    late = ListWatcher(ListStore(engine, clock), clock, 3600)
    await late.start()
    assert set(late.members("vips")) == {"+1555001", "+1555002"}
    await there.stop()
    await late.stop()


async def test_the_numbers_of_a_list_are_paged_with_who_put_them_there(engine: AsyncEngine) -> None:
    clock = FakeClock()
    store = ListStore(engine, clock)
    for n in range(5):
        await store.put("vips", f"+155500{n}", f"note {n}", "supervisor")
    await store.remove("vips", "+1555001", "admin")
    await store.put("vips", "+1555000", "better known", "admin")
    first = await store.of("vips", limit=2)
    assert first == [
        ListedNumber("+1555000", "better known", clock.time(), "admin"),
        ListedNumber("+1555002", "note 2", clock.time(), "supervisor"),
    ]
    assert [each.number for each in await store.of("vips", "+1555002")] == ["+1555003", "+1555004"]
    assert await store.of("nobody") == []


async def test_a_list_holds_so_many_and_no_more(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_NUMBERS", 2)
    store = ListStore(engine, FakeClock())
    await store.put("vips", "+1555001", "", "admin")
    await store.put("vips", "+1555002", "", "admin")
    await store.put("vips", "+1555002", "known", "admin")
    with pytest.raises(ListFull):
        await store.put("vips", "+1555003", "", "admin")
    await store.remove("vips", "+1555001", "admin")
    await store.put("vips", "+1555003", "", "admin")


async def test_what_was_taken_off_long_ago_leaves_nothing_behind(engine: AsyncEngine) -> None:
    clock = FakeClock()
    here = ListWatcher(ListStore(engine, clock), clock, 3600)
    there = ListWatcher(ListStore(engine, clock), clock, 3600)
    await here.put("vips", "+1555001", "", "admin")
    await here.put("vips", "+1555002", "", "admin")
    await there.poll()
    await here.remove("vips", "+1555001", "admin")
    clock.advance(90_000)
    await here.remove("vips", "+1555002", "admin")
    async with reading(engine) as connection:
        left = (await connection.execute(text("SELECT number FROM listed_numbers"))).scalars().all()
    assert left == ["+1555002"]
    # Who was away for longer than that reads everything anew.
    await there.poll()
    assert set(there.members("vips")) == set()


def test_a_number_that_leaves_the_directory_takes_its_list_along() -> None:
    context = replace(CONTEXT, directory=replace(DIRECTORY, caller_lists=MappingProxyType({})))
    call = Call("c1", "a", VIP, "", "+3726000200", "carrier", "", started_at=NOW)
    call, effects = step(context, call, m.CallArrived(b"o", ("vips",)), NOW)
    assert (call.priority, call.attributes) == (5, {})
    assert of([*effects], m.AskCaller) == []
