"""Phones register over real sockets."""

from __future__ import annotations

import asyncio
import logging
import re
import time

import pytest
from redis.asyncio import Redis

from acd.clock import SystemClock
from acd.config import ConnectionsSection
from tests.support.caller import Message
from tests.support.clock import FakeClock
from tests.support.sip_client import SipClient, credentials
from tests.support.sip_shell import PASSWORD, Shell, agent, directory


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_phone_with_the_right_password_is_registered(
    shell: Shell, transport: str, algorithm: str
) -> None:
    async with await shell.client(transport) as phone:
        answer = await phone.register("1001", PASSWORD, algorithm=algorithm)
        assert answer.status == 200
        assert answer.get("contact") == f"{phone.contact()};expires=600"
        assert answer.get("date").endswith("GMT")
        assert shell.service.phones.registered("anna")
        assert shell.registrations == [("anna", True)]


async def test_first_challenge_offers_sha256_before_md5(shell: Shell) -> None:
    async with await shell.client() as phone:
        answer = await phone.request("REGISTER", headers=("Expires: 60",))
        offered = re.findall(r"algorithm=([^,]+)", " ".join(answer.headers["www-authenticate"]))
        assert (answer.status, offered) == (401, ["SHA-256", "MD5"])


def _without_chance(answer: Message) -> list[str]:
    """A response's lines, without what differs from one request to the next by chance."""
    lines = [answer.first]
    for name, values in answer.headers.items():
        for value in values:
            if name not in ("via", "call-id", "cseq", "date"):
                lines.append(re.sub(r'(nonce="|tag=)[\w-]+', r"\1x", f"{name}: {value}"))
    return [re.sub(r"sip:\d+@", "sip:x@", line) for line in lines]


async def test_unknown_user_and_wrong_password_get_the_same_answer(shell: Shell) -> None:
    async with await shell.client() as phone:
        wrong = await phone.register("1001", "not the password")
        unknown = await phone.register("7777", "not the password")
        assert wrong.status == 401
        assert _without_chance(wrong) == _without_chance(unknown)
        assert not shell.service.phones.registered("anna")


async def test_wrong_password_writes_one_fixed_security_line(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "acd.security")
    async with await shell.client() as phone:
        await phone.register("1001", "guess")
    lines = [record.getMessage() for record in caplog.records if record.name == "acd.security"]
    expected = "acd-security event=auth-failure method=REGISTER source=127.0.0.1 transport=udp"
    assert lines == [expected]


async def test_digest_without_qop_is_a_configured_leniency(shell: Shell) -> None:
    async with await shell.client() as phone:
        challenge = await phone.request("REGISTER", to="<sip:1001@acd.test>")
        old = credentials(challenge, "REGISTER", "sip:acd.test", "1001", PASSWORD, qop=False)
        answer = await phone.request("REGISTER", to="<sip:1001@acd.test>", headers=(old,))
        assert answer.status == 200
        again = await phone.request("REGISTER", to="<sip:1001@acd.test>", headers=(old,))
        assert (again.status, shell.service.figures.rejected["stale-nonce"]) == (401, 1)


async def test_credentials_for_another_number_are_refused_and_nobody_is_blamed(shell: Shell) -> None:
    async with await shell.client() as phone:
        signed, dialled = "sip:1002@acd.test", "sip:+3729001234@acd.test"
        challenge = await phone.request("INVITE", uri=signed, body="v=0")
        line = credentials(challenge, "INVITE", signed, "1001", PASSWORD)
        answer = await phone.request("INVITE", uri=dialled, headers=(line,), body="v=0")
        assert (answer.status, shell.service.figures.rejected["other-uri"]) == (400, 1)
        assert shell.service.figures.rejected["auth-failure"] == 0
        assert shell.calls.empty()


async def test_replayed_credentials_are_challenged_as_stale(shell: Shell) -> None:
    async with await shell.client() as phone:
        challenge = await phone.request("REGISTER", to="<sip:1001@acd.test>")
        line = credentials(challenge, "REGISTER", "sip:acd.test", "1001", PASSWORD)
        first = await phone.request("REGISTER", to="<sip:1001@acd.test>", headers=(line,))
        again = await phone.request("REGISTER", to="<sip:1001@acd.test>", headers=(line,))
        assert (first.status, again.status) == (200, 401)
        assert all("stale=true" in value for value in again.headers["www-authenticate"])


async def test_agent_may_not_touch_the_bindings_of_another(shell: Shell) -> None:
    async with await shell.client() as phone:
        challenge = await phone.request("REGISTER", to="<sip:1002@acd.test>")
        line = credentials(challenge, "REGISTER", "sip:acd.test", "1001", PASSWORD)
        answer = await phone.request("REGISTER", to="<sip:1002@acd.test>", headers=(line,))
        assert answer.status == 403
        assert not shell.service.phones.registered("bela")


async def test_trunk_address_does_not_replace_a_password(shell: Shell) -> None:
    async with await shell.client(host="127.0.0.2") as carrier:
        answer = await carrier.request("REGISTER", to="<sip:1001@acd.test>")
        assert answer.status == 401


async def test_guesser_is_shed_while_others_register(shell: Shell) -> None:
    async with await shell.client(host="127.0.0.9") as guesser, await shell.client() as phone:
        statuses = [(await guesser.register("1001", f"guess {n}")).status for n in range(25)]
        assert statuses[0] == 401
        assert statuses[-1] == 503
        assert (await phone.register("1001", PASSWORD)).status == 200
        assert shell.service.figures.rejected["rate-limited"] > 0


async def test_contact_behind_a_nat_is_called_at_its_source(shell: Shell) -> None:
    async with await shell.client() as phone:
        answer = await phone.register("1001", PASSWORD, contact="<sip:anna@192.168.7.7:5070>")
        assert answer.get("contact").startswith("<sip:anna@192.168.7.7:5070>")
        shell.service.invite_agent(
            "leg-1", "anna", offer=b"v=0\r\n", caller="5551", caller_name="", queue="billing", call_id="c1"
        )
        invite = await phone.next()
        assert invite.first.split()[1] == f"sip:anna@{phone.local[0]}:{phone.local[1]}"


async def test_removal_by_expires_0_and_by_star(shell: Shell) -> None:
    async with await shell.client() as phone:
        await phone.register("1001", PASSWORD)
        gone = await phone.register("1001", PASSWORD, expires=0)
        assert (gone.status, gone.get("contact")) == (200, "")
        await phone.register("1001", PASSWORD)
        assert (await phone.register("1001", PASSWORD, contact="*", expires=0)).status == 200
        assert not shell.service.phones.registered("anna")
        assert shell.registrations == [("anna", True), ("anna", False)] * 2


async def test_too_short_a_registration_is_told_the_least(shell: Shell) -> None:
    async with await shell.client() as phone:
        answer = await phone.register("1001", PASSWORD, expires=5)
        assert (answer.status, answer.get("min-expires")) == (423, "30")


async def test_registration_ends_when_its_time_is_over(shell: Shell) -> None:
    assert isinstance(shell.clock, FakeClock)
    async with await shell.client() as phone:
        await phone.register("1001", PASSWORD, expires=60)
        shell.clock.advance(59)
        shell.bindings.expire()
        assert shell.service.phones.registered("anna")
        shell.clock.advance(2)
        shell.bindings.expire()
        assert not shell.service.phones.registered("anna")
        assert shell.registrations == [("anna", True), ("anna", False)]


async def test_registrations_survive_a_restart(shell: Shell) -> None:
    async with await shell.client() as phone:
        await phone.register("1001", PASSWORD)
        again = await shell.restarted()
        try:
            assert again.registrations == [("anna", True)]
            again.service.invite_agent(
                "leg", "anna", offer=b"v=0\r\n", caller="5551", caller_name="", queue="q", call_id="c"
            )
            assert (await phone.next()).method == "INVITE"
        finally:
            await again.stop()


async def test_connection_that_broke_makes_its_phone_unreachable_at_once(shell: Shell) -> None:
    phone = await shell.client("tcp")
    await phone.register("1001", PASSWORD)
    assert shell.service.figures.connections == {"tcp": 1}
    await phone.close()
    await shell.until(lambda: not shell.service.phones.registered("anna"))
    assert shell.registrations == [("anna", True), ("anna", False)]
    assert shell.service.figures.connections == {}


async def test_agent_taken_out_of_the_directory_is_not_registered_any_more(shell: Shell) -> None:
    async with await shell.client() as phone:
        await phone.register("1001", PASSWORD)
        shell.directory = directory(agent("bela", "1002"))
        assert not shell.service.phones.registered("anna")


async def test_thousand_phones_register_within_seconds(shell: Shell) -> None:
    agents = [agent(f"agent{n}", str(2000 + n)) for n in range(1000)]
    shell.directory = directory(*agents)
    clients = [await shell.client() for _ in range(20)]
    began = time.process_time()

    async def some(client: SipClient, part: list[str]) -> list[int]:
        return [(await client.register(extension, PASSWORD)).status for extension in part]

    extensions = [one.extension for one in agents]
    shares = [some(client, extensions[n::20]) for n, client in enumerate(clients)]
    statuses = [status for share in await asyncio.gather(*shares) for status in share]
    took = time.process_time() - began
    assert statuses == [200] * 1000
    assert shell.service.figures.registrations == 1000
    assert took < 5.0, f"{took:.1f} CPU-seconds, phones included"
    await shell.bindings.flush()
    assert shell.bindings.unwritten == 0
    for client in clients:
        await client.close()


async def test_expiry_timer_runs_by_itself(redis_url: str, site: str) -> None:
    redis = Redis.from_url(redis_url)
    shell = Shell(redis, site, clock=SystemClock(), min_expires_seconds=1)
    await shell.start()
    async with await shell.client() as phone:
        assert (await phone.register("1001", PASSWORD, expires=1)).status == 200
        await shell.until(lambda: not shell.service.phones.registered("anna"))
    await shell.stop()
    await redis.aclose()


INSTANCE = '+sip.instance="<urn:uuid:1>";reg-id=1'


async def test_phone_that_keeps_its_flow_is_told_that_we_do_too(shell: Shell) -> None:
    async with await shell.client("tcp") as phone:
        contact = f"{phone.contact('anna')};{INSTANCE}"
        answer = await phone.register(
            "1001", PASSWORD, contact=contact, headers=("Supported: path, outbound",)
        )
        assert answer.get("require") == "outbound"
        answer = await phone.register("1001", PASSWORD, contact=contact)
        assert answer.get("require") == "", "a phone that does not know of it is not asked to"
        through = ("Supported: outbound", "Path: <sip:edge.example;lr>")
        answer = await phone.register("1001", PASSWORD, contact=contact, headers=through)
        assert answer.get("require") == "", "the first proxy does not keep flows"
        assert answer.get("path") == "<sip:edge.example;lr>"


@pytest.mark.parametrize(("transport", "told"), [("tcp", "120"), ("udp", "")])
async def test_phone_on_a_connection_is_told_how_long_it_may_be_silent(
    redis_url: str, site: str, transport: str, told: str
) -> None:
    redis = Redis.from_url(redis_url)
    shell = Shell(redis, site, connections=ConnectionsSection(idle_seconds=120))
    await shell.start()
    async with await shell.client(transport) as phone:
        contact = f"{phone.contact('anna')};{INSTANCE}"
        keeps = ("Supported: outbound",)
        answer = await phone.register("1001", PASSWORD, contact=contact, headers=keeps)
        assert (answer.get("require"), answer.get("flow-timer")) == ("outbound", told)
        behind = (*keeps, "Path: <sip:edge.example;lr;ob>")
        answer = await phone.register("1001", PASSWORD, contact=contact, headers=behind)
        assert (answer.get("require"), answer.get("flow-timer")) == ("outbound", "")
    await shell.stop()
    await redis.aclose()


async def test_new_flow_of_the_same_instance_replaces_the_old_one(shell: Shell) -> None:
    async with await shell.client("tcp") as before, await shell.client("tcp") as after:
        for phone in (before, after):
            answer = await phone.register("1001", PASSWORD, contact=f"{phone.contact('anna')};{INSTANCE}")
        assert len(answer.headers["contact"]) == 1
        await before.close()
        await shell.until(lambda: len(shell.service.figures.connections) == 1)
        shell.service.invite_agent(
            "leg", "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
        )
        assert (await after.next()).method == "INVITE"


async def test_phone_behind_proxies_is_called_and_cancelled_along_its_path(shell: Shell) -> None:
    async with await shell.client() as proxy:
        path = ("<sip:edge.example;lr>", "<sip:inner.example;lr;ob>")
        contact = "<sip:anna@10.0.0.7:5062>"
        headers = tuple(f"Path: {value}" for value in path)
        answer = await proxy.register("1001", PASSWORD, contact=contact, headers=headers)
        assert answer.headers["path"] == [*path]
        shell.service.invite_agent(
            "leg", "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
        )
        invite = await proxy.next()
        assert invite.first == "INVITE sip:anna@10.0.0.7:5062 SIP/2.0"
        assert invite.headers["route"] == [*path]
        proxy.answer(invite, 180, "Ringing")
        await shell.event()
        shell.service.hangup("leg")
        cancel = await proxy.next()
        assert cancel.method == "CANCEL"
        assert cancel.headers["route"] == [*path]
        proxy.answer(cancel, 200)
        proxy.answer(invite, 487, "Request Terminated")
        await shell.ended()
        ack = await proxy.next()
        assert (ack.method, ack.headers["route"]) == ("ACK", [*path])


async def test_phone_with_two_flows_rings_once_on_the_newer_and_the_older_serves_when_that_breaks(
    shell: Shell,
) -> None:
    async with await shell.client("tcp") as first, await shell.client("tcp") as second:
        for number, phone in enumerate((first, second), 1):
            contact = f'{phone.contact("anna")};+sip.instance="<urn:uuid:1>";reg-id={number}'
            assert (await phone.register("1001", PASSWORD, contact=contact)).status == 200
            shell.clock.advance(1)  # type: ignore[attr-defined]
        for leg, phone in (("one", second), ("two", first)):
            shell.service.invite_agent(
                leg, "anna", offer=b"v=0\r\n", caller="1", caller_name="", queue="q", call_id="c"
            )
            assert (await phone.next()).method == "INVITE"
            assert first.received.empty()
            if leg == "one":
                await second.close()
                assert (await shell.ended()).by == "transport"
