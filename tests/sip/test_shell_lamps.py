"""Phones watch agents over real sockets: challenged, told of calls, renewed, ended."""

from __future__ import annotations

from acd.sip.watching import PhoneState
from tests.support.caller import Message
from tests.support.sip_client import SipClient, credentials
from tests.support.sip_shell import PASSWORD, Shell

BELA = "sip:1002@acd.test"


async def asked(phone: SipClient, *, password: str = PASSWORD, cseq: int = 1, **how: str) -> Message:
    """SUBSCRIBE with the password of 1001; the final answer."""
    headers = ("Event: dialog", f"Expires: {how.pop('expires', '60')}")
    told = {"call_id": "lamp", "uri": BELA, **how}
    challenge = await phone.request("SUBSCRIBE", headers=headers, cseq=cseq, **told)
    if challenge.status != 401:
        return challenge
    line = credentials(challenge, "SUBSCRIBE", BELA, "1001", password, "SHA-256")
    return await phone.request("SUBSCRIBE", headers=(*headers, line), cseq=cseq + 1, **told)


async def told(phone: SipClient) -> Message:
    """The next NOTIFY, which is taken."""
    notify = await phone.next()
    assert notify.first.startswith("NOTIFY sip:phone@")
    phone.answer(notify, 200)
    return notify


async def test_a_phone_sees_the_lamp_of_an_agent_until_it_has_seen_enough(shell: Shell) -> None:
    async with await shell.client() as phone:
        ok = await asked(phone)
        assert (ok.status, ok.get("expires")) == (200, "60")
        first = await told(phone)
        assert first.get("subscription-state") == "active;expires=60"
        assert "<dialog " not in first.body
        shell.service.lamps.phones_changed("c1", (PhoneState("bela", "early", is_caller=False),))
        assert "<state>early</state>" in (await told(phone)).body
        shell.service.lamps.phones_changed("c1", ())
        assert "<state>terminated</state>" in (await told(phone)).body
        dialog = {"to": ok.get("to"), "from_": ok.get("from"), "expires": "0", "cseq": 9}
        ended = await asked(phone, **dialog)  # type: ignore[arg-type]
        assert (ended.status, ended.get("expires")) == (200, "0")
        assert (await told(phone)).get("subscription-state") == "terminated;reason=timeout"
    assert len(shell.service.lamps) == 0


async def test_a_stranger_and_a_carrier_see_nothing(shell: Shell) -> None:
    async with await shell.client() as phone:
        assert (await asked(phone, password="wrong")).status == 401
    async with await shell.client(host="127.0.0.2") as carrier:
        assert (await asked(carrier)).status == 403
        assert (await carrier.request("REFER", headers=("Refer-To: <sip:1002@acd.test>",))).status == 403
    assert len(shell.service.lamps) == 0


async def test_a_renewal_from_elsewhere_needs_the_password(shell: Shell) -> None:
    async with await shell.client() as phone, await shell.client() as other:
        ok = await asked(phone)
        await told(phone)
        dialog = {"to": ok.get("to"), "from_": ok.get("from"), "call_id": "lamp", "uri": BELA}
        answer = await other.request("SUBSCRIBE", headers=("Event: dialog",), cseq=9, **dialog)
        assert answer.status == 401
        line = credentials(answer, "SUBSCRIBE", BELA, "1002", PASSWORD, "SHA-256")
        answer = await other.request("SUBSCRIBE", headers=("Event: dialog", line), cseq=10, **dialog)
        assert answer.status == 403
