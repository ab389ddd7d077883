"""Watchers of agents' calls and of messages: who may, what they are told, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from xml.etree import ElementTree

import pytest

from acd.calls.steps.phones import phones_of
from acd.directory.model import STANDARD_CODES, Agent, Box, Directory, VoicemailRules
from acd.sip.core.events import RequestReceived, SubscriptionAsked, SubscriptionOver
from acd.sip.core.message import Request, parse
from acd.sip.lamps import LampLimits, Lamps
from acd.sip.watching import ExpiryBounds, MessageCount, PhoneState
from tests.support.call_cases import CALLS
from tests.support.stack_peer import TCP, UDP, StackPeer
from tests.unit.acd.test_call_transfer import RINGING

ANNA, BERT = Agent("anna", "1001"), Agent("bert", "1002")
DIRECTORY = Directory(agents={"anna": ANNA, "bert": BERT}, agent_by_extension={"1001": ANNA, "1002": BERT})
EARLY, TALKING = (
    PhoneState("bert", "early", is_caller=False),
    PhoneState("bert", "confirmed", is_caller=False),
)


@dataclass
class Phones:
    """The endpoint: notes what watchers are told, and answers."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    renewed: list[tuple[str, int]] = field(default_factory=list)

    def respond(
        self, transaction: str, status: int, *, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.answers.append((status, dict(headers)))

    def accept_subscription(self, transaction: str, seconds: int) -> str | None:
        self.answers.append((200, {"Expires": str(seconds)}))
        return transaction

    def renew_subscription(self, name: str, transaction: str, seconds: int) -> None:
        self.renewed.append((name, seconds))

    def notify(self, name: str, content_type: str, body: bytes) -> None:
        self.told.append((name, "active", body.decode()))

    def end_subscription(self, name: str, reason: str, content_type: str, body: bytes) -> None:
        self.told.append((name, reason, body.decode()))


@dataclass
class Desk:
    phones: Phones = field(default_factory=Phones)
    limits: LampLimits = field(default_factory=LampLimits)
    messages: dict[str, MessageCount] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = DIRECTORY
        self.lamps = Lamps(
            self.phones,
            lambda: self.directory,
            ExpiryBounds(30, 3600),
            messages=lambda box: self.messages.get(box, MessageCount()),
            limits=self.limits,
        )

    def subscribe(
        self, name: str = "w", watched: str = "1002", package: str = "dialog", **headers: str
    ) -> tuple[int, dict[str, str]]:
        uri = f"sip:{watched}@acd.test"
        given = [("Event", package), *((key.replace("_", "-"), value) for key, value in headers.items())]
        self.lamps.subscribe(RequestReceived(name, self.request(given, uri), UDP), ANNA)
        return self.phones.answers[-1]

    def renew(self, name: str = "w", **headers: str) -> None:
        self.lamps.renew(SubscriptionAsked(name, "t2", self.request([*headers.items()]), UDP))

    @staticmethod
    def request(headers: Sequence[tuple[str, str]], uri: str = "sip:acd.test") -> Request:
        request = parse(StackPeer().request("SUBSCRIBE", uri=uri, headers=headers))
        assert isinstance(request, Request)
        return request

    def lamp(self) -> list[tuple[str, str, str]]:
        """What the newest NOTIFY shows: call, direction, state."""
        root = ElementTree.fromstring(self.phones.told[-1][2])
        space = "{urn:ietf:params:xml:ns:dialog-info}"
        assert (root.tag, root.get("state")) == (f"{space}dialog-info", "full")
        return [
            (item.get("id", ""), item.get("direction", ""), item.findtext(f"{space}state", ""))
            for item in root.findall(f"{space}dialog")
        ]

    def version(self) -> int:
        return int(ElementTree.fromstring(self.phones.told[-1][2]).get("version", ""))


def test_a_lamp_follows_the_calls_of_an_agent_with_rising_versions() -> None:
    desk = Desk()
    assert desk.subscribe() == (200, {"Expires": "3600"})
    assert (desk.lamp(), desk.version()) == ([], 0)
    desk.lamps.phones_changed("c1", (EARLY,))
    assert (desk.lamp(), desk.version()) == ([("c1", "recipient", "early")], 1)
    desk.lamps.phones_changed("c1", (TALKING,))
    desk.lamps.phones_changed("c2", (PhoneState("bert", "trying", is_caller=True),))
    assert desk.lamp() == [("c1", "recipient", "confirmed"), ("c2", "initiator", "trying")]
    desk.lamps.phones_changed("c1", ())
    assert desk.lamp() == [("c2", "initiator", "trying"), ("c1", "recipient", "terminated")]
    desk.lamps.phones_changed("c2", ())
    assert (desk.lamp(), desk.version()) == ([("c2", "initiator", "terminated")], 5)


def test_a_call_that_moves_to_a_colleague_turns_one_lamp_off_and_the_other_on() -> None:
    desk = Desk()
    desk.subscribe("b", "1002")
    desk.subscribe("a", "1001")
    desk.lamps.phones_changed("c1", (PhoneState("anna", "confirmed", is_caller=False),))
    desk.lamps.phones_changed("c1", (TALKING,))
    newest = {name: body for name, _, body in desk.phones.told}
    assert "terminated" in newest["a"]
    assert "confirmed" in newest["b"]


def test_a_watcher_who_comes_later_sees_what_is_going_on() -> None:
    desk = Desk()
    desk.lamps.phones_changed("c1", (TALKING,))
    desk.subscribe(watched="bert")
    assert desk.lamp() == [("c1", "recipient", "confirmed")]


def test_callers_numbers_are_not_in_a_lamp_and_a_strange_entity_stays_text() -> None:
    desk = Desk()
    desk.directory = changed(DIRECTORY, agent_by_extension={'1&"<2': BERT})
    desk.subscribe(watched="1%26%22%3C2")
    assert ElementTree.fromstring(desk.phones.told[-1][2]).get("entity") == 'sip:1&"<2@acd.test'


@pytest.mark.parametrize(
    ("how", "status", "header"),
    [
        ({"package": "presence"}, 489, "Allow-Events"),
        ({"package": ""}, 489, "Allow-Events"),
        ({"Accept": "application/pidf+xml"}, 406, ""),
        ({"Expires": "5"}, 423, "Min-Expires"),
        ({"watched": "4711"}, 404, ""),
        ({"package": "message-summary"}, 403, ""),
    ],
)
def test_a_subscription_that_cannot_be_is_refused_with_the_reason(
    how: dict[str, str], status: int, header: str
) -> None:
    desk = Desk()
    answer = desk.subscribe(**how)
    assert answer[0] == status
    assert not header or header in answer[1]
    assert len(desk.lamps) == 0
    assert desk.phones.told == []


def test_accept_and_expires_are_read_with_care() -> None:
    desk = Desk()
    assert desk.subscribe("1", Accept="application/*, text/plain", Expires="99999999")[1] == {
        "Expires": "3600"
    }
    assert desk.subscribe("2", Accept="application/dialog-info+xml;q=1", Expires="60")[1] == {"Expires": "60"}
    assert desk.subscribe("3", Expires="never")[1] == {"Expires": "3600"}


def test_messages_are_counted_for_their_owner_and_none_where_nothing_stores_them() -> None:
    desk = Desk()
    desk.subscribe(watched="1001", package="message-summary")
    account = "Message-Account: sip:1001@acd.test\r\n"
    assert desk.phones.told[-1][2] == f"Messages-Waiting: no\r\n{account}Voice-Message: 0/0 (0/0)\r\n"
    desk.messages["agent:anna"] = MessageCount(2, 1)
    desk.lamps.messages_changed("agent:anna")
    assert desk.phones.told[-1][2] == f"Messages-Waiting: yes\r\n{account}Voice-Message: 2/1 (0/0)\r\n"
    desk.lamps.phones_changed("c1", (PhoneState("anna", "early", is_caller=False),))
    assert len(desk.phones.told) == 2


def test_the_messages_of_a_shared_box_are_told_to_those_who_may_listen_and_to_nobody_else() -> None:
    desk = Desk()
    boxes = {
        "door": Box("door", "7", VoicemailRules(agents=("anna",))),
        "attic": Box("attic", "8", VoicemailRules(agents=("bert",))),
    }
    codes = {code.code: code for code in STANDARD_CODES}
    desk.directory = changed(DIRECTORY, boxes=boxes, codes=codes)
    desk.messages["box:door"] = MessageCount(1, 0)
    assert desk.subscribe("shared", watched="*977", package="message-summary")[0] == 200
    told = "Messages-Waiting: yes\r\nMessage-Account: sip:*977@acd.test\r\nVoice-Message: 1/0 (0/0)\r\n"
    assert desk.phones.told == [("shared", "active", told)]
    assert desk.subscribe("2", watched="*978", package="message-summary")[0] == 403
    assert desk.subscribe("3", watched="1002", package="message-summary")[0] == 403
    assert desk.subscribe("4", watched="*979", package="message-summary")[0] == 404
    assert desk.subscribe("5", watched="*977")[0] == 404, "nobody rings a box"


def test_a_renewal_is_answered_with_the_state_and_zero_ends_it() -> None:
    desk = Desk()
    desk.subscribe()
    desk.renew(Expires="600")
    assert desk.phones.renewed == [("w", 600)]
    assert desk.phones.told[-1][1] == "active"
    desk.renew(Expires="5")
    assert desk.phones.answers[-1][0] == 423
    desk.renew(Expires="0")
    assert (desk.phones.told[-1][1], len(desk.lamps)) == ("timeout", 0)
    desk.renew()
    assert desk.phones.answers[-1][0] == 481


def test_a_look_is_told_once() -> None:
    desk = Desk()
    desk.subscribe(Expires="0")
    assert [(name, state) for name, state, _ in desk.phones.told] == [("w", "timeout")]
    assert len(desk.lamps) == 0


def test_a_watcher_who_left_the_directory_is_let_go_at_the_next_renewal() -> None:
    desk = Desk()
    desk.subscribe()
    desk.directory = changed(DIRECTORY, agents={"bert": BERT})
    desk.renew(Expires="600")
    assert (desk.phones.told[-1][1], len(desk.lamps)) == ("rejected", 0)


def test_time_and_silence_end_a_subscription_and_the_service_ends_the_rest() -> None:
    desk = Desk()
    for name in ("1", "2", "3"):
        desk.subscribe(name)
    desk.lamps.over(SubscriptionOver("1", "timeout"))
    assert desk.phones.told[-1][:2] == ("1", "timeout")
    desk.lamps.over(SubscriptionOver("2", "gone"))
    desk.lamps.end_all("deactivated")
    assert [told[:2] for told in desk.phones.told[-2:]] == [("1", "timeout"), ("3", "deactivated")]
    desk.lamps.phones_changed("c1", (EARLY,))
    assert len(desk.phones.told) == 5


def test_one_source_and_all_together_are_bounded_and_an_end_makes_room() -> None:
    desk = Desk(limits=LampLimits(most=3, by_source=2))
    assert [desk.subscribe(str(n))[0] for n in range(3)] == [200, 200, 503]
    assert "Retry-After" in desk.phones.answers[-1][1]
    desk.lamps.over(SubscriptionOver("0", "gone"))
    assert desk.subscribe("4")[0] == 200


def test_a_renewal_over_another_flow_is_told_apart() -> None:
    desk = Desk()
    desk.subscribe()
    asked = SubscriptionAsked("w", "t", Desk.request(()), UDP)
    assert desk.lamps.owner_of(asked) == ("anna", True)
    assert desk.lamps.owner_of(changed(asked, flow=TCP)) == ("anna", False)
    assert desk.lamps.owner_of(changed(asked, subscription="x")) is None


def test_each_state_of_a_call_shows_the_phones_that_it_uses() -> None:
    shown = {state.value: [phone.state for phone in phones_of(call)] for state, call in CALLS.items()}
    assert shown == {
        **{state: [] for state in ("new", "answering", "ivr", "queued", "ended")},
        "offered": ["early"],
        "connecting": ["confirmed"],
        "talking": ["confirmed"],
        "code": ["confirmed"],
        "dialling": ["confirmed"],
        "calling": ["trying"],
        "forwarding": ["confirmed"],
    }
    assert [(phone.agent, phone.state) for phone in phones_of(RINGING)] == [
        ("bert", "early"),
        ("anna", "confirmed"),
    ]
