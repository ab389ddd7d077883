"""Live calls that are sent on: legs that join, hand-overs, phones that take a call over."""

from __future__ import annotations

import pytest

from acd.calls.targets import TransferImpossible, UnknownTarget
from acd.media.engine import PlaybackEnded
from acd.sip.core import events as sip
from acd.sip.core.message import Request, parse
from acd.sip.core.refer import ReferTo, Replaces
from routing.model import AgentState, Offer
from tests.support.call_bench import Arrival, Bench, bench
from tests.support.stack_peer import StackPeer

__all__ = ["bench"]


async def refer(bench: Bench, leg: str, wanted: ReferTo) -> None:
    flow = sip.Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5070))
    request = parse(StackPeer().request("REFER"))
    assert isinstance(request, Request)
    bench.calls.on_leg(sip.LegReferred(leg, wanted, request, flow))


async def to_consult(bench: Bench) -> tuple[str, str, str]:
    """Anna talks to a caller and, in a second call, to Bert: her leg, Bert's leg, the caller's call."""
    annas = await bench.to_talking()
    caller = bench.calls.live()[0].id
    bench.calls.on_call(Arrival(leg="consult-leg", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "consult-leg", b"sdp of consult-leg") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("consult-leg", None))
    consult = next(call.id for call in bench.calls.live() if call.id != caller)
    await bench.settle(lambda: bench.calls.find(consult).state == "queued")  # type: ignore[union-attr]
    bench.calls.on_routing(Offer(consult, "bert", "extension", 2, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.settle(lambda: bench.calls.find(consult).state == "talking")  # type: ignore[union-attr]
    bench.sip.dialogs[CONSULT] = "consult-leg"
    return annas, berts, caller


CONSULT = ("call", "ours", "theirs")


async def test_an_agents_two_calls_are_joined_and_what_she_leaves_is_closed(bench: Bench) -> None:
    annas, berts, caller = await to_consult(bench)
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    # She hangs up both phones' legs at once, as some phones do.
    await bench.settle(lambda: bench.media.hears.get(berts) == "caller-leg")
    bench.calls.on_leg(sip.LegEnded(annas, "remote", 0))
    bench.calls.on_leg(sip.LegEnded("consult-leg", "remote", 0))
    await bench.settle(lambda: bench.media.open == {"caller-leg", berts})
    assert ("answer-refer", annas, 202) in bench.sip.said
    assert ("report-refer", annas, 200) in bench.sip.said
    (call,) = bench.calls.live()
    assert (call.id, call.agent, call.state) == (caller, "bert", "talking")
    assert [(record.caller, record.cause) for record in bench.journal.records] == [("1001", "transferred")]
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)
    ended = [(said[1], said[2]) for said in bench.store.said if said[0] == "done"]
    assert ended == [(caller, "anna"), (call_of(bench, "1001"), "bert")]


def call_of(bench: Bench, caller: str) -> str:
    return next(record.id for record in bench.journal.records if record.caller == caller)


async def test_joining_from_the_second_calls_leg_does_the_same(bench: Bench) -> None:
    annas, berts, _ = await to_consult(bench)
    bench.sip.dialogs[CONSULT] = annas
    await refer(bench, "consult-leg", ReferTo("1002", Replaces(CONSULT)))
    await bench.settle(lambda: bench.media.open == {"caller-leg", berts})
    assert ("answer-refer", "consult-leg", 202) in bench.sip.said


async def test_a_caller_who_hangs_up_while_calls_are_joined_leaves_nobody_behind(bench: Bench) -> None:
    annas, berts, _ = await to_consult(bench)
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.settle(lambda: bench.calls.live_calls == 0 or bench.media.open <= {"consult-leg", berts})
    await bench.calls.drain(0)
    assert bench.media.open == set()
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)


@pytest.mark.parametrize("agent", ["", "bert"])
async def test_only_the_agents_own_calls_are_joined(bench: Bench, agent: str) -> None:
    annas = await bench.to_talking()
    bench.calls.on_call(Arrival(leg="other-leg", caller="x", called="+2", trunk="", agent=agent))
    bench.sip.dialogs[CONSULT] = "other-leg"
    await refer(bench, annas, ReferTo("1002", Replaces(CONSULT)))
    await refer(bench, annas, ReferTo("1002", Replaces(("no", "such", "dialog"))))
    assert bench.sip.said[-2:] == [("answer-refer", annas, 403), ("answer-refer", annas, 404)]


async def test_a_blind_transfer_that_fails_gives_the_agent_the_caller_back(bench: Bench) -> None:
    annas = await bench.to_talking()
    call_id = bench.calls.live()[0].id
    await refer(bench, annas, ReferTo("1002"))
    await bench.until("queued")
    assert bench.media.hears == {"caller-leg": "hold-music", annas: "silence"}
    bench.calls.on_routing(Offer(f"{call_id}~1", "bert", "extension", 2, 0))
    await bench.until("offered")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 486))
    await bench.until("talking")
    await bench.told_store("cancel")
    assert bench.store.said[-1][1] == f"{call_id}~1"
    assert bench.media.hears["caller-leg"] == annas
    assert ("report-refer", annas, 486) in bench.sip.said
    assert not [said for said in bench.store.said if said[0] == "done"]


async def test_a_caller_cannot_transfer_themselves(bench: Bench) -> None:
    await bench.to_talking()
    await refer(bench, "caller-leg", ReferTo("1001"))
    assert bench.sip.said[-1] == ("answer-refer", "caller-leg", 403)


async def test_an_agent_who_dialled_a_colleague_sends_them_on_or_has_them_back(bench: Bench) -> None:
    bench.calls.on_call(Arrival(leg="annas", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "annas", b"sdp of annas") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("annas", None))
    await bench.until("queued")
    call_id = bench.calls.live()[0].id
    bench.calls.on_routing(Offer(call_id, "bert", "extension", 1, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    assert bench.sip.shown == ("1001", "")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.until("talking")

    async def rings(attempt: int) -> str:
        await refer(bench, "annas", ReferTo("1003"))
        await bench.until("queued")
        assert (bench.media.hears[berts], bench.media.hears["annas"]) == ("hold-music", "silence")
        bench.calls.on_routing(Offer(f"{call_id}~{attempt}", "cora", "extension", 1 + attempt, 0))
        await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
        return str(bench.sip.said[-1][1])

    refused = await rings(1)
    assert bench.sip.shown == ("1002", "Bert")
    bench.calls.on_leg(sip.LegEnded(refused, "remote", 486))
    await bench.until("talking")
    assert bench.media.hears == {"annas": berts, berts: "annas"}
    assert ("report-refer", "annas", 486) in bench.sip.said

    coras = await rings(2)
    bench.calls.on_leg(sip.LegAnswered(coras, b"answer"))
    await bench.settle(lambda: bench.media.open == {berts, coras})
    assert (bench.media.hears[berts], bench.media.hears[coras]) == (coras, berts)
    assert ("hangup", "annas") in bench.sip.said
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))
    await bench.until("gone")
    await bench.settle(lambda: len([said for said in bench.store.said if said[0] == "done"]) == 2)
    assert bench.media.open == set()
    (record,) = bench.journal.records
    assert (record.caller, record.agent) == ("1001", "cora")


async def test_whom_an_agent_reached_and_who_hangs_up_as_they_are_sent_on_is_no_ghost(bench: Bench) -> None:
    bench.calls.on_call(Arrival(leg="annas", caller="1001", called="1002", trunk="", agent="anna"))
    await bench.settle(lambda: ("accept", "annas", b"sdp of annas") in bench.sip.said)
    bench.calls.on_leg(sip.LegConfirmed("annas", None))
    await bench.until("queued")
    bench.calls.on_routing(Offer(bench.calls.live()[0].id, "bert", "extension", 1, 0))
    await bench.settle(lambda: bench.sip.said[-1][0] == "invite")
    berts = bench.sip.said[-1][1]
    bench.calls.on_leg(sip.LegAnswered(berts, b"answer"))
    await bench.until("talking")
    await refer(bench, "annas", ReferTo("1003"))
    bench.calls.on_leg(sip.LegEnded(berts, "remote", 0))  # before the transfer is taken up
    await bench.until("gone")
    assert bench.media.open == set()


async def test_another_phone_of_the_agent_takes_the_call_over(bench: Bench) -> None:
    annas = await bench.to_talking()
    bench.sip.dialogs[CONSULT] = annas
    replaces = Replaces(CONSULT)
    bench.calls.on_call(Arrival(leg="bert-leg", agent="bert", replaces=replaces))
    bench.calls.on_call(Arrival(leg="lost-leg", agent="anna", replaces=Replaces(("a", "b", "c"))))
    bench.calls.on_call(Arrival(leg="early-leg", agent="anna", replaces=Replaces(CONSULT, early_only=True)))
    refusals = [("refuse", "bert-leg", 403), ("refuse", "lost-leg", 481), ("refuse", "early-leg", 486)]
    assert bench.sip.said[-3:] == refusals
    bench.calls.on_call(Arrival(leg="desk-leg", agent="anna", replaces=replaces))
    await bench.settle(lambda: bench.media.open == {"caller-leg", "desk-leg"})
    assert bench.media.hears["caller-leg"] == "desk-leg"
    assert ("hangup", annas) in bench.sip.said
    assert bench.state() == "talking"


async def test_a_supervisor_is_told_what_cannot_be_transferred(bench: Bench) -> None:
    assert not bench.calls.transfer("gone", "1002")
    await bench.to_offered()
    call_id = bench.calls.live()[0].id
    with pytest.raises(UnknownTarget):
        bench.calls.transfer(call_id, "4711")
    with pytest.raises(TransferImpossible):
        bench.calls.transfer(call_id, "1002")


async def test_a_feature_code_reaches_the_desk_and_is_confirmed(bench: Bench) -> None:
    bench.calls.on_call(Arrival(called="*12", trunk="", agent="anna"))
    await bench.until("answering")
    bench.calls.on_leg(sip.LegConfirmed("caller-leg", None))
    await bench.settle(lambda: bench.media.hears.get("caller-leg") == ["signed-out"])
    assert bench.desk.asked == [("anna", AgentState.OFFLINE, "signed-out")]
    bench.calls.on_media(PlaybackEnded("caller-leg", "0"))
    await bench.until("gone")
    assert ("hangup", "caller-leg") in bench.sip.said
    assert [phones[0].state if phones else "" for phones in bench.lamps] == ["trying", "confirmed", ""]


async def test_lamps_follow_an_agent_through_a_call(bench: Bench) -> None:
    await bench.to_talking()
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert [[(phone.agent, phone.state) for phone in phones] for phones in bench.lamps] == [
        [("anna", "early")],
        [("anna", "confirmed")],
        [],
    ]


async def test_a_transfer_under_way_is_said_again_with_the_conversation_it_left(bench: Bench) -> None:
    annas = await bench.to_talking()
    call_id = bench.calls.live()[0].id
    await refer(bench, annas, ReferTo("1002"))
    await bench.until("queued")
    await bench.told_store("enqueue")
    bench.store.said.clear()
    bench.calls.reassert()
    await bench.told_store("enqueue")
    restored, entered = bench.store.said
    assert (restored[0], restored[1].call_id, restored[2]) == ("restore_talk", call_id, "anna")
    assert entered[1].call_id == f"{call_id}~1"
