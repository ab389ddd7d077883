"""Messages are taken in, counted, kept as long as they may be, and survive crashes of anything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.calls.messages import BoxFull, MessageImpossible, NewMessage
from acd.database import create_engine, writing
from acd.directory.model import Agent, Box, Directory, VoicemailRules
from acd.media.engine import RecordingEnded
from acd.media.wav import wav_header
from acd.voicemail.keeper import MessageKeeper
from acd.voicemail.model import BoxCount
from acd.voicemail.store import MessageStore
from acd.voicemail.tables import messages
from tests.support.audio import read_wav, seconds_of, tone
from tests.support.clock import FakeClock
from tests.support.net import patience

DAY = 86_400.0
DIRECTORY = Directory(
    agents={"anna": Agent("anna", "1001", voicemail=VoicemailRules(max_messages=2, keep_days=1))},
    boxes={"reception": Box("reception")},
)
ANNAS, SHARED = "agent:anna", "box:reception"


def message(message_id: str = "m1", box: str = ANNAS, at: float = FakeClock().time()) -> NewMessage:
    return NewMessage(
        message_id, box, f"call-{message_id}", "+37255501", "Mari", "+3726000100", "billing", at
    )


@dataclass
class Office:
    """One keeper, and whoever records for it."""

    engine: AsyncEngine
    folder: Path
    node: str = "a"
    clock: FakeClock = field(default_factory=FakeClock)
    changed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MessageStore(self.engine)
        self.keeper = MessageKeeper(
            self.node, self.store, self.folder, self.clock, lambda: DIRECTORY, self.changed.append
        )

    async def record(self, wanted: NewMessage, seconds: float = 2.0, why: Any = "closed") -> None:
        """A caller speaks for so long."""
        file = await self.keeper.begin(wanted)
        pcm = tone(1000, seconds)
        file.touch(mode=0o600)
        file.write_bytes(wav_header(len(pcm)) + pcm)
        self.keeper.on_media(RecordingEnded("leg", wanted.id, seconds, seconds, why))

    async def settle(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(patience(20)):
            while not reached():
                await asyncio.sleep(0.005)

    async def take(self, wanted: NewMessage, seconds: float = 2.0) -> None:
        taken = self.keeper.count(wanted.box).all
        await self.record(wanted, seconds)
        await self.settle(lambda: self.keeper.count(wanted.box).all > taken)

    def files(self) -> list[str]:
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    opened = create_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.sqlite3")
    async with writing(opened) as connection:
        await connection.run_sync(messages.create)
    yield opened
    await opened.dispose()


@pytest.fixture
async def office(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(engine, tmp_path / "voicemail")
    await office.keeper.start()
    yield office
    await office.keeper.stop()


async def test_a_message_is_kept_with_its_audio_and_told(office: Office) -> None:
    await office.take(message())
    found = await office.keeper.find("m1")
    assert found is not None
    assert (found.box, found.caller, found.seconds, found.node, found.heard_at) == (
        ANNAS,
        "+37255501",
        2.0,
        "a",
        None,
    )
    assert office.files() == ["m1.json", "m1.wav"]
    assert seconds_of(1000, read_wav(office.keeper.audio("m1"))) > 1.9
    assert office.keeper.count(ANNAS) == BoxCount(1, 0)
    assert office.changed == [ANNAS]
    assert office.keeper.taken == {"agent": 1}
    assert "55501" not in " ".join(office.files())
    assert {file.stat().st_mode & 0o077 for file in office.folder.rglob("*")} == {0}


async def test_hanging_up_at_the_tone_leaves_no_message(office: Office) -> None:
    await office.record(message(), 0.2)
    await office.keeper._jobs.join()
    assert office.files() == []
    assert office.keeper.count(ANNAS).all == 0
    assert office.keeper.lost == {}


async def test_a_full_box_takes_no_more_and_counts_those_who_are_leaving_one(office: Office) -> None:
    await office.take(message("m1"))
    await office.keeper.begin(message("m2"))
    with pytest.raises(BoxFull):
        await office.keeper.begin(message("m3"))
    assert office.keeper.lost == {"full": 1}
    await office.keeper.begin(message("m4", SHARED))


async def test_a_box_that_left_the_directory_takes_none(office: Office) -> None:
    with pytest.raises(MessageImpossible):
        await office.keeper.begin(message(box="agent:bert"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to take away a folder")
async def test_a_folder_that_is_gone_is_an_answer_and_no_crash(office: Office) -> None:
    office.folder.rename(office.folder.with_name("away"))
    with pytest.raises(MessageImpossible):
        await office.keeper.begin(message())
    assert office.keeper.lost == {"failed": 1}


async def test_what_a_worker_left_when_it_died_is_kept_as_far_as_it_came(office: Office) -> None:
    wanted = message()
    file = await office.keeper.begin(wanted)
    file.write_bytes(wav_header(0) + tone(1000, 1.5))  # its header was not written any more
    office.keeper.on_media(RecordingEnded("leg", "m1", 0.0, 0.0, "failed"))
    await office.settle(lambda: office.keeper.count(ANNAS).all == 1)
    assert len(read_wav(office.keeper.audio("m1"))) == 24000


async def test_a_worker_that_died_before_it_wrote_anything_is_a_message_lost(office: Office) -> None:
    await office.keeper.begin(message())
    office.keeper.on_media(RecordingEnded("leg", "m1", 0.0, 0.0, "failed"))
    await office.settle(lambda: office.keeper.lost == {"failed": 1})
    await office.keeper._jobs.join()
    assert office.files() == []


@pytest.mark.parametrize("kept", ["nothing", "note", "audio", "row"])
async def test_what_a_killed_process_was_taking_in_is_taken_up_once(
    engine: AsyncEngine, tmp_path: Path, kept: str
) -> None:
    """Killed at each step of taking a message in, the next start ends in the same place."""
    office = Office(engine, tmp_path / "voicemail")
    await office.keeper.start()
    wanted = message()
    file = await office.keeper.begin(wanted)
    file.write_bytes(wav_header(0) + tone(1000, 1.5))
    await stop_hard(office)
    if kept != "nothing":
        whole = office.keeper._files
        from acd.voicemail.model import Message

        done = Message(**{f: getattr(wanted, f) for f in wanted.__struct_fields__}, node="a", seconds=1.5)
        whole.keep(done)
        if kept == "note":
            os.replace(whole.audio("m1"), file)
        if kept == "row":
            await office.store.add(done)
    again = Office(engine, tmp_path / "voicemail")
    await again.keeper.start()
    await again.settle(lambda: again.keeper.count(ANNAS).all == 1 and again.files() == ["m1.json", "m1.wav"])
    await again.keeper.stop()
    found = await again.keeper.find("m1")
    assert found is not None
    assert found.seconds == 1.5


async def stop_hard(office: Office) -> None:
    for task in office.keeper._tasks:
        task.cancel()
    await asyncio.gather(*office.keeper._tasks, return_exceptions=True)


async def test_an_unreadable_note_is_passed_over(engine: AsyncEngine, tmp_path: Path) -> None:
    office = Office(engine, tmp_path / "voicemail")
    await office.keeper.start()
    (office.folder / "incoming" / "a" / "m1.json").write_text("nonsense")
    await office.keeper.stop()
    await office.keeper.start()
    await office.take(message("m2"))
    await office.keeper.stop()


async def test_a_database_that_is_away_is_waited_for(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    add, failed = office.store.add, []

    async def fails_once(kept: Any) -> bool:
        if not failed:
            failed.append(kept)
            raise OperationalError("away", None, Exception())
        return await add(kept)

    monkeypatch.setattr(office.store, "add", fails_once)
    await office.take(message())
    assert failed
    assert office.files() == ["m1.json", "m1.wav"]


# Listening.


async def test_new_messages_come_first_and_the_oldest_of_each_before_the_others(office: Office) -> None:
    for name, at in (("m1", 1000.0), ("m2", 3000.0), ("m3", 2000.0)):
        await office.take(message(name, SHARED, at))
    await office.keeper.mark("m1", True, "anna")
    found = await office.keeper.waiting(SHARED)
    assert [(one.id, one.new) for one in found] == [("m3", True), ("m2", True), ("m1", False)]


async def test_heard_and_deleted_change_the_count_and_who_heard_first_stays(office: Office) -> None:
    await office.take(message())
    office.changed.clear()
    office.keeper.heard("m1", "anna")
    await office.settle(lambda: office.keeper.count(ANNAS) == BoxCount(0, 1))
    await office.keeper.mark("m1", True, "bert")
    found = await office.keeper.find("m1")
    assert found is not None
    assert (found.heard_by, found.heard_at) == ("anna", office.clock.time())
    office.keeper.deleted("m1")
    await office.settle(lambda: office.keeper.count(ANNAS) == BoxCount())
    assert (office.files(), await office.keeper.find("m1")) == ([], None)
    assert office.changed == [ANNAS, ANNAS]
    assert not await office.keeper.delete("m1")
    assert not await office.keeper.mark("m1", True, "anna")


async def test_a_box_is_read_page_by_page(office: Office) -> None:
    for number in range(5):
        await office.take(message(f"m{number}", SHARED, 1000.0 + number // 2))
    seen, cursor = [], None
    while True:
        page = await office.keeper.of(SHARED, cursor, 2)
        seen += [one.id for one in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["m4", "m3", "m2", "m1", "m0"]
    with pytest.raises(ValueError, match="none of ours"):
        await office.keeper.of(SHARED, "nonsense")


async def test_what_another_node_does_is_seen_at_the_next_look(office: Office, engine: AsyncEngine) -> None:
    other = Office(engine, office.folder, node="b")
    await other.keeper.start()
    await other.take(message())
    await office.keeper.look()
    assert office.keeper.count(ANNAS) == BoxCount(1, 0)
    assert office.changed == [ANNAS]
    await other.keeper.stop()


async def test_audio_that_lies_with_another_node_is_left_to_it(engine: AsyncEngine, tmp_path: Path) -> None:
    here, there = Office(engine, tmp_path / "a", "a"), Office(engine, tmp_path / "b", "b")
    await here.keeper.start()
    await there.keeper.start()
    await there.take(message())
    await here.keeper.delete("m1")
    assert there.files() == ["m1.json", "m1.wav"]
    await there.keeper.sweep()
    assert there.files() == []
    assert await there.store.dropped(10) == []
    await here.keeper.stop()
    await there.keeper.stop()


# Time passes.


async def test_messages_are_kept_as_long_as_their_box_says(office: Office) -> None:
    now = office.clock.time()
    await office.take(message("m1", ANNAS, now - 2 * DAY))
    await office.take(message("m2", SHARED, now - 2 * DAY))
    await office.take(message("m3", ANNAS, now))
    await office.keeper.sweep()
    assert {name for name in office.files() if name.endswith(".wav")} == {"m2.wav", "m3.wav"}
    assert office.keeper.by_kind() == {
        ("agent", "new"): 1,
        ("agent", "heard"): 0,
        ("box", "new"): 1,
        ("box", "heard"): 0,
    }
