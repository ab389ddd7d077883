"""Encryption and manners by trunk and device: from the file into the tables and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from acd.directory.devices import device_of
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import STANDARD_DEVICE, Device
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.database import migrate

FILE = """
trunks:
  - {name: carrier, match: ["192.0.2.0/24"], srtp: require}
  - {name: other, match: ["198.51.100.0/24"], srtp: off}
devices:
  - {name: desk, user_agent: "snom*", auto_answer: answer-after, srtp: offer, display: caller}
  - {name: desk-8, user_agent: "snomD8*", call_info: "https://crm.example/?n={number}"}
  - {name: soft, auto_answer: off}
agents:
  - {id: anna, extension: "1001", password: secret-one, device: soft}
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
    assert kept.devices["desk"] == Device("desk", "snom*", "answer-after", "offer", "caller")
    anna, bela = kept.agents["anna"], kept.agents["bela"]
    assert device_of(kept, anna, "snomD865/1.0").name == "soft"
    assert device_of(kept, bela, "snomD865/1.0").name == "desk-8"
    assert device_of(kept, bela, "Snom300/8").name == "desk"
    assert device_of(kept, bela, "") == STANDARD_DEVICE


def test_another_word_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(DirectoryError, match="'off', 'offer' or 'require'"):
        parse_directory(FILE.replace("srtp: offer", "srtp: maybe"), "x.yaml", ())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("device: soft", "there is no device 'sofa'; did you mean 'soft'"),
        (
            "https://crm.example/?n={number}",
            "'{sofa}' is not known here; there are {number}, {queue}, {call}",
        ),
    ],
)
def test_a_profile_or_a_word_that_does_not_exist_is_named(wrong: str, told: str) -> None:
    text = FILE.replace(wrong, wrong.replace("soft", "sofa").replace("{number}", "{sofa}"))
    with pytest.raises(DirectoryError, match=re.escape(told)):
        parse_directory(text, "x.yaml", ())


@pytest.mark.parametrize(
    "page", ["crm.example/{number}", "https://x/{number", "https://x/{number!r}", "https://x/>"]
)
def test_a_page_that_is_no_url_is_an_error(page: str) -> None:
    with pytest.raises(DirectoryError, match="call_info"):
        parse_directory(FILE.replace("https://crm.example/?n={number}", page), "x.yaml", ())
