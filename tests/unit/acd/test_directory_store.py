"""The directory in SQL: the difference is shown, all or nothing is written, a running node takes it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.database import writing
from acd.directory.diff import compare
from acd.directory.model import Directory
from acd.directory.store import DirectoryStore
from acd.directory.watch import DirectoryWatcher
from acd.errors import ConfigError
from tests.support.clock import FakeClock
from tests.support.directories import changed, directory
from tests.support.net import patience


@pytest.fixture
def store(engine: AsyncEngine) -> DirectoryStore:
    return DirectoryStore(engine, FakeClock())


def same(one: Directory, two: Directory) -> bool:
    return not compare(one, two)


# The difference.


def test_an_entry_that_comes_goes_or_changes_is_one_line_each() -> None:
    before = directory()
    after = directory(
        changed(("ring_seconds: 12", "ring_seconds: 20"), ("id: bert", "id: carl"), ("max_calls: 50", ""))
    )
    assert [str(change) for change in compare(before, after)] == [
        "~ trunk carrier  (max_calls: 50 -> 100)",
        "~ queue billing  (ring_seconds: 12 -> 20)",
        "- agent bert",
        "+ agent carl",
    ]
    assert compare(before, before) == ()


def test_a_changed_password_is_shown_as_changed_and_never_itself() -> None:
    (change,) = compare(directory(), directory(changed(("secret-1", "another-one"))))
    assert str(change) == "~ agent anna  (password changed)"


async def test_how_well_languages_are_asked_and_spoken_is_read_as_it_was_written(
    store: DirectoryStore,
) -> None:
    edits = ("requires: {billing: 1}", "requires: {billing: 1}, languages: {et: 5, en: 1}")
    wanted = directory(
        changed(edits, ("skills: {lang-et: 1}", "languages: {et: 4}"), ("lang-et]", "lang-et, lang-en]"))
    )
    await store.apply(wanted, realm="acd")
    read = await store.load()
    assert same(read, wanted)
    assert (read.queues["billing"].languages, read.queues["billing"].language_levels) == (
        ("et", "en"),
        {"et": 5},
    )
    assert read.agents["bert"].skills == {"lang-et": 4}


def test_a_value_that_was_not_there_reads_as_none() -> None:
    after = directory(changed((", priority: 5, language: et, skills: {lang-et: 2}", "")))
    (change,) = compare(directory(), after)
    assert (
        str(change)
        == "~ number +3726000200  (language: et -> none; priority: 5 -> 0; skills: lang-et 2 -> none)"
    )


# Writing.


async def test_what_is_applied_is_what_is_loaded(store: DirectoryStore) -> None:
    wanted = directory()
    assert (await store.revision(), await store.realm()) == (0, None)
    assert await store.apply(wanted, realm="acd") == 1
    loaded = await store.load()
    assert loaded.revision == 1
    assert same(loaded, wanted)
    assert loaded.agent_by_extension["1002"] is loaded.agents["bert"]
    assert await store.realm() == "acd"


async def test_the_same_again_is_no_new_revision(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    assert await store.apply(directory(), realm="acd") == 1


async def test_passwords_for_another_realm_are_a_change(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    assert await store.apply(directory(realm="example.org"), realm="example.org") == 2
    assert await store.realm() == "example.org"


async def test_two_agents_may_swap_their_extensions(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    swapped = directory(changed(('"1001"', '"tmp"'), ('"1002"', '"1001"'), ('"tmp"', '"1002"')))
    await store.apply(swapped, realm="acd")
    assert same(await store.load(), swapped)


async def test_what_is_not_in_the_file_is_removed(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    await store.apply(directory("skills: [billing]"), realm="acd")
    left = await store.load()
    assert (left.skills, left.agents, left.queues, left.numbers, left.trunks) == ({"billing"}, {}, {}, {}, {})


async def test_a_change_that_someone_else_overtook_changes_nothing(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    with pytest.raises(ConfigError, match="changed by someone else meanwhile"):
        await store.apply(directory("skills: [x]"), realm="acd", expected=0)
    assert same(await store.load(), directory())


async def test_an_error_in_the_middle_undoes_all_of_it(store: DirectoryStore, engine: AsyncEngine) -> None:
    await store.apply(directory(), realm="acd")
    async with writing(engine) as connection:
        await connection.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON agents BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    wanted = directory(changed(("max_calls: 50", "max_calls: 60"), ("name: Anna", "name: Ann")))
    with pytest.raises(SQLAlchemyError, match="disk full"):
        await store.apply(wanted, realm="acd")
    kept = await store.load()
    assert (kept.revision, kept.trunks["carrier"].max_calls, kept.agents["anna"].name) == (1, 50, "Anna")


# A running node.


async def test_a_node_takes_a_change_and_tells_before_and_after(store: DirectoryStore) -> None:
    await store.apply(directory(), realm="acd")
    watcher = DirectoryWatcher(store, FakeClock(), every_seconds=3600)
    told: list[tuple[int, int]] = []
    watcher.subscribe(lambda before, after: told.append((before.revision, after.revision)))
    await watcher.start()
    try:
        taken_by_a_call = watcher.current()
        await store.apply(directory(changed(("name: Anna", "name: Ann"))), realm="acd")
        assert await watcher.poll()
        assert not await watcher.poll()
        assert (taken_by_a_call.agents["anna"].name, watcher.current().agents["anna"].name) == ("Anna", "Ann")
        assert told == [(0, 1), (1, 2)]
    finally:
        await watcher.stop()


async def test_the_age_of_the_snapshot_counts_from_the_last_look(store: DirectoryStore) -> None:
    clock = FakeClock()
    watcher = DirectoryWatcher(store, clock)
    clock.advance(7)
    assert watcher.age_seconds == 7
    await watcher.poll()
    assert watcher.age_seconds == 0


class FailingStore:
    """A database that fails now and then."""

    def __init__(self, answers: list[int | Exception]) -> None:
        self.answers = answers
        self.asked = 0

    async def revision(self) -> int:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def load(self) -> Directory:
        return Directory(revision=1)


async def test_a_database_that_is_away_leaves_the_snapshot_in_use_and_is_asked_again() -> None:
    flaky = FailingStore([0, SQLAlchemyError("away"), OSError("away")])
    watcher = DirectoryWatcher(flaky, FakeClock(), every_seconds=0.0)  # type: ignore[arg-type]
    await watcher.start()
    try:
        async with asyncio.timeout(patience(5)):
            while watcher.current().revision == 0:
                await asyncio.sleep(0)
        assert flaky.asked >= 4
    finally:
        await watcher.stop()
