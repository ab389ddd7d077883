"""Routes, teams and rights of the directory file: what is taken, what is wrong, and that it is kept."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.directory.check import find_warnings
from acd.directory.diff import compare
from acd.directory.do_not_call import DoNotCallList
from acd.directory.loader import DirectoryError, parse_directory
from acd.directory.model import Dialling, Directory, Route, Team
from acd.directory.store import DirectoryStore
from tests.support.clock import FakeClock

FILE = """\
trunks:
  - {name: carrier, hosts: [{host: 192.0.2.7}]}
  - {name: inward, match: ["192.0.2.0/24"]}
dialling: {country: EE, caller_id: "+3726000100", outside_calls: 3, wrapup_seconds: 5, operators: [national]}
teams:
  - {name: day, dialling: [national], caller_id: "+3726000200", outside_calls: 1}
routes:
  - {prefix: "+372", class: national, trunks: [carrier], strip: 4, prepend: "0"}
  - {prefix: "112", class: emergency, trunks: [carrier]}
queues:
  - {name: billing, caller_id: "+3726000300", callback: {dialling: [national]}}
agents:
  - {id: anna, extension: "1001", password: "secret-1", team: day}
  - {id: bert, extension: "1002", password: "secret-2", dialling: [], caller_id: "+3726000400",
     outside_calls: 9}
"""


def built(text: str = FILE) -> Directory:
    return parse_directory(text, "site.yaml", ()).build("acd")


def test_the_file_says_who_may_call_what_and_which_way() -> None:
    directory = built()
    assert directory.routes["+372"] == Route("+372", "national", ("carrier",), 4, "0")
    assert directory.teams["day"] == Team("day", ("national",), "+3726000200", 1)
    assert directory.dialling == Dialling("EE", "+3726000100", 3, 60.0, 5.0, ("national",))
    assert (directory.agents["anna"].dialling, directory.agents["bert"].dialling) == (None, ())
    assert directory.agents["bert"].outside_calls == 9
    assert directory.queues["billing"].caller_id == "+3726000300"
    assert built("{}").dialling == Dialling()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trunks: [carrier], strip", "trunks: [carier], strip", "no trunk 'carier'; did you mean 'carrier'?"),
        ("trunks: [carrier], strip", "trunks: [inward], strip", "no call goes out over trunk 'inward'"),
        ("trunks: [carrier], strip", "trunks: [carrier, carrier], strip", "stands here twice"),
        ('prefix: "112"', 'prefix: "+372"', "'+372' stands already in routes[0]"),
        ('prefix: "112"', 'prefix: "a12"', "is not the beginning of a number"),
        ("class: emergency", "class: emergancy", "must be 'internal', 'national'"),
        ("class: emergency", "kind: emergency", "no such key"),
        ('prepend: "0"', 'prepend: "x"', "is nothing to dial"),
        (
            "dialling: [national], caller_id",
            "dialling: [national, national], caller_id",
            "names a class twice",
        ),
        ('caller_id: "+3726000200"', 'caller_id: "sales"', "is not a number"),
        ("country: EE", "country: ee", "is not a country"),
        ("outside_calls: 3", "outside_calls: 0", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(DirectoryError) as error:
        built(FILE.replace(old, new, 1))
    assert said in str(error.value)


def test_an_overflow_rule_leads_to_a_number_outside_where_a_route_does() -> None:
    rule = "overflow: [{after_seconds: 60, number: "
    with_rule = FILE.replace("callback: {", rule + '"+37255512345"}], callback: {')
    assert built(with_rule).queues["billing"].overflow[0].number == "+37255512345"
    with pytest.raises(DirectoryError) as error:
        built(FILE.replace("callback: {", rule + '"+442071838750"}], callback: {'))
    assert "there is no number '+442071838750'" in str(error.value)


def test_rights_without_a_route_are_a_warning() -> None:
    without = FILE[: FILE.index("routes:")] + FILE[FILE.index("queues:") :]
    warnings = find_warnings(parse_directory(without, "site.yaml", ()))
    assert "agents may call outside, but there are no routes to call over" in warnings
    assert any("are to be called back, but there are no routes" in warning for warning in warnings)
    assert not any("routes" in warning for warning in find_warnings(parse_directory(FILE, "site.yaml", ())))


async def test_what_is_applied_is_what_is_read(engine: AsyncEngine) -> None:
    store = DirectoryStore(engine, FakeClock())
    assert await store.apply(built(), realm="acd") == 1
    assert compare(await store.load(), built()) == ()
    changed = built(FILE.replace("country: EE", "country: FI").replace("strip: 4", "strip: 3"))
    changes = [str(change) for change in compare(await store.load(), changed)]
    assert changes == ["~ route +372  (strip: 4 -> 3)", "~ dialling centre  (country: EE -> FI)"]
    assert await store.apply(changed, realm="acd") == 2
    assert compare(await store.load(), changed) == ()
    assert await store.apply(built("{}"), realm="acd") == 3
    assert (await store.load()).dialling == Dialling()
    await engine.dispose()


async def test_numbers_and_beginnings_are_listed_checked_and_taken_off(engine: AsyncEngine) -> None:
    listed = DoNotCallList(engine, FakeClock())
    assert await listed.add(["+37255512345", "+372555*", "+37255512345"], "asked us") == 2
    assert await listed.add(["+37255512345", "+1"], "") == 1
    forbidden = {"+37255512345", "+3725559999", "+372555"}
    asked = {*forbidden, "+372554", "+3725551234", "+1", "+12", ""}
    assert {number for number in asked if await listed.forbids(number)} == {*forbidden, "+3725551234", "+1"}
    assert [one.entry for one in await listed.entries("", 2)] == ["+1", "+372555*"]
    assert [(one.entry, one.note) for one in await listed.entries("+372555*", 2)] == [
        ("+37255512345", "asked us")
    ]
    assert await listed.count() == 3
    assert await listed.remove("+372555*")
    assert not await listed.remove("+372555*")
    assert not await listed.forbids("+3725559999")
    assert await listed.forbids("+37255512345")
    await engine.dispose()


async def test_a_long_list_is_added_in_one_go(engine: AsyncEngine) -> None:
    listed = DoNotCallList(engine, FakeClock())
    numbers = [f"+3725{n:06}" for n in range(2_000)]
    assert await listed.add(numbers, "") == 2_000
    assert await listed.add([*numbers, "+1"], "") == 1
    await engine.dispose()
