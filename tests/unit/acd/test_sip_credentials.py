"""Digest as a client: what a peer asks is proven, and nothing is told to one who asks for another realm."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.sip.core.auth import DigestServer, Verdict, parse_fields
from acd.sip.core.credentials import DigestClient
from acd.sip.core.message import Request, Response
from tests.support.credentials import credentials_of, ha1

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


LIFETIME = 300.0
"""Seconds that a nonce is good for."""


def test_the_right_password_with_a_nonce_of_another_is_challenged_anew() -> None:
    """The MAC of a nonce is what shows that we made it: another server, or the time bent."""
    digest, stranger = server(), DigestServer(REALM, b"another secret")
    us = client()
    assert us.accept(by_server(stranger, 10.0))
    assert verdict(digest, us.headers("REGISTER", URI), 11.0, PASSWORD) is Verdict.STALE
    nonce = parse_fields(by_server(digest, 10.0).raw("WWW-Authenticate")[0].partition(" ")[2])["nonce"]
    stamp, _, mac = nonce.rpartition("-")
    later = f"{int(stamp.partition('-')[0], 16) + 100:x}-{stamp.partition('-')[2]}-{mac}"
    us = client()
    assert us.accept(challenged(f'Digest realm="{REALM}", nonce="{later}", algorithm=SHA-256, qop="auth"'))
    assert verdict(digest, us.headers("REGISTER", URI), 11.0, PASSWORD) is Verdict.STALE


@pytest.mark.parametrize(
    ("age", "expected"), [(LIFETIME, Verdict.VALID), (LIFETIME + 1, Verdict.STALE), (-1.0, Verdict.STALE)]
)
def test_a_nonce_is_good_for_its_time_only(age: float, expected: Verdict) -> None:
    digest, us = server(), client()
    assert us.accept(by_server(digest, 1000.0))
    assert verdict(digest, us.headers("REGISTER", URI), 1000.0 + age, PASSWORD) is expected


def without_qop(digest: DigestServer, method: str, uri: str, now: float) -> Sequence[tuple[str, str]]:
    """Credentials as phones of RFC 2069 write them."""
    nonce = parse_fields(by_server(digest, now).raw("WWW-Authenticate")[0].partition(" ")[2])["nonce"]
    us = client()
    assert us.accept(challenged(f'Digest realm="{REALM}", nonce="{nonce}", algorithm=MD5'))
    return us.headers(method, uri)


def judged(digest: DigestServer, method: str, uri: str, headers: Sequence[tuple[str, str]]) -> Verdict:
    request = Request(method, uri, headers)
    return digest.check(request, lambda _, algorithm: ha1(algorithm, USER, REALM, PASSWORD), 11.0).verdict


def test_credentials_without_qop_are_good_once_whichever_uri_they_are_sent_to() -> None:
    digest = DigestServer(REALM, b"secret", accept_without_qop=True)
    captured = without_qop(digest, "INVITE", "sip:carrier.example", 10.0)
    again = [(name, value.replace("response=", "response = ").upper()) for name, value in captured]
    targets = [f"sip:{number}@carrier.example" for number in ("1001", "+3729001234", "1002")]
    assert judged(digest, "INVITE", targets[0], captured) is Verdict.VALID
    assert [judged(digest, "INVITE", target, captured) for target in targets] == [Verdict.STALE] * 3
    assert judged(digest, "INVITE", targets[0], again) is not Verdict.VALID


def test_phones_without_qop_may_use_a_nonce_for_one_request_of_each_kind() -> None:
    digest = DigestServer(REALM, b"secret", accept_without_qop=True)
    nonce = parse_fields(by_server(digest, 10.0).raw("WWW-Authenticate")[0].partition(" ")[2])["nonce"]
    us = client()
    assert us.accept(challenged(f'Digest realm="{REALM}", nonce="{nonce}", algorithm=MD5'))
    for method in ("REGISTER", "INVITE"):
        assert judged(digest, method, URI, us.headers(method, URI)) is Verdict.VALID


@pytest.mark.parametrize("qop", [True, False], ids=["qop", "without"])
@pytest.mark.parametrize(
    ("signed", "asked", "expected"),
    [
        ("sip:1002@acd.test", "sip:+3729001234@acd.test", Verdict.ELSEWHERE),
        ("sip:1002@acd.test", "tel:+3729001234", Verdict.ELSEWHERE),
        ("sip:1002@acd.test", "sip:1002@192.0.2.1:5070;transport=tcp", Verdict.VALID),
        ("sip:%31002@acd.test", "sip:1002@acd.test", Verdict.VALID),
        ("sip:acd.test;transport=UDP", "sip:1002@acd.test", Verdict.VALID),
        ("1002", "sip:1002@acd.test", Verdict.VALID),
    ],
)
def test_credentials_for_one_target_are_not_good_for_another(
    signed: str, asked: str, expected: Verdict, *, qop: bool
) -> None:
    """RFC 7616 section 3.4.6, as far as proxies and old phones let us."""
    digest, us = DigestServer(REALM, b"secret", accept_without_qop=True), client()
    assert us.accept(by_server(digest, 10.0))
    headers = us.headers("INVITE", signed) if qop else without_qop(digest, "INVITE", signed, 10.0)
    assert judged(digest, "INVITE", asked, headers) is expected


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
