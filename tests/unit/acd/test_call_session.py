"""A live call: effects reach SIP, media and the store, and nothing is left behind whatever goes wrong."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from acd.calls import facts
from acd.calls import model as m
from acd.errors import AcdError, NoCommonCodec
from acd.media.engine import DigitReceived, MediaFailed, PlaybackEnded
from acd.sip.core import events as sip
from routing.model import AgentState, Offer, OfferWithdrawn, RejectReason, WrapupTaken
from routing.ports import StaleToken
from tests.support.call_bench import Arrival, Bench, bench

__all__ = ["bench"]


async def test_a_call_is_connected_and_ends_with_one_record(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    assert bench.media.hears == {"caller-leg": agent_leg, agent_leg: "caller-leg"}
    bench.clock.advance(12)
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    await bench.told_store("done")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == set()
    (record,) = bench.journal.records
    assert (record.outcome, record.agent, record.talk_seconds, record.packets_lost) == (
        *("answered", "anna", 12.0),
        3,
    )
    assert bench.journal.live == {}
    assert [type(fact) for fact in bench.told] == [
        *(facts.CallStarted, facts.CallQueued, facts.AgentRung, facts.CallAnswered),
        *(facts.ConversationOver, facts.LegClosed, facts.LegClosed, facts.CallEnded),
    ]


async def test_a_caller_who_hangs_up_while_the_store_is_away_is_released_at_once(bench: Bench) -> None:
    await bench.to_queue()
    await bench.settle(lambda: bool(bench.store.said))
    bench.store.away = True
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    assert len(bench.journal.records) == 1
    bench.store.away = False
    await bench.told_store("cancel")


async def test_caller_hangs_up_while_agent_rings_cancels_agent(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegEnded("caller-leg", "remote", 0))
    await bench.until("gone")
    await bench.told_store("cancel")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == set()
    assert bench.journal.records[0].outcome == "abandoned"


async def test_an_offer_that_was_withdrawn_lets_the_phone_go_and_the_caller_wait(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    call_id = bench.calls.live()[0].id
    bench.calls.on_routing(OfferWithdrawn(call_id, "anna", 1))
    await bench.until("queued")
    assert ("hangup", agent_leg) in bench.sip.said
    assert bench.media.open == {"caller-leg"}


async def test_a_late_word_of_a_released_phone_changes_nothing(bench: Bench) -> None:
    agent_leg = await bench.to_offered()
    bench.calls.on_routing(OfferWithdrawn(bench.calls.live()[0].id, "anna", 1))
    await bench.until("queued")
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    bench.calls.on_leg(sip.LegEnded(agent_leg, "local", 487))
    bench.calls.on_routing(bench.offer(token=2))
    await bench.until("offered")


@pytest.mark.parametrize(("unanswered", "then"), [(0, AgentState.AVAILABLE), (1, AgentState.NOT_ANSWERING)])
async def test_the_nth_unanswered_offer_sets_the_agent_to_not_answering(
    bench: Bench, unanswered: int, then: AgentState
) -> None:
    agent_leg = await bench.to_offered(unanswered=unanswered)
    bench.calls.on_leg(sip.LegEnded(agent_leg, "timeout", 408))
    await bench.until("queued")
    await bench.told_store("reject")
    refusal = bench.store.said[-1][4]
    assert (refusal.reason, refusal.then) == (RejectReason.NO_ANSWER, then)


async def test_a_busy_agent_is_not_taken_for_absent(bench: Bench) -> None:
    agent_leg = await bench.to_offered(unanswered=5)
    bench.calls.on_leg(sip.LegEnded(agent_leg, "remote", 486))
    await bench.told_store("reject")
    refusal = bench.store.said[-1][4]
    assert (refusal.reason, refusal.then) == (RejectReason.BUSY, AgentState.AVAILABLE)


async def test_a_phone_that_cannot_be_rung_is_given_back_as_unreachable(bench: Bench) -> None:
    bench.sip.unreachable = AcdError("no phone")
    await bench.to_queue()
    bench.calls.on_routing(bench.offer())
    await bench.told_store("reject")
    assert bench.store.said[-1][4].reason is RejectReason.UNREACHABLE
    assert bench.media.open == {"caller-leg"}


async def test_an_answer_without_a_common_codec_is_hung_up_and_the_caller_waits(bench: Bench) -> None:
    bench.media.bad_answer = NoCommonCodec("only G.729")
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    await bench.until("queued")
    assert ("hangup", agent_leg) in bench.sip.said


async def test_a_stale_accept_puts_the_caller_back(bench: Bench) -> None:
    bench.store.raises["accept"] = StaleToken()
    agent_leg = await bench.to_offered()
    bench.calls.on_leg(sip.LegAnswered(agent_leg, b"answer"))
    await bench.until("queued")
    await bench.told_store("enqueue")
    assert ("hangup", agent_leg) in bench.sip.said


async def test_a_refusal_that_comes_too_late_says_the_callers_place_again(bench: Bench) -> None:
    """The node's lease may have run out while the phone rang: then the store has given up the call."""
    bench.store.raises["reject"] = StaleToken()
    agent_leg = await bench.to_offered()
    bench.store.said.clear()
    bench.calls.on_leg(sip.LegEnded(agent_leg, "remote", 486))
    await bench.told_store("enqueue")
    assert [word[0] for word in bench.store.said] == ["reject", "enqueue"]


async def ring_three(bench: Bench) -> dict[str, str]:
    """Three agents are rung together; the leg of each."""
    await bench.to_queue()
    call = bench.calls.live()[0].id
    for token, agent in enumerate(("anna", "bert", "carl"), 1):
        bench.calls.on_routing(Offer(call, agent, "billing", token, 0, together=1))
    await bench.settle(lambda: [said[0] for said in bench.sip.said].count("invite") == 3)
    return {said[2]: said[1] for said in bench.sip.said if said[0] == "invite"}


async def test_of_three_who_are_rung_the_first_who_answers_talks_and_the_others_stop(bench: Bench) -> None:
    legs = await ring_three(bench)
    bench.calls.on_leg(sip.LegAnswered(legs["carl"], b"answer"))
    bench.calls.on_leg(sip.LegAnswered(legs["anna"], b"too late"))
    await bench.until("talking")
    assert bench.media.hears["caller-leg"] == legs["carl"]
    assert [said for said in bench.sip.said if said[0] == "hangup"] == [
        ("hangup", legs["anna"]),
        ("hangup", legs["bert"]),
    ]
    assert bench.media.open == {"caller-leg", legs["carl"]}
    assert not any(said[0] == "reject" for said in bench.store.said)
    bench.calls.on_leg(sip.LegEnded(legs["bert"], "local", 487))
    bench.calls.on_leg(sip.LegEnded(legs["carl"], "remote", 0))
    await bench.until("gone")
    assert bench.media.open == set()
    assert bench.journal.records[0].agent == "carl"


async def test_phones_that_refuse_or_cannot_be_used_leave_the_others_ringing(bench: Bench) -> None:
    legs = await ring_three(bench)
    bench.calls.on_leg(sip.LegEnded(legs["anna"], "remote", 486))
    bench.media.bad_answer = NoCommonCodec("none")
    bench.calls.on_leg(sip.LegAnswered(legs["bert"], b"answer"))
    await bench.settle(lambda: [said[0] for said in bench.store.said].count("reject") == 2)
    bench.media.bad_answer = None
    assert bench.state() == "offered"
    assert bench.media.open == {"caller-leg", legs["carl"]}
    bench.calls.on_leg(sip.LegAnswered(legs["carl"], b"answer"))
    await bench.until("talking")


async def test_an_offer_for_a_call_that_is_gone_frees_its_agent(bench: Bench) -> None:
    bench.calls.on_routing(Offer("gone", "anna", "billing", 9, 0))
    await bench.settle(lambda: bool(bench.store.said))
    assert bench.store.said[0][:2] == ("cancel", "gone")


async def test_the_end_of_a_wrap_up_is_told_though_its_call_is_over(bench: Bench) -> None:
    bench.calls.on_routing(WrapupTaken("anna", "billing", 3_500, 1))
    assert bench.told == [facts.WrapupEnded("billing", "anna", 3.5)]


async def test_digits_from_rtp_and_from_info_choose_in_the_menu(bench: Bench) -> None:
    await bench.to_queue("+1")
    bench.calls.on_leg(sip.LegInfoReceived("caller-leg", "application/dtmf-relay", b"Signal=9\r\nDuration=1"))
    await bench.settle(lambda: bench.media.hears.get("caller-leg") == ["invalid-choice", "choose"])
    bench.calls.on_media(DigitReceived("caller-leg", "1"))
    await bench.until("queued")


async def test_a_playback_that_ends_after_its_menu_is_ignored(bench: Bench) -> None:
    await bench.to_queue("+1")
    bench.calls.on_media(DigitReceived("caller-leg", "1"))
    await bench.until("queued")
    bench.calls.on_media(PlaybackEnded("caller-leg", "0"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")


async def test_hold_by_the_agent_gives_the_caller_music(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.media.direction = "sendonly"
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"hold"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")
    assert ("accept-reoffer", agent_leg, b"again") in bench.sip.said
    bench.media.direction = "sendrecv"
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"resume"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == agent_leg)


async def test_the_answer_in_an_ack_reaches_the_audio_and_may_hold_or_resume(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.calls.on_leg(sip.LegReoffered(agent_leg, None))
    await bench.settle(lambda: ("accept-reoffer", agent_leg, b"again") in bench.sip.said)
    bench.media.direction = "sendonly"
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, b"answer in the ACK"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == "hold-music")
    assert bench.media.answers[agent_leg] == b"answer in the ACK"
    bench.media.direction = "sendrecv"
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, b"and back"))
    await bench.settle(lambda: bench.media.hears["caller-leg"] == agent_leg)


@pytest.mark.parametrize("sdp", [None, b"nonsense"])
async def test_an_answer_in_an_ack_that_cannot_be_used_leaves_the_call_as_it_was(
    bench: Bench, sdp: bytes | None
) -> None:
    agent_leg = await bench.to_talking()
    bench.media.bad_answer = NoCommonCodec("none")
    bench.calls.on_leg(sip.LegReofferAnswered(agent_leg, sdp))
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.state() == "talking"
    assert bench.media.hears["caller-leg"] == agent_leg


async def test_an_unusable_re_invite_leaves_the_call_as_it_was(bench: Bench) -> None:
    agent_leg = await bench.to_talking()
    bench.media.refusal = NoCommonCodec("no")
    bench.calls.on_leg(sip.LegReoffered(agent_leg, b"bad"))
    await bench.settle(lambda: ("refuse-reoffer", agent_leg, 488) in bench.sip.said)
    assert bench.state() == "talking"


async def test_an_offer_that_media_cannot_take_is_refused_with_its_status(bench: Bench) -> None:
    bench.media.refusal = NoCommonCodec("only G.729")
    bench.calls.on_call(Arrival())
    await bench.settle(lambda: bool(bench.journal.records))
    assert ("refuse", "caller-leg", 488) in bench.sip.said
    assert (bench.journal.records[0].outcome, bench.journal.records[0].cause) == (
        "rejected",
        "no-common-codec",
    )


async def test_a_mistake_of_ours_ends_the_call_through_the_one_door(bench: Bench) -> None:
    await bench.to_queue()
    bench.calls.on_media(MediaFailed("caller-leg"))
    await bench.until("gone")
    assert (bench.journal.records[0].outcome, bench.journal.records[0].cause) == ("failed", "media-failed")
    await bench.to_queue()
    bench.sip.invite_agent = None  # type: ignore[assignment,method-assign]
    bench.calls.on_routing(bench.offer())
    await bench.until("gone")
    assert bench.journal.records[1].cause == "internal"
    assert bench.media.open == set()


async def test_a_supervisor_ends_a_call(bench: Bench) -> None:
    await bench.to_queue()
    call_id = bench.calls.live()[0].id
    assert bench.calls.hang_up(call_id)
    await bench.until("gone")
    assert bench.journal.records[0].outcome == "cleared"
    assert not bench.calls.hang_up(call_id)


async def test_a_stopping_node_ends_what_is_left_and_writes_it_down(bench: Bench) -> None:
    await bench.to_talking()
    await bench.calls.drain(0)
    assert bench.calls.live_calls == 0
    assert [record.cause for record in bench.journal.records] == ["shutdown"]
    assert bench.media.open == set()


async def test_a_predecessors_calls_get_their_records(bench: Bench) -> None:
    await bench.to_talking()
    successor = Bench()
    successor.calls.recover(bench.journal.live | {"broken": b"\xc1"}, bench.clock.now + 5)
    (record,) = successor.journal.records
    assert (record.outcome, record.cause, record.agent) == ("failed", "node-died", "anna")
    assert record.talk_seconds == 5


async def test_the_places_are_said_again_to_a_store_that_came_back(bench: Bench) -> None:
    await bench.to_queue()
    await bench.settle(lambda: bool(bench.store.said))
    first = bench.store.said[-1][:2]
    bench.calls.reassert()
    await bench.settle(lambda: len(bench.store.said) == 2)
    assert bench.store.said[-1][:2] == first


async def test_a_conversation_is_said_again_too(bench: Bench) -> None:
    await bench.to_talking()
    await bench.told_store("accept")
    bench.calls.reassert()
    await bench.told_store("restore_talk")
    assert bench.store.said[-1][2] == "anna"


async def test_what_is_written_down_can_be_read_again(bench: Bench) -> None:
    await bench.to_talking()
    (document,) = bench.journal.live.values()
    assert msgspec.msgpack.decode(document, type=m.Call).state is m.State.TALKING
