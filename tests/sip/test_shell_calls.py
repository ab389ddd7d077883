"""Calls come in and agents' phones are rung, over real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from acd.directory.model import AutoAnswer, Device, Trunk
from acd.sip.core.events import LegAnswered, LegConfirmed, LegEnded, LegProgressed, LegReferred
from acd.sip.identity import Party
from acd.sip.incoming import IncomingCall
from acd.sip.phones import AgentUnreachable
from tests.support.caller import Message
from tests.support.sip_client import SipClient, credentials
from tests.support.sip_shell import PASSWORD, Shell

CARRIER = "127.0.0.2"
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
NUMBER = "sip:+3726000100@acd.test"


def ring_anna(shell: Shell, leg: str = "leg-1", **how: str) -> None:
    told = {"caller": "+3725551", "caller_name": "", "queue": "billing", "call_id": "c-17"} | how
    shell.service.invite_agent(leg, "anna", offer=SDP.encode(), **told)


async def arrived(shell: Shell, client: SipClient, **how: object) -> tuple[str, IncomingCall]:
    """Send an INVITE that is let in; the text of the INVITE and the call."""
    invite = client.build("INVITE", NUMBER, body=SDP, **how)  # type: ignore[arg-type]
    client.send(invite)
    assert (await client.next()).status == 100
    return invite, await shell.calls.get()


async def test_call_from_a_trunk_is_told_with_its_numbers(shell: Shell) -> None:
    async with await shell.client(host=CARRIER) as carrier:
        asserted = 'P-Asserted-Identity: "Ministry\x07 of Tea" <sip:+372-555-1234@carrier.test>'
        _, call = await arrived(shell, carrier, headers=(asserted,), call_id="abc")
    assert call.offer == SDP.encode()
    assert (call.identity.called, call.identity.caller.number) == ("+3726000100", "+3725551234")
    assert call.identity.caller.name == "Ministry  of Tea"
    assert (call.trunk, call.agent, call.sip_call_id, call.source) == ("carrier", "", "abc", CARRIER)


async def test_caller_who_wants_privacy_is_anonymous(shell: Shell) -> None:
    async with await shell.client(host=CARRIER) as carrier:
        headers = ("P-Asserted-Identity: <sip:+3725551234@carrier.test>", "Privacy: id")
        _, call = await arrived(shell, carrier, headers=headers)
    assert (call.identity.caller.number, call.identity.caller.name) == ("anonymous", "")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_call_is_answered_confirmed_and_ended_by_the_caller(shell: Shell, transport: str) -> None:
    async with await SipClient.open(shell.address(transport), transport, CARRIER) as carrier:
        invite, call = await arrived(shell, carrier)
        shell.service.ring(call.leg, 180, None)
        assert (await carrier.next()).status == 180
        shell.service.accept(call.leg, SDP.encode())
        ok = await carrier.final()
        assert (ok.status, ok.body) == (200, SDP)
        carrier.acknowledge(invite, ok)
        assert isinstance(await shell.event(), LegConfirmed)
        bye = {"to": ok.get("to"), "from_": ok.get("from"), "call_id": ok.get("call-id")}
        assert (await carrier.request("BYE", uri=NUMBER, **bye)).status == 200
        assert await shell.event() == LegEnded(call.leg, "remote", 0)
        assert shell.service.figures.trunks["carrier"].calls == 0


async def test_what_a_call_sets_off_may_go_no_further_than_the_call_itself(shell: Shell) -> None:
    """Else a number that is sent back here makes calls without end (RFC 3261 section 16.6, RFC 5393)."""
    async with await shell.client(host=CARRIER) as carrier, await shell.client() as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        shell.on_call = lambda call: shell.calls.put_nowait(call) or "c-17"  # type: ignore[func-returns-value]
        _, call = await arrived(shell, carrier, hops=3)
        ring_anna(shell, "leg-1")
        assert (await phone.next()).get("max-forwards") == "2"
        ring_anna(shell, "leg-2", call_id="another")
        assert (await phone.next()).get("max-forwards") == "70"
        assert (await carrier.request("INVITE", uri=NUMBER, body=SDP, hops=0)).status == 483
        shell.service.refuse(call.leg, 486)
        assert (await shell.ended()).leg == call.leg
        ring_anna(shell, "leg-3")
        assert (await phone.next()).get("max-forwards") == "70", "nothing is kept of a call that is over"


async def test_call_refused_by_its_owner_ends_once(shell: Shell) -> None:
    async with await shell.client(host=CARRIER) as carrier:
        invite, call = await arrived(shell, carrier)
        shell.service.refuse(call.leg, 503)
        answer = await carrier.final()
        carrier.acknowledge(invite, answer)
        assert (answer.status, answer.get("retry-after")) == (503, "5")
        ended = await shell.event()
        assert isinstance(ended, LegEnded)
        assert (ended.by, ended.status) == ("local", 503)


async def test_stranger_is_challenged_and_no_call_is_told(shell: Shell) -> None:
    async with await shell.client() as stranger:
        invite = stranger.build("INVITE", NUMBER, body=SDP)
        stranger.send(invite)
        answer = await stranger.final()
        stranger.acknowledge(invite, answer)
        assert answer.status == 401
        assert (await stranger.request("OPTIONS")).status == 200
    assert shell.calls.empty()
    assert shell.events.empty()
    assert shell.service.figures.rejected["challenged"] == 1


async def test_who_calls_with_a_wrong_password_makes_no_call(shell: Shell) -> None:
    async with await shell.client() as stranger:
        how = {"from_": "<sip:1001@acd.test>;tag=x", "call_id": "fixed"}
        challenge = await stranger.request("INVITE", uri=NUMBER, body=SDP, cseq=1, **how)
        line = credentials(challenge, "INVITE", NUMBER, "1001", "guessed", "SHA-256")
        answer = await stranger.request("INVITE", uri=NUMBER, body=SDP, cseq=2, headers=(line,), **how)
    assert answer.status == 401
    assert shell.calls.empty()


async def test_trunk_that_brings_calls_too_fast_is_told_to_come_later(shell: Shell) -> None:
    fast = replace(shell.directory.trunks["carrier"], max_calls=100, calls_per_second_in=2.0)
    other = Trunk("other", (ip_network("127.0.0.3/32"),))
    shell.change(trunks={"carrier": fast, "other": other})
    async with await shell.client(host=CARRIER) as carrier, await shell.client(host="127.0.0.3") as another:
        for _ in range(2):
            await arrived(shell, carrier)
        refused = await carrier.request("INVITE", uri=NUMBER, body=SDP)
        assert (refused.status, refused.get("retry-after")) == (503, "5")
        assert shell.service.figures.rejected["trunk-rate"] == 1
        await arrived(shell, another)
        shell.clock.advance(0.5)  # type: ignore[attr-defined]
        await arrived(shell, carrier)
        assert (await carrier.request("INVITE", uri=NUMBER, body=SDP)).status == 503
        shell.change(trunks={"carrier": replace(fast, calls_per_second_in=0.0), "other": other})
        await arrived(shell, carrier)


async def test_agent_calls_with_the_password_and_is_who_it_proved_to_be(shell: Shell) -> None:
    async with await shell.client() as phone:
        how = {"from_": '"The Boss" <sip:9999@acd.test>;tag=x', "call_id": "fixed"}
        challenge = await phone.request("INVITE", uri=NUMBER, body=SDP, cseq=1, **how)
        line = credentials(challenge, "INVITE", NUMBER, "1001", PASSWORD, "SHA-256")
        _, call = await arrived(shell, phone, headers=(line,), cseq=2, **how)
    assert (call.trunk, call.agent, call.identity.caller) == ("", "anna", Party("1001", "Anna"))


@pytest.mark.parametrize(
    ("from_", "privacy", "withheld"),
    [
        ("<sip:1001@acd.test>;tag=x", (), False),
        ("<sip:1001@acd.test>;tag=x", ("Privacy: none",), False),
        ("<sip:1001@acd.test>;tag=x", ("Privacy: header;id",), True),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=x', (), True),
    ],
)
async def test_agents_phone_that_shows_no_number_wants_none_shown(
    shell: Shell, from_: str, privacy: tuple[str, ...], withheld: bool
) -> None:
    async with await shell.client() as phone:
        how = {"from_": from_, "call_id": "fixed"}
        challenge = await phone.request("INVITE", uri=NUMBER, body=SDP, cseq=1, headers=privacy, **how)
        line = credentials(challenge, "INVITE", NUMBER, "1001", PASSWORD, "SHA-256")
        _, call = await arrived(shell, phone, headers=(line, *privacy), cseq=2, **how)
    assert (call.agent, call.identity.withheld) == ("anna", withheld)


async def test_trunk_that_is_full_is_told_to_come_later_and_is_freed_by_an_end(shell: Shell) -> None:
    async with await shell.client(host=CARRIER) as carrier:
        _, first = await arrived(shell, carrier)
        await arrived(shell, carrier)
        assert shell.service.figures.trunks["carrier"].calls == 2
        third = await carrier.request("INVITE", uri=NUMBER, body=SDP)
        assert (third.status, third.get("retry-after")) == (503, "5")
        assert shell.service.figures.rejected["trunk-full"] == 1
        shell.service.refuse(first.leg, 486)
        await shell.ended()
        assert (await carrier.final()).status == 486
        await arrived(shell, carrier)


async def test_draining_service_takes_no_call_and_says_so(shell: Shell) -> None:
    shell.service.draining = True
    async with await shell.client(host=CARRIER) as carrier:
        for method in ("INVITE", "OPTIONS"):
            answer = await carrier.request(method, uri=NUMBER)
            assert (answer.status, answer.get("retry-after")) == (503, "5")


async def test_call_whose_owner_fails_is_answered_500(shell: Shell) -> None:
    def fail(call: IncomingCall) -> None:
        raise RuntimeError("no session")

    shell.on_call = fail
    async with await shell.client(host=CARRIER) as carrier:
        assert (await carrier.request("INVITE", uri=NUMBER, body=SDP)).status == 500
    assert shell.service.figures.trunks["carrier"].calls == 0
    assert shell.events.empty()


async def test_owner_may_answer_from_within_the_news(shell: Shell) -> None:
    shell.on_call = lambda call: shell.service.accept(call.leg, SDP.encode())
    async with await shell.client(host=CARRIER) as carrier:
        assert (await carrier.request("INVITE", uri=NUMBER, body=SDP)).status == 200


@pytest.mark.parametrize("method", ["MESSAGE", "PUBLISH", "NOTIFY", "INFO"])
async def test_methods_outside_of_calls_are_refused_to_everybody(shell: Shell, method: str) -> None:
    async with await shell.client() as stranger, await shell.client(host=CARRIER) as carrier:
        assert (await stranger.request(method)).status == 401
        answer = await carrier.request(method)
        assert answer.status == 405
        assert "INVITE" in answer.get("allow")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_agent_is_rung_with_caller_and_queue_shown(shell: Shell, transport: str) -> None:
    async with await shell.client(transport) as phone:
        await phone.register("1001", PASSWORD)
        ring_anna(shell, caller_name='Bob "B"\r\nX: y')
        invite = await phone.next()
        assert invite.method == "INVITE"
        assert invite.body == SDP
        assert invite.get("from").startswith(r'"Bob \"B\" X: y (billing)" <sip:+3725551@127.0.0.1>')
        assert invite.get("to") == '"Anna" <sip:1001@127.0.0.1>'
        assert (invite.get("x-acd-call-id"), invite.get("x-acd-queue")) == ("c-17", "billing")
        assert f":{shell.address(transport)[1]}" in invite.get("contact")
        phone.answer(invite, 180, "Ringing")
        assert await shell.event() == LegProgressed("leg-1", 180, None)
        phone.answer(invite, 200, sdp=SDP)
        assert await shell.event() == LegAnswered("leg-1", SDP.encode())
        assert (await phone.next()).method == "ACK"
        shell.service.hangup("leg-1", "enough")
        bye = await phone.next()
        assert bye.method == "BYE"
        phone.answer(bye, 200)
        assert (await shell.ended()).by == "local"


_REFER_TO = "Refer-To: <sip:+99900123456@acd.test>"


async def test_carrier_within_its_own_call_transfers_nobody(shell: Shell) -> None:
    async with await shell.client(host=CARRIER) as carrier:
        invite, call = await arrived(shell, carrier)
        shell.service.accept(call.leg, SDP.encode())
        ok = await carrier.final()
        carrier.acknowledge(invite, ok)
        assert isinstance(await shell.event(), LegConfirmed)
        told = {"to": ok.get("to"), "from_": ok.get("from"), "call_id": ok.get("call-id")}
        assert (await carrier.request("REFER", uri=NUMBER, headers=(_REFER_TO,), **told)).status == 403
    assert shell.events.empty()
    assert shell.service.figures.rejected["refer-not-allowed"] == 1


async def test_transfer_from_elsewhere_than_the_agents_phone_needs_the_password(shell: Shell) -> None:
    async with await shell.client() as phone, await shell.client(host="127.0.0.9") as thief:
        await phone.register("1001", PASSWORD)
        ring_anna(shell)
        invite = await phone.next()
        phone.answer(invite, 200, sdp=SDP)
        assert isinstance(await shell.event(), LegAnswered)
        assert (await phone.next()).method == "ACK"
        told = {
            "from_": f"{invite.get('to')};tag=far",
            "to": invite.get("from"),
            "call_id": invite.get("call-id"),
        }
        refused = await thief.request("REFER", uri=NUMBER, headers=(_REFER_TO,), cseq=7, **told)
        assert refused.status == 401
        assert shell.events.empty()
        refer = phone.build("REFER", NUMBER, headers=(_REFER_TO,), cseq=8, **told)
        phone.send(refer)
        asked = await shell.event()
        assert isinstance(asked, LegReferred)
        assert asked.wanted.user == "+99900123456"


async def test_agent_without_a_phone_is_unreachable(shell: Shell) -> None:
    with pytest.raises(AgentUnreachable) as caught:
        ring_anna(shell)
    assert (caught.value.sip_status, caught.value.cause) == (480, "unreachable")


async def two_phones(shell: Shell) -> tuple[SipClient, SipClient]:
    """The old phone of Anna and the new one."""
    old, new = await shell.client(), await shell.client("tcp")
    await old.register("1001", PASSWORD)
    shell.clock.advance(1)  # type: ignore[attr-defined]
    await new.register("1001", PASSWORD)
    return old, new


async def test_all_phones_ring_and_the_first_that_answers_has_the_call(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        on_old, on_new = await old.next(), await new.next()
        assert on_old.method == on_new.method == "INVITE"
        old.answer(on_old, 180, "Ringing")
        new.answer(on_new, 180, "Ringing")
        assert {await shell.event(), await shell.event()} == {LegProgressed("leg-1", 180, None)}
        old.answer(on_old, 200, sdp=SDP)
        assert await shell.event() == LegAnswered("leg-1", SDP.encode())
        cancel = await new.next()
        assert cancel.method == "CANCEL"
        assert cancel.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        new.answer(cancel, 200)
        new.answer(on_new, 487, "Request Terminated")
        assert (await old.next()).method == "ACK"
        shell.service.hangup("leg-1")
        old.answer(await old.next(), 200)
        assert (await shell.ended()).leg == "leg-1"
    assert shell.events.empty()


async def test_phone_that_answers_a_moment_too_late_is_hung_up(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        on_old, on_new = await old.next(), await new.next()
        old.answer(on_old, 200, sdp=SDP)
        new.answer(on_new, 200, sdp=SDP)
        assert isinstance(await shell.event(), LegAnswered)
        loser = [phone for phone in (old, new) if "BYE" in [await method_of(phone), await method_of(phone)]]
        assert len(loser) == 1
    assert shell.events.empty()


async def method_of(phone: SipClient) -> str:
    """The next request that the phone gets, "" where none comes."""
    try:
        return (await phone.next(0.3)).method
    except TimeoutError:
        return ""


@pytest.mark.parametrize("status", [408, 430, 486])
async def test_phone_that_cannot_take_it_leaves_the_others_ringing(shell: Shell, status: int) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        invite = await old.next()
        new.answer(await new.next(), status, "Absent")
        assert (await new.next()).method == "ACK"
        old.answer(invite, 200, sdp=SDP)
        assert await shell.event() == LegAnswered("leg-1", SDP.encode())


async def test_connection_that_breaks_while_ringing_leaves_the_other_phone_ringing(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old:
        ring_anna(shell)
        await new.next()
        await new.close()
        assert (await old.next()).method == "INVITE"
        assert shell.service.phones.registered("anna")


async def test_agent_who_declines_on_one_phone_declines_on_all(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        on_old = await old.next()
        old.answer(on_old, 180, "Ringing")
        assert isinstance(await shell.event(), LegProgressed)
        new.answer(await new.next(), 603, "Decline")
        assert (await old.next()).method == "CANCEL"
        old.answer(on_old, 487, "Request Terminated")
        ended = await shell.ended()
        assert (ended.leg, ended.by, ended.status) == ("leg-1", "remote", 603)
    assert shell.events.empty()


async def test_leg_given_up_stops_all_phones(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        invites = [await old.next(), await new.next()]
        for phone, invite in zip((old, new), invites, strict=True):
            phone.answer(invite, 180, "Ringing")
            await shell.event()
        shell.service.hangup("leg-1")
        for phone, invite in zip((old, new), invites, strict=True):
            assert (await phone.next()).method == "CANCEL"
            phone.answer(invite, 487, "Request Terminated")
        assert (await shell.ended()).leg == "leg-1"
    assert shell.events.empty()


async def test_when_no_phone_can_be_reached_the_leg_ends_once_with_the_best_reason(shell: Shell) -> None:
    old, new = await two_phones(shell)
    async with old, new:
        ring_anna(shell)
        new.answer(await new.next(), 486, "Busy Here")
        old.answer(await old.next(), 408, "Request Timeout")
        ended = await shell.ended()
        assert (ended.leg, ended.status) == ("leg-1", 486)
    assert shell.events.empty()


async def test_phone_that_listens_on_tcp_is_called_back_after_a_restart(shell: Shell) -> None:
    got: asyncio.Queue[Message] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(Message.parse(await reader.readuntil(b"m=audio")))
        writer.close()

    listener = await asyncio.start_server(accepted, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with await shell.client("tcp") as phone:
        await phone.register("1001", PASSWORD, contact=f"<sip:anna@127.0.0.1:{port};transport=tcp>")
        again = await shell.restarted()
        ring_anna(again)
        assert (await got.get()).method == "INVITE"
        await again.ended()  # the phone closed at once
        assert not again.service.phones.registered("anna")
        await again.stop()
    listener.close()


async def test_phone_that_cannot_be_connected_to_is_unreachable_from_then_on(shell: Shell) -> None:
    async with await shell.client("tcp") as phone:
        await phone.register("1001", PASSWORD)
        again = await shell.restarted()
        assert again.service.phones.registered("anna")
        ring_anna(again)
        ended = await again.ended()
        assert (ended.by, ended.status) == ("transport", 503)
        assert again.registrations == [("anna", True), ("anna", False)]
        await again.stop()


async def test_trunk_that_must_be_encrypted_is_refused_where_its_keys_would_be_read(shell: Shell) -> None:
    trunk = replace(shell.directory.trunks["carrier"], srtp="require")
    shell.change(trunks={"carrier": trunk})
    async with await shell.client(host=CARRIER) as carrier:
        assert (await carrier.request("INVITE", uri=NUMBER, body=SDP)).status == 488
    assert shell.service.figures.rejected["srtp-needs-tls"] == 1
    assert shell.calls.empty()


async def test_phone_on_plain_sip_is_not_rung_where_encryption_is_required(shell: Shell) -> None:
    async with await shell.client() as phone:
        assert (await phone.register("1001", PASSWORD)).status == 200
        assert shell.service.srtp_toward("anna") == "off"
        shell.change(devices={"desk": Device("desk", user_agent="*", srtp="require")})
        with pytest.raises(AgentUnreachable):
            ring_anna(shell)


async def test_each_phone_is_rung_as_its_profile_says(shell: Shell) -> None:
    shell.change(
        devices={
            "snom": Device(
                "snom",
                user_agent="snom*",
                auto_answer="answer-after",
                display="queue-caller",
                call_info="https://crm.test/?n={number}&c={call}",
            )
        }
    )
    async with await shell.client() as snom, await shell.client() as other:
        await snom.register("1001", PASSWORD, headers=("User-Agent: Snom D785/10.1",))
        await other.register("1001", PASSWORD)
        ring_anna(shell, caller_name="Bob")
        shown, plain = await snom.next(), await other.next()
        assert shown.get("from").startswith('"billing: Bob" <')
        assert shown.headers["call-info"] == [
            "<sip:acd@invalid>;answer-after=0",
            "<https://crm.test/?n=%2B3725551&c=c-17>;purpose=info",
        ]
        assert plain.get("from").startswith('"Bob (billing)" <')
        assert "call-info" not in plain.headers
        shell.service.hangup("leg-1", "enough")


@pytest.mark.parametrize(
    ("asked", "header", "value"),
    [
        ("alert-info", "alert-info", "<http://acd.invalid>;info=alert-autoanswer;delay=0"),
        ("answer-mode", "answer-mode", "Auto"),
    ],
)
async def test_each_kind_of_phone_is_asked_in_its_words_to_answer_by_itself(
    shell: Shell, asked: AutoAnswer, header: str, value: str
) -> None:
    """Polycom and Yealink; RFC 5373."""
    shell.change(devices={"desk": Device("desk", user_agent="desk*", auto_answer=asked)})
    async with await shell.client() as desk, await shell.client() as other:
        await desk.register("1001", PASSWORD, headers=("User-Agent: Desk/1",))
        await other.register("1001", PASSWORD)
        ring_anna(shell)
        asked_to, plain = await desk.next(), await other.next()
        assert asked_to.headers[header] == [value]
        assert {"alert-info", "answer-mode", "call-info"} & asked_to.headers.keys() == {header}
        assert not {"alert-info", "answer-mode", "call-info"} & plain.headers.keys()
        shell.service.hangup("leg-1", "enough")


async def test_phone_that_must_be_encrypted_and_is_not_leaves_the_call_to_the_others(shell: Shell) -> None:
    shell.change(devices={"locked": Device("locked", user_agent="locked*", srtp="require")})
    async with await shell.client() as plain, await shell.client() as locked:
        await plain.register("1001", PASSWORD)
        await locked.register("1001", PASSWORD, headers=("User-Agent: locked/1",))
        ring_anna(shell)
        assert (await plain.next()).method == "INVITE"
        assert locked.received.empty()
        shell.service.hangup("leg-1", "enough")
