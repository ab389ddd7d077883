"""Feature codes and the place of a transferred caller: from the file into the tables and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import STANDARD_CODES
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock
from tests.support.database import migrate

FILE = """
skills: [billing]
queues:
  - {name: billing, transfer_place: last}
codes:
  - {code: "*8", does: pause, reasons: [lunch, training]}
"""


async def test_codes_and_transfer_rules_come_back_from_the_database(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/acd.db")
    await migrate(engine)
    store = DirectoryStore(engine, FakeClock())
    wanted = parse_directory(FILE, "x.yaml", ()).build("acd")
    assert await store.apply(wanted, realm="acd") == 1
    assert await store.apply(wanted, realm="acd") == 1
    kept = await store.load()
    await engine.dispose()
    assert (kept.codes, kept.queues) == (wanted.codes, wanted.queues)
    assert kept.codes["*8"].reasons == ("lunch", "training")


def test_a_file_without_codes_has_the_standard_ones_and_an_empty_list_none() -> None:
    assert tuple(parse_directory("", "x", ()).build("acd").codes.values()) == STANDARD_CODES
    assert not parse_directory("codes: []", "x", ()).build("acd").codes


@pytest.mark.parametrize(
    ("codes", "complaint"),
    [
        ('[{code: "11", does: resume}]', "is not a feature code"),
        ('[{code: "*1", does: dance}]', "codes[0].does: must be"),
        ('[{code: "*1", does: resume}, {code: "*1", does: echo}]', "each must be unique"),
        ('[{code: "*1", does: resume, reasons: [lunch]}]', "only a code that pauses has reasons"),
        ('[{code: "*1", does: pause, reasons: [x]}, {code: "*11", does: echo}]', "is a code itself"),
    ],
)
def test_a_bad_code_is_named_with_what_is_wrong(codes: str, complaint: str) -> None:
    with pytest.raises(DirectoryError, match="codes") as error:
        parse_directory(f"codes: {codes}", "x.yaml", ())
    assert complaint in str(error.value)
