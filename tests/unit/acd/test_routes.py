"""Which way a number outside goes, who may call it, what is shown: as pure decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.calls.outside import Way
from acd.calls.outward import (
    DialRefused,
    NoRoute,
    NotAllowed,
    outside,
    outside_for_agent,
    rights_of,
    route_of,
    written,
)
from acd.calls.targets import (
    AgentTarget,
    NumberTarget,
    OutsideTarget,
    QueueTarget,
    TransferImpossible,
    UnknownTarget,
    target_of,
)
from acd.directory.model import Agent, Dialling, Directory, Number, Queue, Route, Team
from acd.sip.identity import normalised

ROUTES = (
    Route("+372", "national", ("carrier", "spare")),
    Route("+372900", "premium", ("carrier",)),
    Route("+", "international", ("spare",), strip=1, prepend="00"),
    Route("112", "emergency", ("carrier",)),
    Route("2", "internal", ("branch",), strip=1),
)
ANNA = Agent("anna", "1001", team="day")
BERT = Agent(
    "bert", "1002", team="day", dialling=("international",), caller_id="+3726000777", outside_calls=1
)
CARL = Agent("carl", "1003")
DIRECTORY = Directory(
    numbers={
        "+3726000100": Number("+3726000100", flow="main"),
        "+3726000200": Number("+3726000200", queue="billing"),
    },
    queues={"billing": Queue("billing")},
    agents={agent.id: agent for agent in (ANNA, BERT, CARL)},
    agent_by_extension={agent.extension: agent for agent in (ANNA, BERT, CARL)},
    teams={"day": Team("day", ("national",), "+3726000555")},
    routes={route.prefix: route for route in ROUTES},
    dialling=Dialling(country="EE"),
)


@pytest.mark.parametrize(
    ("dialled", "number", "kind", "way"),
    [
        ("55512345", "+37255512345", "national", Way("carrier", "+37255512345")),
        ("+37255512345", "+37255512345", "national", Way("carrier", "+37255512345")),
        ("0037255512345", "+37255512345", "national", Way("carrier", "+37255512345")),
        ("9001234", "+3729001234", "premium", Way("carrier", "+3729001234")),
        ("00442071838750", "+442071838750", "international", Way("spare", "00442071838750")),
        ("112", "112", "emergency", Way("carrier", "112")),
        ("2044", "2044", "internal", Way("branch", "044")),
    ],
)
def test_a_number_goes_by_the_longest_prefix_as_it_is_dialled_in_the_country(
    dialled: str, number: str, kind: str, way: Way
) -> None:
    found = outside(DIRECTORY, dialled, allowed={kind}, shown="+1")
    assert (found.number, found.kind, found.ways[0], found.way) == (number, kind, way, way)


@pytest.mark.parametrize("dialled", ["", "+", "*99", "99", "anonymous", "sales@example.org", "+0", "1" * 40])
def test_what_is_no_number_outside_has_no_way(dialled: str) -> None:
    without = replace(DIRECTORY, routes={"+372": ROUTES[0]})
    with pytest.raises(NoRoute):
        outside(without, dialled, allowed={"national"}, shown="")


def test_rights_are_the_agents_own_else_the_teams_and_emergency_is_everybodys() -> None:
    assert rights_of(DIRECTORY, ANNA) == {"national", "emergency"}
    assert rights_of(DIRECTORY, BERT) == {"international", "emergency"}
    assert rights_of(DIRECTORY, CARL) == {"emergency"}
    assert rights_of(DIRECTORY, replace(ANNA, dialling=())) == {"emergency"}


@pytest.mark.parametrize(
    ("agent", "dialled"),
    [
        ("anna", "+442071838750"),
        ("anna", "9001234"),
        ("bert", "55512345"),
        ("carl", "55512345"),
        ("x", "112"),
    ],
)
def test_a_class_without_the_right_is_refused(agent: str, dialled: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        outside_for_agent(DIRECTORY, agent, dialled)
    assert (refused.value.sip_status, refused.value.cause) == (403, "not-allowed")


def test_the_number_shown_is_the_agents_the_teams_or_the_centres() -> None:
    assert outside_for_agent(DIRECTORY, "anna", "55512345").shown == "+3726000555"
    assert outside_for_agent(DIRECTORY, "bert", "+442071838750").shown == "+3726000777"
    assert outside_for_agent(DIRECTORY, "carl", "112").shown == "+3726000100"
    own = replace(DIRECTORY, dialling=Dialling(country="EE", caller_id="+3726000999"))
    assert outside_for_agent(own, "carl", "112").shown == "+3726000999"
    assert outside_for_agent(DIRECTORY, "anna", "55512345", shown="+3726000200").shown == "+3726000200"


def test_the_most_calls_are_the_agents_the_teams_or_the_centres() -> None:
    limited = replace(DIRECTORY, teams={"day": Team("day", ("national",), outside_calls=7)})
    assert outside_for_agent(DIRECTORY, "bert", "+442071838750").limit == 1
    assert outside_for_agent(limited, "anna", "55512345").limit == 7
    assert outside_for_agent(DIRECTORY, "anna", "55512345").limit == 2


@pytest.mark.parametrize(
    ("to", "by", "target"),
    [
        ("1002", "anna", AgentTarget("bert")),
        ("+3726000200", "anna", QueueTarget("billing")),
        ("6000200", "anna", QueueTarget("billing")),
        ("6000100", "", NumberTarget("+3726000100")),
        ("billing", "", QueueTarget("billing")),
    ],
)
def test_what_is_ours_is_found_before_anything_outside(to: str, by: str, target: Any) -> None:
    assert target_of(DIRECTORY, to, by=by) == target


def test_a_transfer_outside_needs_the_right_of_who_transfers_or_of_operators() -> None:
    target = target_of(DIRECTORY, "55512345", by="anna", shown="+1")
    assert isinstance(target, OutsideTarget)
    assert (target.outside.number, target.outside.by, target.outside.shown) == ("+37255512345", "anna", "+1")
    by_api = target_of(DIRECTORY, "+442071838750")
    assert isinstance(by_api, OutsideTarget)
    assert (by_api.outside.by, by_api.outside.limit) == ("", 0)
    for to, by in (("9001234", "anna"), ("9001234", ""), ("55512345", "carl")):
        with pytest.raises(DialRefused):
            target_of(DIRECTORY, to, by=by)
    for unknown in ("nowhere", "*99", ""):
        with pytest.raises(UnknownTarget):
            target_of(DIRECTORY, unknown, by="anna")
    with pytest.raises(TransferImpossible):
        target_of(DIRECTORY, "1001", by="anna")


PREFIXES = st.one_of(
    st.from_regex(r"\+[1-9][0-9]{0,6}", fullmatch=True),
    st.from_regex(r"[0-9*#]{1,5}", fullmatch=True),
    st.just("+"),
)
NUMBERS = st.from_regex(r"\+?[0-9*#]{1,14}", fullmatch=True)


@given(st.lists(PREFIXES, max_size=20), NUMBERS)
def test_no_longer_prefix_fits_than_the_one_that_is_chosen(prefixes: list[str], number: str) -> None:
    directory = Directory(routes={prefix: Route(prefix, "national") for prefix in prefixes})
    fitting = [prefix for prefix in prefixes if number.startswith(prefix)]
    chosen = route_of(directory, number)
    assert (chosen.prefix if chosen else None) == max(fitting, key=len, default=None)


@settings(max_examples=25)
@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_a_national_and_an_international_way_to_dial_are_one_number(country: str) -> None:
    example = phonenumbers.example_number(country)
    if example is None:
        return
    directory = Directory(dialling=Dialling(country=country))
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    digits = "".join(character for character in national if character.isdigit())
    assert written(directory, e164) == e164
    assert written(directory, written(directory, digits)) == written(directory, digits)
    assert written(directory, digits) == normalised(digits, country)


@given(NUMBERS, st.integers(0, 16), st.sampled_from(["", "00", "0", "+1"]))
def test_what_is_sent_is_the_number_less_what_is_stripped(number: str, strip: int, prepend: str) -> None:
    route = Route(number[:1], "national", ("t",), strip, prepend)
    directory = Directory(routes={number[:1]: route})
    try:
        found = outside(directory, number, allowed={"national"}, shown="")
    except NoRoute:
        assert number.strip("+") == ""
        return
    assert found.ways == (Way("t", prepend + found.number[strip:]),)
