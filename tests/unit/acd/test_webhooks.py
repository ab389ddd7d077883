"""Webhooks: signed, tried again, given up in the end, and never a way into the inner network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from aiohttp.resolver import ThreadedResolver
from standardwebhooks import Webhook as Verifier

from acd.calls.facts import CallAnswered, CallEnded, CallQueued, CallStarted
from acd.clock import SystemClock
from acd.config import WebhooksSection
from acd.directory.loader import load_directory
from acd.directory.model import WEBHOOK_EVENTS, Directory, Webhook
from acd.errors import ConfigError
from acd.reach import may_reach
from acd.webhooks.courier import Courier
from tests.support.certificates import Authority
from tests.support.control import a_call, a_record
from tests.support.net import eventually
from tests.support.receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANSWERED = CallAnswered("c1", "billing", "anna", 12.5, 3.25)
LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    async with receiving(authority) as receiver:
        yield receiver


Start = Callable[..., Courier]


@pytest.fixture
async def start(authority: Authority, receiver: Receiver) -> AsyncIterator[Start]:
    """Begins to deliver to hooks at the receiver, or at another URL."""
    running: list[Courier] = []

    def begin(
        *,
        url: str = "",
        events: tuple[Any, ...] = WEBHOOK_EVENTS,
        names: tuple[str, ...] = ("crm",),
        **settings: Any,
    ) -> Courier:
        told = {"allow_networks": LOOPBACK, "retry_seconds": (0.01, 0.02), "timeout_seconds": 2.0, **settings}
        address = url or f"https://127.0.0.1:{receiver.port}/acd"
        hooks = {name: Webhook(name, address, SECRET, events) for name in names}
        courier = Courier(
            WebhooksSection(ca=str(authority.path), **told),
            SystemClock(),
            lambda: directories[-1],
            lambda call_id: a_call(call_id),
        )
        directories.append(Directory(webhooks=MappingProxyType(hooks)))
        courier.start()
        running.append(courier)
        return courier

    directories: list[Directory] = []
    begin.directories = directories  # type: ignore[attr-defined]
    yield begin
    for courier in running:
        await courier.stop()


async def settled(courier: Courier, **wanted: int) -> None:
    async def there() -> bool:
        return {how: n for (_, how), n in courier.outcomes.items()} == wanted

    await eventually(there, within=5, what=f"{wanted} of {courier.outcomes}")


async def test_each_fact_is_told_signed_with_who_it_is_about(start: Start, receiver: Receiver) -> None:
    courier = start()
    for fact in (
        CallStarted("c1", "carrier"),
        CallQueued("c1", "billing"),
        ANSWERED,
        CallEnded(a_record("c1")),
    ):
        courier(fact)
    got = await receiver.until(3)
    await settled(courier, delivered=3)
    told = [Verifier(SECRET).verify(body, headers) for headers, body in got]
    assert [event["type"] for event in told] == ["call.queued", "call.answered", "call.ended"]
    answered = told[1]["data"]
    assert (answered["call"], answered["agent"], answered["wait_seconds"]) == ("c1", "anna", 12.5)
    assert answered["caller"] == a_call("c1").caller
    assert told[2]["data"]["outcome"] == "answered"
    assert "attempts" not in told[2]["data"]
    assert len({headers["webhook-id"] for headers, _ in got}) == 3
    assert told[0]["timestamp"].endswith("Z")


async def test_only_the_events_that_a_webhook_asks_for_are_told(start: Start, receiver: Receiver) -> None:
    courier = start(events=("call.ended",))
    courier(ANSWERED)
    courier(CallEnded(a_record("c1")))
    await settled(courier, delivered=1)
    assert b'"call.ended"' in receiver.got[0][1]


async def test_a_failed_delivery_is_tried_again_under_the_same_id(start: Start, receiver: Receiver) -> None:
    receiver.answers = [500, 302]
    courier = start()
    courier(ANSWERED)
    got = await receiver.until(3)
    assert len({headers["webhook-id"] for headers, _ in got}) == 1
    await settled(courier, failed=2, delivered=1)
    courier(CallEnded(a_record("c1")))
    await settled(courier, failed=2, delivered=2)


async def test_a_redirection_is_not_followed(start: Start, receiver: Receiver) -> None:
    receiver.answers = [302]
    courier = start(retry_seconds=())
    courier(ANSWERED)
    await settled(courier, failed=1, dead=1)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("answers", "failed"), [([503, 503, 503], 3), ([410], 1)])
async def test_what_nobody_takes_is_given_up_and_counted(
    start: Start, receiver: Receiver, answers: list[int], failed: int
) -> None:
    receiver.answers = answers
    courier = start()
    courier(ANSWERED)
    courier(CallEnded(a_record("c1")))
    await settled(courier, failed=failed, dead=1, delivered=1)


async def test_a_receiver_that_hangs_costs_a_bounded_queue_and_no_other_receiver(
    start: Start, receiver: Receiver
) -> None:
    receiver.hangs = True
    courier = start(queue=2, timeout_seconds=0.2, retry_seconds=())
    for _ in range(10):
        courier(ANSWERED)
    assert courier.waiting["crm"] == 2
    await settled(courier, failed=2, dead=10)
    assert len(receiver.got) == 2


async def test_a_webhook_that_is_removed_is_told_nothing_more(start: Start, receiver: Receiver) -> None:
    receiver.answers = [500] * 50
    courier = start(retry_seconds=(0.2,) * 5)
    courier(ANSWERED)
    await receiver.until(1)
    start.directories.append(Directory())  # type: ignore[attr-defined]
    courier.directory_changed()
    await asyncio.sleep(0.3)
    assert len(receiver.got) == 1
    assert courier.waiting == {}


async def test_a_certificate_of_somebody_else_is_not_talked_to(start: Start, receiver: Receiver) -> None:
    courier = start(url=f"https://localhost:{receiver.port}/", retry_seconds=())
    courier(ANSWERED)
    await settled(courier, failed=1, dead=1)
    assert receiver.got == []


# The inner network.


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1"),
        *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1"),
    ],
)
def test_an_address_that_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(address, ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_reached(address: str) -> None:
    assert may_reach(address, ())


def test_a_network_that_is_allowed_is_reached() -> None:
    allowed = [ip_network("10.1.0.0/16")]
    assert may_reach("10.1.2.3", allowed)
    assert not may_reach("10.2.2.3", allowed)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "localhost"])
async def test_no_connection_is_made_to_the_machine_itself(
    start: Start, receiver: Receiver, host: str
) -> None:
    courier = start(url=f"https://{host}:{receiver.port}/", allow_networks=())
    courier(ANSWERED)
    await settled(courier, failed=3, dead=1)
    assert receiver.got == []


async def test_a_name_that_changes_its_address_is_judged_anew_at_each_connection(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is looked at, and inside when it is connected to."""
    looked_up: list[str] = []

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        looked_up.append(host)
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr(aiohttp.AsyncResolver, "resolve", resolve)
    courier = start(url=f"https://hooks.test:{receiver.port}/", allow_networks=())
    courier(ANSWERED)
    await settled(courier, failed=3, dead=1)
    assert looked_up
    assert receiver.got == []


# The directory and the settings.


def file_with(hook: str, folder: Path) -> Path:
    path = folder / "directory.yaml"
    path.write_text(f"webhooks:\n  - {hook}\n")
    return path


def test_a_webhook_of_the_file_is_in_the_directory(tmp_path: Path) -> None:
    hook = f"{{name: crm, url: 'https://crm.example/acd?x=1', secret: {SECRET}}}"
    directory = load_directory(file_with(hook, tmp_path), ()).build("acd")
    assert directory.webhooks["crm"] == Webhook("crm", "https://crm.example/acd?x=1", SECRET, WEBHOOK_EVENTS)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("{name: crm, url: 'http://crm.example/', secret: GOOD}", "https only"),
        ("{name: crm, url: 'https://u:p@crm.example/', secret: GOOD}", "without user name"),
        ("{name: crm, url: 'https://crm.example/', secret: hunter2}", "here is a new one: whsec_"),
        ("{name: crm, url: 'https://crm.example/', secret: GOOD, events: [call.lost]}", "events"),
        ("{name: crm, url: 'https://crm.example/', secret: GOOD, events: []}", "events"),
    ],
)
def test_what_no_webhook_can_be_is_told_with_the_fix(tmp_path: Path, hook: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_directory(file_with(hook.replace("GOOD", SECRET), tmp_path), ()).build("acd")
    assert words in str(told.value)
    assert "hunter2" not in str(told.value)


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"allow_networks|not a network"):
        WebhooksSection(allow_networks=("intranet",))


def test_a_changed_secret_is_no_other_webhook() -> None:
    hook = Webhook("crm", "https://crm.example/", SECRET)
    assert replace(hook, secret="x") != hook
    assert SECRET not in repr(hook)
