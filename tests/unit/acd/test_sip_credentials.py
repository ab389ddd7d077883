"""Digest as a client: what a peer asks is proven, and nothing is told to one who asks for another realm."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.sip.core.auth import DigestServer, Verdict, ha1, parse_fields
from acd.sip.core.credentials import DigestClient, credentials_of
from acd.sip.core.message import Request, Response

REALM, USER, PASSWORD = "carrier.example", "3726000100", 'pass "word" \\ é'
URI = "sip:carrier.example"


def client(password: str = PASSWORD, realm: str = REALM) -> DigestClient:
    numbers = count(1)
    return DigestClient(credentials_of(USER, realm, password), lambda: f"cnonce{next(numbers)}")


def challenged(*challenges: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, "Unauthorized", [(name, text) for text in challenges])


def server() -> DigestServer:
    return DigestServer(REALM, b"secret")


def by_server(digest: DigestServer, now: float, *, stale: bool = False) -> Response:
    return Response(401, "Unauthorized", list(digest.challenges(now, stale=stale)))


def verdict(digest: DigestServer, headers: Sequence[tuple[str, str]], now: float, password: str) -> Verdict:
    def known(user: str, algorithm: str) -> str | None:
        return ha1(algorithm, user, REALM, password) if user == USER else None

    return digest.check(Request("REGISTER", URI, headers), known, now).verdict


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40), st.integers(1, 5))
def test_a_server_takes_the_proof_whatever_the_password_and_however_often(password: str, times: int) -> None:
    digest, us = server(), client(password)
    assert us.headers("REGISTER", URI) == []
    assert us.accept(by_server(digest, 10.0))
    for _ in range(times):
        assert verdict(digest, us.headers("REGISTER", URI), 11.0, password) is Verdict.VALID


def test_the_strongest_algorithm_is_taken_wherever_it_stands() -> None:
    us = client()
    assert us.accept(
        challenged(
            f'Digest realm="{REALM}", nonce="weak", algorithm=MD5',
            f'Digest realm="{REALM}", nonce="strong", algorithm=SHA-256, qop="auth-int,auth"',
        )
    )
    ((name, value),) = us.headers("REGISTER", URI)
    assert name == "Authorization"
    assert parse_fields(value.partition(" ")[2])["nonce"] == "strong"


def test_a_challenge_without_qop_and_algorithm_is_answered_the_old_way() -> None:
    """RFC 2617 section 3.2.2.1, and its opaque comes back as it was."""
    us = client("secret")
    assert us.accept(challenged(f'Digest realm="{REALM}", nonce="abc", opaque="x\\"y"', status=407))
    ((name, value),) = us.headers("INVITE", "sip:1@carrier.example")
    fields = parse_fields(value.partition(" ")[2])
    assert name == "Proxy-Authorization"
    assert {"qop", "cnonce", "nc", "algorithm"}.isdisjoint(fields)
    assert fields["opaque"] == 'x"y'


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="evil.example", nonce="abc"',
        'Digest nonce="abc"',
        f'Basic realm="{REALM}"',
        f'Digest realm="{REALM}"',
        f'Digest realm="{REALM}", nonce=""',
        f'Digest realm="{REALM}", nonce="{"n" * 513}"',
        f'Digest realm="{REALM}", nonce="abc", opaque="{"o" * 513}"',
        f'Digest realm="{REALM}", nonce="abc", algorithm=MD5-sess',
        f'Digest realm="{REALM}", nonce="abc", qop="auth-int"',
        f'Digest realm="{REALM}", nonce="a\x00bc"',
        "Digest",
        "",
    ],
)
def test_a_challenge_of_another_realm_or_one_that_makes_no_sense_gets_no_answer(challenge: str) -> None:
    us = client()
    assert not us.accept(challenged(challenge))
    assert us.headers("REGISTER", URI) == []


def test_the_realm_that_was_asked_for_is_known_to_the_operator() -> None:
    us = client()
    us.accept(challenged('Digest realm="asterisk", nonce="abc"'))
    assert us.strange_realm == "asterisk"


def test_a_wrong_password_is_tried_once() -> None:
    digest, us = server(), client("wrong")
    assert us.accept(by_server(digest, 1.0))
    assert verdict(digest, us.headers("REGISTER", URI), 1.0, PASSWORD) is Verdict.WRONG
    assert not us.accept(by_server(digest, 1.0))


def test_a_nonce_too_old_is_replaced_and_one_that_is_always_too_old_given_up() -> None:
    digest, us = server(), client()
    us.accept(by_server(digest, 1.0))
    us.headers("REGISTER", URI)
    answers = []
    for _ in range(4):
        answers.append(us.accept(by_server(digest, 1.0, stale=True)))
        us.headers("REGISTER", URI)
    assert answers == [True, True, True, False]


def test_a_nonce_that_served_before_may_be_replaced_without_a_word_of_staleness() -> None:
    us = client()
    us.accept(challenged(f'Digest realm="{REALM}", nonce="one", qop="auth"'))
    us.headers("INVITE", URI)
    us.headers("BYE", URI)
    assert us.accept(challenged(f'Digest realm="{REALM}", nonce="two", qop="auth"'))


def test_proxy_and_far_end_are_both_answered() -> None:
    us = client()
    us.accept(challenged(f'Digest realm="{REALM}", nonce="p"', status=407))
    us.accept(challenged(f'Digest realm="{REALM}", nonce="f"', status=401))
    assert [name for name, _ in us.headers("INVITE", URI)] == ["Proxy-Authorization", "Authorization"]


@given(st.lists(st.text(max_size=200), max_size=12))
def test_no_challenge_raises(texts: list[str]) -> None:
    client().accept(challenged(*texts))
