"""Who calls, as different carriers say it, and what is believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.directory.model import Trunk
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request
from acd.sip.identity import Diverted, called_number, caller_of, clean_number, identity_of, normalised

CARRIER = Trunk("carrier", (), country="EE", headers={"X-Customer": "customer"})


def invite(*headers: tuple[str, str], uri: str = "sip:100@acd.test") -> Request:
    base = [("From", '"Mallory" <sip:666@far.test>;tag=a'), ("To", "<sip:100@acd.test>"), ("Call-ID", "x")]
    return Request("INVITE", uri, [*base, *headers])


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+3726000100@acd.test", "+3726000100"),
        ("sip:%2B372-600.01(00)@acd.test", "+3726000100"),
        ("sip:+3726000100;phone-context=x@acd.test", "+3726000100"),
        ("tel:+372-6000100", "+3726000100"),
        ("sip:support-desk@acd.test", "support-desk"),
        ("sip:acd.test", ""),
    ],
)
def test_called_number_is_the_user_of_the_request_uri(uri: str, number: str) -> None:
    assert called_number(invite(uri=uri)) == number


def test_asserted_identity_of_a_trusted_peer_wins_over_from() -> None:
    request = invite(("P-Asserted-Identity", '"Alice" <sip:555@a.test>, <tel:+1555>'))
    assert caller_of(request, trusted=True).number == "555"
    assert caller_of(request, trusted=True).name == "Alice"
    assert caller_of(request, trusted=False).number == "666"


@pytest.mark.parametrize("value", ["", "<sip:broken", "<http://x>", "<sip:host-only.test>"])
def test_useless_asserted_identity_leaves_from(value: str) -> None:
    assert caller_of(invite(("P-Asserted-Identity", value)), trusted=True).number == "666"


@pytest.mark.parametrize("value", ["id", "user;id", "ID", "critical; user"])
def test_privacy_withholds_number_and_name(value: str) -> None:
    party = caller_of(invite(("Privacy", value)), trusted=True)
    assert (party.number, party.name) == ("anonymous", "")


def test_privacy_none_withholds_nothing() -> None:
    assert caller_of(invite(("Privacy", "none")), trusted=True).number == "666"


def test_numbers_and_names_are_short_and_without_control_characters() -> None:
    assert clean_number("1" * 500) == "1" * 64
    assert "\n" not in clean_number("12\n34")
    request = invite(("P-Asserted-Identity", f'"{"n" * 500}" <sip:1@a.test>'))
    assert len(caller_of(request, trusted=True).name) == 80


def test_a_number_is_written_as_in_the_trunks_country() -> None:
    request = invite(("P-Asserted-Identity", "<sip:51234567@a.test>"), uri="sip:6000100@acd.test")
    found = identity_of(request, CARRIER)
    assert (found.caller.number, found.called) == ("+37251234567", "+3726000100")


@pytest.mark.parametrize(
    ("number", "country", "written"),
    [
        ("00372 51234567".replace(" ", ""), "EE", "+37251234567"),
        ("05321234567", "TR", "+905321234567"),
        ("+905321234567", "EE", "+905321234567"),
        ("51234567", "", "51234567"),
        ("112", "EE", "112"),
        ("support-desk", "EE", "support-desk"),
        ("anonymous", "EE", "anonymous"),
        ("*43", "EE", "*43"),
    ],
)
def test_numbers_become_e164_where_they_can(number: str, country: str, written: str) -> None:
    assert normalised(number, country) == written


def test_the_called_number_may_stand_in_to() -> None:
    request = invite(uri="sip:trunk-account@acd.test")
    assert called_number(request) == "trunk-account"
    assert called_number(request, "to") == "100"


def test_a_remote_party_id_is_an_assertion_too() -> None:
    request = invite(("Remote-Party-ID", '"Eve" <sip:777@a.test>;party=calling;privacy=off'))
    assert caller_of(request, trusted=True).number == "777"
    assert caller_of(request, trusted=False).number == "666"
    hidden = invite(("Remote-Party-ID", "<sip:777@a.test>;privacy=full"))
    assert caller_of(hidden, trusted=True).number == "anonymous"


@pytest.mark.parametrize(
    "headers",
    [
        (("Diversion", "<sip:6000300@b.test>;reason=no-answer, <sip:6000200@b.test>;reason=unconditional"),),
        (("History-Info", "<sip:6000200@b.test>;index=1, <sip:6000100@b.test>;index=1.1"),),
    ],
)
def test_a_diverted_call_tells_what_was_dialled_first(headers: tuple[tuple[str, str], ...]) -> None:
    assert identity_of(invite(*headers), CARRIER).diverted_from == "+3726000200"


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        (
            (
                ("Diversion", "<sip:6000300@b.test>;reason=No-Answer;counter=3;privacy=full"),
                (
                    "Diversion",
                    '"Anna" <sip:6000200@b.test>;reason=user-busy, <tel:+3726000100>;reason=x;counter=0',
                ),
            ),
            [
                Diverted("+3726000100", "unknown", 1),
                Diverted("+3726000200", "user-busy", 1),
                Diverted("+3726000300", "no-answer", 3, private=True),
            ],
        ),
        (
            (
                ("History-Info", "<sip:6000200@b.test>;index=1"),
                ("History-Info", "<sip:6000300@b.test;cause=408?Privacy=history>;index=1.1;mp=1"),
                ("History-Info", "<sip:6000100@b.test;cause=486>;index=1.1.1;mp=1.1"),
            ),
            [Diverted("+3726000200", "no-answer"), Diverted("+3726000300", "user-busy", private=True)],
        ),
        (
            (
                ("Privacy", "history"),
                ("History-Info", "<sip:6000200@b.test>;index=1, <sip:6000100@b.test;cause=7>;index=1.1"),
            ),
            [Diverted("+3726000200", "unknown", private=True)],
        ),
        ((("Diversion", "<sip:anonymous@anonymous.invalid>;counter=9999999"),), []),
    ],
)
def test_every_diversion_is_known_the_oldest_first(
    headers: tuple[tuple[str, str], ...], known: list[Diverted]
) -> None:
    assert list(identity_of(invite(*headers), CARRIER).diversions) == known


def test_of_very_many_diversions_the_first_and_the_newest_are_kept_and_the_others_counted() -> None:
    many = [("Diversion", f"<sip:{n}@b.test>;reason=unconditional;counter=2") for n in range(20, 0, -1)]
    found = identity_of(invite(*many), replace(CARRIER, country="")).diversions
    assert [one.number for one in found] == ["1", *map(str, range(14, 21))]
    assert sum(one.counter for one in found) == 40


def test_a_call_that_was_not_diverted_has_no_first_number() -> None:
    assert identity_of(invite(("History-Info", "<sip:6000100@b.test>;index=1")), CARRIER).diverted_from == ""


def test_the_networks_finding_of_the_number_is_kept() -> None:
    asserted = "<sip:+37251234567;verstat=TN-Validation-Passed@a.test;user=phone>"
    assert identity_of(invite(("P-Asserted-Identity", asserted)), CARRIER).verstat == "TN-Validation-Passed"
    assert identity_of(invite(), CARRIER).verstat == ""


def test_named_headers_become_attributes_bounded_and_plain() -> None:
    found = identity_of(invite(("X-Customer", "C" + "7" * 999 + "\x07"), ("X-Other", "no")), CARRIER)
    assert list(found.attributes) == ["customer"]
    assert found.attributes["customer"] == "C" + "7" * 255


def test_of_an_untrusted_trunk_only_from_is_believed() -> None:
    request = invite(
        ("P-Asserted-Identity", "<sip:555@a.test>"),
        ("Diversion", "<sip:1@b.test>"),
        ("X-Customer", "7"),
    )
    found = identity_of(request, replace(CARRIER, trusted=False, country=""))
    assert (found.caller.number, found.diverted_from, found.verstat, dict(found.attributes)) == (
        "666",
        "",
        "",
        {},
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                (
                    "Diversion",
                    "History-Info",
                    "Remote-Party-ID",
                    "Privacy",
                    "P-Asserted-Identity",
                    "X-Customer",
                )
            ),
            st.text(max_size=80),
        ),
        max_size=6,
    ),
    st.text(max_size=40),
)
def test_whatever_a_trunk_writes_is_read_or_refused(headers: list[tuple[str, str]], user: str) -> None:
    try:
        found = identity_of(invite(*headers, uri=f"sip:{user}@acd.test"), CARRIER)
    except SipSyntaxError:
        return
    assert len(found.diversions) <= 8
    diverted = [text for one in found.diversions for text in (one.number, one.reason)]
    for text in (found.caller.number, found.caller.name, found.called, *diverted, found.verstat):
        assert len(text) <= 80
        assert text.isprintable()
