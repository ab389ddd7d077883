"""Encryption by trunk and agent: from the file into the tables and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.store import DirectoryStore
from acd.history.migrate import migrate
from tests.support.clock import FakeClock

FILE = """
trunks:
  - {name: carrier, match: ["192.0.2.0/24"], srtp: require}
  - {name: other, match: ["198.51.100.0/24"], srtp: off}
agents:
  - {id: anna, extension: "1001", password: secret-one, srtp: offer}
  - {id: bela, extension: "1002", password: secret-two}
"""


async def test_encryption_comes_back_from_the_database_and_a_bare_off_is_off(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.db")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    await store.apply(parse_directory(FILE, "x.yaml", ()).build("acd"), realm="acd")
    kept = await store.load()
    await engine.dispose()
    assert [trunk.srtp for trunk in kept.trunks.values()] == ["require", "off"]
    assert (kept.agents["anna"].srtp, kept.agents["bela"].srtp) == ("offer", "off")


def test_another_word_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(DirectoryError, match="'off', 'offer' or 'require'"):
        parse_directory(FILE.replace("srtp: offer", "srtp: maybe"), "x.yaml", ())
