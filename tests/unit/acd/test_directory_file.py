"""A directory file becomes a snapshot, or every fault is told with its line, its key and what to do."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from pathlib import Path

import pytest

from acd.directory.check import find_warnings
from acd.directory.loader import MAX_BYTES, DirectoryError, load_directory, parse_directory
from acd.directory.model import Trunk
from tests.support.directories import FILE, FLOWS, changed, directory


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(DirectoryError) as raised:
        parse_directory(text, "site.yaml", FLOWS)
    return raised.value.problems


def test_a_file_becomes_the_snapshot_that_it_describes() -> None:
    built = directory()
    assert built.trunks["carrier"] == Trunk(
        "carrier", (ip_network("192.0.2.0/24"), ip_network("2001:db8::7")), 50
    )
    assert (built.numbers["+3726000100"].flow, built.numbers["+3726000100"].queue) == ("echo", None)
    to_queue = built.numbers["+3726000200"]
    assert (to_queue.queue, to_queue.priority, to_queue.language) == ("billing", 5, "et")
    assert (built.queues["billing"].ring_seconds, built.queues["billing"].service_level_seconds) == (12, 20)
    assert built.agent_by_extension["1001"] is built.agents["anna"]
    assert built.skills == {"billing", "lang-et"}


def test_agents_speak_languages_in_a_list_best_or_each_as_well_as_it_says() -> None:
    edit = ("skills: {lang-et: 1}", "languages: [et]")
    assert directory(changed(edit)).agents["bert"].skills == {"lang-et": 10}
    edit = ("skills: {lang-et: 1}", "skills: {billing: 2}, languages: {et: 6}")
    assert directory(changed(edit)).agents["bert"].skills == {"billing": 2, "lang-et": 6}


def test_a_queue_asks_how_well_its_languages_are_spoken() -> None:
    edit = ("requires: {billing: 1}", "requires: {billing: 1}, languages: {et: 5}")
    queue = directory(changed(edit)).queues["billing"]
    assert (queue.languages, queue.language_levels) == (("et",), {"et": 5})


def test_a_password_is_kept_as_the_hashes_of_the_digest_only() -> None:
    anna = directory(realm="example.org").agents["anna"]
    secret = b"1001:example.org:secret-1"
    assert anna.ha1_md5 == hashlib.md5(secret, usedforsecurity=False).hexdigest()
    assert anna.ha1_sha256 == hashlib.sha256(secret).hexdigest()
    assert "secret-1" not in repr(directory())


def test_nothing_at_all_is_an_empty_centre() -> None:
    assert not parse_directory("", "x", ()).build("acd").queues


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            ("max_calls: 50", "max_calls: 0"),
            "site.yaml:2: trunks[0].max_calls: must be greater than or equal",
        ),
        (("192.0.2.0/24", "192.0.2.9/24"), "2: trunks[0].match[0]: '192.0.2.9/24' has bits beyond its mask"),
        (("192.0.2.0/24", "carrier.net"), "2: trunks[0].match[0]: 'carrier.net' is not a network like"),
        (("192.0.2.0/24", "0.0.0.0/0"), "lets the whole world call in"),
        (('"+3726000100"', "+3726000100"), "4: numbers[0].number: must be text; put it in quotes"),
        (('"+3726000100"', '"0800-ACD"'), "4: numbers[0].number: '0800-ACD' is not a number"),
        (("flow: echo", "flow: ecco"), "4: numbers[0].flow: there is no flow 'ecco'; did you mean 'echo'?"),
        (("flow: echo", "flow: xyz"), "there is no flow 'xyz'; known are echo, main"),
        ((", flow: echo", ""), "4: numbers[0]: +3726000100 leads nowhere; give it a flow or a queue"),
        (("flow: echo", "flow: echo, queue: billing"), "has a flow and a queue; keep one of them"),
        (
            ("queue: billing", "queue: biling"),
            "5: numbers[1].queue: there is no queue 'biling'; did you mean",
        ),
        (("priority: 5", "priority: 100"), "5: numbers[1].priority: must be less than or equal to 99"),
        (("language: et", "language: Estonian"), "is not a language code like 'en'"),
        (("{lang-et: 2}", "{lang-ee: 2}"), "5: numbers[1].skills.lang-ee: 'lang-ee' is not among the skills"),
        (
            ("{billing: 1}", "{billing: 11}"),
            "8: queues[0].requires.billing: must be less than or equal to 10",
        ),
        (("ring_seconds: 12", "ring_second: 12"), "no such key; did you mean 'ring_seconds'?"),
        (
            ("ring_seconds: 12", "strategy: random"),
            "8: queues[0].strategy: 'random' is not a strategy",
        ),
        (("wrapup_seconds: 5", "wrapup_seconds: -1"), "queues[0].wrapup_seconds: must be greater than"),
        (("wrapup_seconds: 5", "wrapup_seconds: .nan"), "queues[0].wrapup_seconds: must be"),
        (('"secret-1"', '"short"'), "10: agents[0].password: must have at least 6 characters"),
        ((', password: "secret-1"', ""), "10: agents[0].password: is missing; add it"),
        (('"1002"', '"1001"'), "11: agents[1].extension: '1001' stands already in agents[0]"),
        (("id: bert", "id: anna"), "11: agents[1].id: 'anna' stands already in agents[0]"),
        (("queues:", "queue:"), "7: queue: no such key; did you mean 'queues'?"),
        (("[billing, lang-et]", "{billing: 1}"), "6: skills: must be a list"),
        (
            ("skills: {lang-et: 1}", "languages: [en]"),
            "agents[1].languages.en: 'lang-en' is not among the skills",
        ),
        (("skills: {lang-et: 1}", "languages: {et: 11}"), "agents[1].languages"),
        (
            ("skills: {lang-et: 1}", "skills: {lang-et: 1}, languages: {et: 2}"),
            "the level of lang-et is in skills and in languages",
        ),
        (("ring_seconds: 12", "languages: {en: 4}"), "queues[0].languages.en: 'lang-en' is not among"),
        (("[billing, lang-et]", "[billing, lang-et, billing]"), "skills[2]: 'billing' stands already in"),
        (("name: Anna", 'name: "An\\na"'), "agents[0].name: contains control characters"),
        (("name: Anna", "name: Anna, name: Bo"), "agents[0].name: stands twice; keep one"),
        (("skills: [billing", "skills: [billing: ["), "not valid YAML"),
    ],
)
def test_a_fault_is_told_with_file_line_key_and_what_to_do(edit: tuple[str, str], told: str) -> None:
    assert any(told in problem for problem in problems(changed(edit)))


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    told = problems(
        changed(("flow: echo", "flow: nope"), ("queue: billing", "queue: nope"), ("1002", "1001"))
    )
    assert [problem.split(":")[1] for problem in told] == ["4", "5", "11"]


def test_a_flood_of_faults_is_cut_short() -> None:
    numbers = "".join(f'  - {{number: "{n}"}}\n' for n in range(100, 300))
    with pytest.raises(DirectoryError) as raised:
        parse_directory(f"numbers:\n{numbers}", "site.yaml", ())
    assert len(raised.value.problems) == 200
    assert str(raised.value).splitlines()[-1] == "... and 150 more"


def test_a_secret_is_not_in_what_is_told_of_it() -> None:
    assert not any("hunt" in problem for problem in problems(changed(('"secret-1"', "[hunter2hunter2]"))))


@pytest.mark.parametrize(
    ("second", "clash"),
    [
        ("192.0.2.128/25", "192.0.2.128/25 overlaps 192.0.2.0/24 of trunk 'carrier'"),
        ("192.0.2.7", "192.0.2.7/32 overlaps"),
        ("2001:db8::/64", "2001:db8::7/128 overlaps 2001:db8::/64 of trunk 'other'"),
        ("198.51.100.0/24", None),
        ("192.0.3.0/24", None),
    ],
)
def test_a_source_address_belongs_to_one_trunk(second: str, clash: str | None) -> None:
    text = changed(("numbers:\n", f'  - {{name: other, match: ["{second}"]}}\nnumbers:\n'))
    if clash is None:
        assert len(directory(text).trunks) == 2
    else:
        assert any(clash in problem for problem in problems(text))


def test_networks_that_nest_far_apart_in_the_file_are_found() -> None:
    text = 'trunks:\n  - {name: a, match: ["10.0.0.0/8", "11.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"]}\n'
    assert len(problems(text)) == 2


def test_a_queue_that_nobody_can_serve_is_a_warning_and_no_error() -> None:
    file = parse_directory(changed(("requires: {billing: 1}", "requires: {billing: 9}")), "x", FLOWS)
    assert [text.split(":")[0] for text in find_warnings(file)] == ["queue billing"]
    assert not find_warnings(parse_directory(FILE, "x", FLOWS))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"gone\.yaml: cannot be read: No such file"):
        load_directory(tmp_path / "gone.yaml", FLOWS)
    (tmp_path / "latin.yaml").write_bytes(b"skills: [\xe4]")
    with pytest.raises(DirectoryError, match="not UTF-8 text"):
        load_directory(tmp_path / "latin.yaml", FLOWS)
    (tmp_path / "huge.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(DirectoryError, match="that is no directory"):
        load_directory(tmp_path / "huge.yaml", FLOWS)


def test_yaml_that_would_grow_or_nest_without_end_is_refused() -> None:
    rows = ["a: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"b{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 1000000 values" in problems("\n".join(rows))[0]
    assert problems("\nskills: " + "[" * 300_000) == ("site.yaml:2: nested more than 64 levels deep",)
    assert "within itself" in problems("skills: &a [*a]")[0]
