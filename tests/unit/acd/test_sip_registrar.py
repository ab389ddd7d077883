"""What a REGISTER does to an agent's bindings (RFC 3261 section 10.3)."""

from __future__ import annotations

import pytest

from acd.sip.contacts import Binding
from acd.sip.core.events import Flow
from acd.sip.core.message import Request
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.registrar import MAX_CONTACTS, Answer, Changes, ExpiryRules, contact_key, plan, reachable_target

RULES = ExpiryRules(least=30, most=3600)
FLOW = Flow("udp", ("127.0.0.1", 5060), ("192.0.2.7", 5060))
NOW = 1_000_000.0


def register(
    *contacts: str,
    expires: str | None = None,
    call_id: str = "c",
    cseq: int = 1,
    agent: str = "",
    path: tuple[str, ...] = (),
) -> Request:
    headers = [
        ("From", "<sip:1001@a>;tag=t"),
        ("To", "<sip:1001@a>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
    ]
    headers += [("Contact", contact) for contact in contacts]
    if expires is not None:
        headers.append(("Expires", expires))
    if agent:
        headers.append(("User-Agent", agent))
    headers += [("Path", value) for value in path]
    return Request("REGISTER", "sip:a", headers)


def decide(request: Request, held: tuple[Binding, ...] = (), now: float = NOW) -> Changes | Answer:
    return plan(request, "anna", FLOW, held, RULES, now)


def bound(request: Request, now: float = NOW) -> tuple[Binding, ...]:
    decision = decide(request, now=now)
    assert isinstance(decision, Changes)
    return decision.put


def test_contact_is_kept_as_written_with_its_expiry() -> None:
    (binding,) = bound(register("<sip:anna@192.0.2.7;x=y>;expires=120", agent="Phone\x00 1"))
    assert binding.contact == "sip:anna@192.0.2.7;x=y"
    assert binding.target == binding.contact
    assert (binding.expires_at, binding.listens) == (NOW + 120, ("192.0.2.7", 5060))
    assert binding.user_agent == "Phone  1"


@pytest.mark.parametrize(
    ("contact", "expires", "seconds"),
    [
        ("<sip:a@h>;expires=60", "600", 60),
        ("<sip:a@h>", "600", 600),
        ("<sip:a@h>", None, 3600),
        ("<sip:a@h>", "soon", 3600),
        ("<sip:a@h>", "99999999999999999999", 3600),
        ("<sip:a@h>;expires=7200", None, 3600),
        ("<sip:a@h>;expires=x", "60", 60),
    ],
)
def test_contact_parameter_then_header_then_default_bounded(
    contact: str, expires: str | None, seconds: int
) -> None:
    (binding,) = bound(register(contact, expires=expires))
    assert binding.expires_at == NOW + seconds


def test_query_changes_nothing() -> None:
    assert decide(register(expires="60"), bound(register("<sip:a@h>"))) == Changes()


def test_too_brief_an_interval_is_423_with_the_least() -> None:
    assert decide(register("<sip:a@h>;expires=29")) == Answer(423, (("Min-Expires", "30"),))


def test_one_bad_contact_changes_nothing_of_the_others() -> None:
    assert decide(register("<sip:a@h>;expires=600", "<sip:b@h>;expires=1")) == Answer(
        423, (("Min-Expires", "30"),)
    )


@pytest.mark.parametrize(
    "request_",
    [
        register("*", expires="60"),
        register("*"),
        register("*", "<sip:a@h>", expires="0"),
        register("<tel:+1>"),
        register("<sip:a@h"),
        register("<sip:\u00e9@h>"),
        register(*(f"<sip:a@h:{5060 + n}>" for n in range(MAX_CONTACTS + 1))),
    ],
    ids=["star-with-time", "star-alone", "star-with-more", "tel", "broken", "not-ascii", "too-many"],
)
def test_what_cannot_be_meant_is_400(request_: Request) -> None:
    assert decide(request_) == Answer(400)


def test_star_removes_all_and_zero_removes_one() -> None:
    held = bound(register("<sip:a@h>", "<sip:b@h>"))
    assert decide(register("*", expires="0", cseq=2), held) == Changes(remove=tuple(b.key for b in held))
    assert decide(register("<sip:b@H:5060>;expires=0", cseq=2), held) == Changes(remove=(held[1].key,))


def test_packet_that_was_overtaken_fails_and_changes_nothing() -> None:
    held = bound(register("<sip:a@h>", cseq=9))
    assert decide(register("<sip:a@h>;expires=0", cseq=8), held, NOW + 0.5) == Answer(500)
    assert decide(register("*", expires="0", cseq=8), held, NOW + 0.5) == Answer(500)


def test_phone_that_starts_again_with_its_old_call_id_is_let_in() -> None:
    held = bound(register("<sip:a@h>", cseq=9))
    assert isinstance(decide(register("<sip:a@h>", cseq=1), held, NOW + 5), Changes)
    assert isinstance(decide(register("<sip:a@h>", cseq=9), held, NOW + 0.5), Changes)
    assert isinstance(decide(register("<sip:a@h>", cseq=1, call_id="other"), held, NOW + 0.5), Changes)


def test_contact_beyond_the_most_pushes_out_the_oldest() -> None:
    held = tuple(bound(register(f"<sip:a@h:{6000 + n}>"), now=NOW + n)[0] for n in range(MAX_CONTACTS))
    decision = decide(register("<sip:a@h:7000>"), tuple(reversed(held)), NOW + 100)
    assert isinstance(decision, Changes)
    assert (len(decision.put), decision.remove) == (1, (held[0].key,))
    renewal = decide(register("<sip:a@h:6000>", cseq=2), held, NOW + 100)
    assert isinstance(renewal, Changes)
    assert renewal.remove == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("<sip:a@h>", "<sip:a@H:5060>", True),
        ("<sip:a@h>", "<sip:A@h>", False),
        ("<sip:a@h>", "<sip:a@h;transport=tcp>", False),
        ("<sip:a@h>", "<sip:a@h>;q=0.5", True),
        ('<sip:a@h>;+sip.instance="<u>";reg-id=1', '<sip:a@x:9>;+sip.instance="<u>";reg-id=1', True),
        ('<sip:a@h>;+sip.instance="<u>";reg-id=1', '<sip:a@h>;+sip.instance="<u>";reg-id=2', False),
    ],
)
def test_what_makes_two_contacts_the_same(one: str, other: str, same: bool) -> None:
    assert (contact_key(NameAddr.parse(one)) == contact_key(NameAddr.parse(other))) is same


@pytest.mark.parametrize(
    ("contact", "transport", "target"),
    [
        ("sip:a@192.0.2.7", "udp", "sip:a@192.0.2.7"),
        ("sip:a@10.0.0.1:5062;line=7", "udp", "sip:a@192.0.2.7:5060;line=7"),
        ("sip:a@192.0.2.7:5062", "udp", "sip:a@192.0.2.7:5060"),
        ("sip:a@192.0.2.7:5062;transport=tcp", "tcp", "sip:a@192.0.2.7:5062;transport=tcp"),
        ("sip:a@10.0.0.1:5062;transport=tcp", "tcp", "sip:a@192.0.2.7:5060;transport=tcp"),
    ],
)
def test_target_is_the_source_where_the_contact_says_otherwise(
    contact: str, transport: str, target: str
) -> None:
    flow = Flow(transport, ("127.0.0.1", 5060), ("192.0.2.7", 5060))  # type: ignore[arg-type]
    assert str(reachable_target(Uri.parse(contact), flow)) == target


def test_path_is_kept_in_order_and_leaves_the_contact_as_written() -> None:
    request = register(
        "<sip:anna@10.0.0.7:5062>", path=("<sip:edge.example;lr>", "<sip:p2;lr;ob>, <sip:p3;lr>")
    )
    (binding,) = bound(request)
    assert binding.path == ("<sip:edge.example;lr>", "<sip:p2;lr;ob>", "<sip:p3;lr>")
    assert binding.target == binding.contact == "sip:anna@10.0.0.7:5062"


@pytest.mark.parametrize(
    "path", ["<tel:+1>", "nothing", "<sip:" + "a" * 300 + ">", ",".join(["<sip:a;lr>"] * 9)]
)
def test_path_that_cannot_be_used_as_a_route_is_refused(path: str) -> None:
    assert decide(register("<sip:a@h>", path=(path,))) == Answer(400)


@pytest.mark.parametrize(
    ("contact", "flow"),
    [
        ("sip:r4nd0m@k2j3h4.invalid;transport=ws", Flow("ws", ("127.0.0.1", 80), ("192.0.2.7", 4000), 3)),
        ("sip:anna@10.0.0.7;transport=ws", Flow("wss", ("127.0.0.1", 443), ("192.0.2.7", 4000), 3)),
        ("sip:anna@10.0.0.7;transport=tcp;ob", Flow("tcp", ("127.0.0.1", 5060), ("192.0.2.7", 4000), 3)),
    ],
    ids=["invalid", "websocket", "outbound"],
)
def test_contact_that_only_its_flow_can_find_is_called_as_written(contact: str, flow: Flow) -> None:
    assert str(reachable_target(Uri.parse(contact), flow)) == contact


def test_instance_is_the_same_over_all_flows_of_a_phone() -> None:
    contact = '<sip:a@h:%d>;+sip.instance="<urn:uuid:1>";reg-id=%d'
    bindings = bound(register(contact % (1, 1), contact % (2, 2)))
    assert len({binding.key for binding in bindings}) == 2
    assert {binding.instance for binding in bindings} == {"<urn:uuid:1>"}
