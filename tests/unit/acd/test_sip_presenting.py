"""What a call to a trunk says of its caller and of itself, and what nobody can make it say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.directory.model import Trunk
from acd.sip.core.message import Request, parse, write
from acd.sip.core.uri import Uri
from acd.sip.identity import DIVERSION_REASONS, Diverted, identity_of
from acd.sip.presenting import Presented, own_headers, presented

TRUNK = Trunk("carrier", ())
STRANGER = Trunk("cheap", (), trusted=False)
TARGET = Uri(host="sbc.carrier.example", user="+3725551234")


def said(caller: Presented, trunk: Trunk = TRUNK) -> tuple[str, dict[str, str]]:
    from_, headers = presented(caller, trunk, "acd.example", TARGET)
    return str(from_), dict(headers)


def test_a_trusted_trunk_is_told_the_number_twice() -> None:
    shown = '"Anna" <sip:+3726000100@acd.example>'
    assert said(Presented("+3726000100", "Anna")) == (shown, {"P-Asserted-Identity": shown})


def test_a_stranger_is_told_what_the_called_will_see_and_nothing_else() -> None:
    assert said(Presented("+3726000100"), STRANGER) == ("<sip:+3726000100@acd.example>", {})


def test_a_number_that_is_withheld_goes_to_the_trusted_trunk_alone_with_the_wish() -> None:
    from_, headers = said(Presented("+3726000100", "Anna", withheld=True))
    assert from_ == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert headers == {
        "P-Asserted-Identity": '"Anna" <sip:+3726000100@acd.example>',
        "Privacy": "id",
    }
    from_, headers = said(Presented("+3726000100", "Anna", withheld=True), STRANGER)
    assert "3726000100" not in from_ + str(headers)
    assert headers == {"Privacy": "id"}


def test_a_caller_who_came_without_a_number_goes_on_without_one() -> None:
    from_, headers = said(Presented("anonymous"))
    assert (from_, headers) == ('"Anonymous" <sip:anonymous@anonymous.invalid>', {"Privacy": "id"})


ACCOUNT = replace(TRUNK, username="line1", from_user="account")


@pytest.mark.parametrize(
    ("trusted", "withheld", "from_", "headers"),
    [
        (True, False, '"Anna" <sip:line1@acd.example>', ["P-Asserted-Identity"]),
        (False, False, '"Anna" <sip:line1@acd.example>', ["P-Preferred-Identity"]),
        (True, True, '"Anonymous" <sip:line1@acd.example>', ["P-Asserted-Identity", "Privacy"]),
        (False, True, '"Anonymous" <sip:line1@acd.example>', ["Privacy"]),
    ],
)
def test_a_provider_that_wants_the_account_in_from_has_the_number_beside_it(
    trusted: bool, withheld: bool, from_: str, headers: list[str]
) -> None:
    caller = Presented("+3726000100", "Anna", withheld=withheld)
    shown, identity = said(caller, replace(ACCOUNT, trusted=trusted))
    assert (shown, list(identity)) == (from_, headers)
    assert all("+3726000100" in value for name, value in identity.items() if name != "Privacy")


@pytest.mark.parametrize(
    ("how", "headers"),
    [
        ("off", {}),
        ("diversion", {"Diversion": "<sip:+3726000100@acd.example>;reason=unconditional;counter=1"}),
        (
            "history-info",
            {
                "History-Info": "<sip:+3726000100@acd.example>;index=1, "
                "<sip:+3725551234@sbc.carrier.example;cause=302>;index=1.1;mp=1"
            },
        ),
    ],
)
def test_a_call_that_goes_on_says_what_was_dialled_as_the_trunk_wants_it(
    how: str, headers: dict[str, str]
) -> None:
    caller = Presented("+37255500000", diversions=(Diverted("+3726000100"),))
    trunk = replace(STRANGER, diversion=how)
    assert said(caller, trunk) == ("<sip:+37255500000@acd.example>", headers)


EARLIER = (
    Diverted("+3726000300", "no-answer", 2, private=True),
    Diverted("+3726000200", "user-busy"),
    Diverted("+3726000100"),
)


@pytest.mark.parametrize(
    ("how", "value"),
    [
        (
            "diversion",
            "<sip:+3726000100@acd.example>;reason=unconditional;counter=1, "
            "<sip:+3726000200@acd.example>;reason=user-busy;counter=1, "
            "<sip:+3726000300@acd.example>;reason=no-answer;counter=2;privacy=full",
        ),
        (
            "history-info",
            "<sip:+3726000300@acd.example?Privacy=history>;index=1, "
            "<sip:+3726000200@acd.example;cause=408>;index=1.1;mp=1, "
            "<sip:+3726000100@acd.example;cause=486>;index=1.1.1;mp=1.1, "
            "<sip:+3725551234@sbc.carrier.example;cause=302>;index=1.1.1.1;mp=1.1.1",
        ),
    ],
)
def test_diversions_before_ours_are_told_to_the_trunk_that_is_trusted(how: str, value: str) -> None:
    caller = Presented("+37255500000", diversions=EARLIER)
    _, headers = said(caller, replace(TRUNK, diversion=how))
    assert {"Diversion": value, "History-Info": value}.items() & headers.items()
    _, headers = said(caller, replace(STRANGER, diversion=how))
    assert "3726000100" in str(headers)
    assert "3726000200" not in str(headers)


@given(
    st.lists(
        st.builds(
            Diverted,
            st.from_regex(r"[+]?[0-9]{1,15}", fullmatch=True),
            st.sampled_from(sorted(DIVERSION_REASONS)),
            st.integers(1, 99),
            st.booleans(),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_what_is_told_of_diversions_is_read_as_it_was_meant(chain: list[Diverted]) -> None:
    via = ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
    for how in ("diversion", "history-info"):
        caller = Presented("+37255500000", diversions=tuple(chain))
        from_, headers = presented(caller, replace(TRUNK, diversion=how), "acd.example", TARGET)
        head = [via, ("From", f"{from_};tag=1"), ("To", "<sip:1@x>"), *headers]
        sent = parse(write("INVITE sip:1@x SIP/2.0", head), stream=False, max_headers=50)
        assert isinstance(sent, Request)
        found = identity_of(sent, TRUNK).diversions
        assert [(one.number, one.private) for one in found] == [(one.number, one.private) for one in chain]
        if how == "diversion":
            assert list(found) == chain


def test_headers_of_the_directory_carry_what_is_known_of_the_call() -> None:
    trunk = replace(TRUNK, send_headers={"X-Customer": "customer", "X-Queue": "queue", "X-Team": "team"})
    about = {"customer": "4711", "queue": "billing", "team": "", "other": "x"}
    assert own_headers(trunk, about) == [("X-Customer", "4711"), ("X-Queue", "billing")]


@pytest.mark.parametrize(
    "value",
    ["1\r\nEvil: yes", "1\nEvil: yes", "1\rEvil: yes", "1\x00Evil: yes", "1\u2028Evil: yes", "1\r\n\r\nv=0"],
)
def test_no_value_of_a_caller_becomes_a_header_of_its_own(value: str) -> None:
    trunk = replace(TRUNK, send_headers={"X-Customer": "customer"})
    headers = own_headers(trunk, {"customer": value})
    assert all(text.isprintable() for _, text in headers)
    via = ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
    sent = parse(write("OPTIONS sip:x SIP/2.0", [via, *headers]), stream=False, max_headers=50)
    assert (sent.header("Evil"), sent.body) == (None, b"")
    from_, identity = presented(Presented("1", value), trunk, "acd.example", TARGET)
    sent = parse(
        write("OPTIONS sip:x SIP/2.0", [via, ("From", str(from_)), *identity]), stream=False, max_headers=50
    )
    assert (sent.header("Evil"), sent.body) == (None, b"")


def test_a_long_value_is_cut_and_an_empty_one_left_out() -> None:
    trunk = replace(TRUNK, send_headers={"X-A": "a", "X-B": "b", "X-C": "c"})
    (only,) = own_headers(trunk, {"a": "x" * 10_000, "b": " \n "})
    assert only == ("X-A", "x" * 256)
