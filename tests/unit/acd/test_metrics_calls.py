"""What the facts of calls become."""

from __future__ import annotations

from functools import partial
from typing import get_args

import pytest

from acd.calls.facts import (
    AgentRung,
    CallAnswered,
    CallEnded,
    CallFact,
    CallOverflowed,
    CallQueued,
    CallStarted,
    ConversationOver,
    DialRefused,
    ExpectationMet,
    LegClosed,
    NoteMissed,
    OfferFailed,
    WrapupEnded,
)
from acd.directory.model import Directory, OverflowRule, Queue
from acd.media.engine import LegStatistics
from acd.metrics.quality import estimate_mos
from routing.overflow import Conditions
from tests.support.control import NOW, a_record
from tests.support.metrics import Bench, calls


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_note_that_was_missed_counts_and_a_talk_that_ended_is_no_news(bench: Bench):
    value = await bench.scrape()
    assert value("acd_notes_missed_total", queue="billing") == 0
    for fact in (ConversationOver("c1", "billing", "anna"), NoteMissed("billing", "anna")):
        bench.metrics(fact)
    value = await bench.scrape()
    assert value("acd_notes_missed_total", queue="billing") == 1


def test_every_fact_of_a_call_is_known_to_the_metrics(bench: Bench):
    assert set(get_args(CallFact)) == set(bench.metrics._calls._handlers)


async def test_a_call_that_was_answered_counts_in_each_place_once(bench: Bench):
    for fact in (
        CallStarted("c1", "carrier"),
        CallQueued("c1", "billing"),
        AgentRung("c1", "billing", "bert"),
        OfferFailed("c1", "billing", "bert", "no-answer", 15.0),
        AgentRung("c1", "billing", "anna"),
        CallAnswered("c1", "billing", "anna", 19.0, 4.0),
        CallEnded(a_record(talk_seconds=61.0)),
    ):
        bench.metrics(fact)
    value = await bench.scrape()
    assert value("acd_calls_started_total", trunk="carrier") == 1
    assert value("acd_queue_offered_total", queue="billing") == 1
    assert value("acd_agent_offers_total", queue="billing") == 2
    assert value("acd_agent_offers_failed_total", queue="billing", reason="no-answer") == 1
    assert value("acd_agent_ring_seconds_count", queue="billing") == 2
    assert value("acd_agent_ring_seconds_sum", queue="billing") == 19.0
    assert value("acd_queue_answer_wait_seconds_count", queue="billing") == 1
    assert value("acd_queue_answer_wait_seconds_bucket", queue="billing", le="15.0") == 0
    assert value("acd_queue_answer_wait_seconds_bucket", queue="billing", le="20.0") == 1
    assert value("acd_queue_answered_in_target_total", queue="billing") == 1
    assert value("acd_talk_seconds_sum", queue="billing") == 61.0
    assert value("acd_calls_ended_total", outcome="answered", cause="normal") == 1
    assert value("acd_queue_abandoned_total", queue="billing") == 0
    assert value("acd_trunk_last_call_timestamp_seconds", trunk="carrier") == NOW


@pytest.mark.parametrize(("wait", "in_target"), [(0.0, 1), (20.0, 1), (20.001, 0)])
async def test_the_service_level_of_the_queue_includes_its_last_moment(
    bench: Bench, wait: float, in_target: int
):
    bench.metrics(CallAnswered("c1", "billing", "anna", wait, 1.0))
    assert (await bench.scrape())("acd_queue_answered_in_target_total", queue="billing") == in_target


async def test_who_gives_up_is_counted_with_the_wait_and_no_talk(bench: Bench):
    bench.metrics(CallEnded(a_record(outcome="abandoned", wait_seconds=4.0)))
    bench.metrics(CallEnded(a_record(outcome="timed-out", wait_seconds=300.0)))
    value = await bench.scrape()
    assert value("acd_queue_abandoned_total", queue="billing") == 1
    assert value("acd_queue_abandon_wait_seconds_bucket", queue="billing", le="5.0") == 1
    assert value("acd_queue_timed_out_total", queue="billing") == 1
    assert value("acd_talk_seconds_count", queue="billing") == 0


async def test_calls_to_the_outside_are_counted_by_trunk_and_refusals_by_cause(bench: Bench):
    bench.metrics(CallEnded(a_record(outside="+37255512345", trunk_out="carrier", outcome="unanswered")))
    bench.metrics(CallEnded(a_record(outcome="unanswered")))
    bench.metrics(DialRefused("c1", "anna", "not-allowed"))
    value = await bench.scrape()
    assert value("acd_outside_calls_total", trunk="carrier", outcome="unanswered") == 1
    assert value("acd_dial_refused_total", cause="not-allowed") == 1
    assert value("acd_dial_refused_total", cause="do-not-call") == 0


async def test_who_overflows_is_counted_by_where_and_why_and_each_rule_has_its_series(bench: Bench):
    rule = OverflowRule(Conditions(after_seconds=60), queue="sales")
    bench.centre.directory = Directory(
        revision=2, queues={"billing": Queue("billing", overflow=(rule,), max_waiting=3)}
    )
    value = await bench.scrape()
    of_billing = partial(value, "acd_queue_overflowed_total", queue="billing")
    assert of_billing(to_kind="queue", why="waited") == 0
    assert of_billing(to_kind="message", why="waiting") == 0
    bench.metrics(CallOverflowed("c1", "billing", "queue", "waited"))
    value = await bench.scrape()
    assert value("acd_queue_overflowed_total", queue="billing", to_kind="queue", why="waited") == 1
    assert value("acd_queue_abandoned_total", queue="billing") == 0


async def test_who_leaves_before_any_queue_is_no_abandon_of_a_queue(bench: Bench):
    bench.metrics(CallEnded(a_record(outcome="abandoned", queue="")))
    value = await bench.scrape()
    assert value("acd_calls_ended_total", outcome="abandoned", cause="normal") == 1
    assert value("acd_queue_abandoned_total", queue="") is None


async def test_every_service_level_is_a_bucket_edge(bench: Bench):
    value = await bench.scrape()
    assert value("acd_queue_answer_wait_seconds_bucket", queue="support", le="25.0") == 0


async def test_a_new_service_level_becomes_an_edge_while_running(bench: Bench):
    bench.metrics(CallAnswered("c1", "billing", "anna", 3.0, 1.0))
    bench.centre.directory = Directory(revision=2, queues={"vip": Queue("vip", service_level_seconds=7.5)})
    value = await bench.scrape()
    assert value("acd_queue_answer_wait_seconds_bucket", queue="vip", le="7.5") == 0
    assert value("acd_queue_answer_wait_seconds_bucket", queue="vip", le="25.0") == 0
    bench.metrics(CallAnswered("c2", "vip", "anna", 7.0, 1.0))
    assert (await bench.scrape())("acd_queue_answer_wait_seconds_bucket", queue="vip", le="7.5") == 1


async def test_a_new_queue_with_known_service_level_loses_no_count(bench: Bench):
    bench.metrics(CallAnswered("c1", "billing", "anna", 3.0, 1.0))
    queues = {**bench.centre.directory.queues, "extra": Queue("extra")}
    bench.centre.directory = Directory(revision=2, queues=queues)
    value = await bench.scrape()
    assert value("acd_queue_offered_total", queue="extra") == 0
    assert value("acd_queue_answer_wait_seconds_count", queue="billing") == 1


async def test_every_series_of_a_queue_is_there_before_its_first_call(bench: Bench):
    value = await bench.scrape()
    for name in ("offered", "abandoned", "timed_out", "answered_in_target"):
        assert value(f"acd_queue_{name}_total", queue="support") == 0
    assert value("acd_agent_offers_failed_total", queue="support", reason="no-answer") == 0
    assert value("acd_wrapup_seconds_count", queue="support") == 0


async def test_wrap_up_counts_as_it_was_taken_and_not_with_the_call(bench: Bench):
    bench.metrics(CallEnded(a_record()))
    assert (await bench.scrape())("acd_wrapup_seconds_count", queue="billing") == 0
    bench.metrics(WrapupEnded("billing", "anna", 3.5))
    assert (await bench.scrape())("acd_wrapup_seconds_sum", queue="billing") == 3.5


async def test_a_call_whose_queue_was_removed_meanwhile_still_counts(bench: Bench):
    bench.centre.directory = Directory(revision=2)
    bench.metrics(CallAnswered("c1", "billing", "anna", 3.0, 1.0))
    bench.metrics(CallEnded(a_record()))
    assert (await bench.scrape())("acd_talk_seconds_count", queue="billing") == 1


async def test_a_leg_adds_its_packets_jitter_and_score(bench: Bench):
    leg = LegStatistics(
        packets_received=990,
        packets_sent=1000,
        packets_lost=10,
        packets_dropped=2,
        jitter_seconds=0.004,
        far_packets_lost=7,
        round_trip_seconds=0.03,
    )
    bench.metrics(LegClosed("c1", "caller", leg))
    value = await bench.scrape()
    assert value("acd_rtp_packets_received_total", side="caller") == 990
    assert value("acd_rtp_lost_packets_total", side="caller") == 10
    assert value("acd_rtp_dropped_packets_total", side="caller") == 2
    assert value("acd_rtp_far_lost_packets_total", side="caller") == 7
    assert value("acd_rtp_jitter_seconds_bucket", side="caller", le="0.005") == 1
    assert value("acd_rtp_round_trip_seconds_bucket", side="caller", le="0.05") == 1
    assert value("acd_rtp_round_trip_seconds_bucket", side="caller", le="0.02") == 0
    assert value("acd_rtp_mos_count", side="caller") == 1
    assert value("acd_rtp_one_way_legs_total", side="caller") == 0


async def test_a_leg_that_never_sent_audio_is_one_way_unless_it_was_short(bench: Bench):
    bench.metrics(LegClosed("c1", "agent", LegStatistics(packets_sent=50)))
    bench.metrics(LegClosed("c2", "agent", LegStatistics(packets_sent=49)))
    value = await bench.scrape()
    assert value("acd_rtp_one_way_legs_total", side="agent") == 1
    assert value("acd_rtp_mos_count", side="agent") == 0
    assert value("acd_rtp_round_trip_seconds_count", side="agent") == 0


async def test_loss_that_duplicates_made_negative_counts_as_none(bench: Bench):
    bench.metrics(LegClosed("c1", "caller", LegStatistics(packets_received=10, packets_lost=-3)))
    assert (await bench.scrape())("acd_rtp_lost_packets_total", side="caller") == 0


async def test_causes_stay_a_bounded_set_of_plain_words(bench: Bench):
    for index in range(500):
        bench.metrics(CallEnded(a_record(cause=f"cause-{index}")))
    bench.metrics(CallEnded(a_record(cause='"}\nevil{')))
    value = await bench.scrape()
    causes = {sample.labels["cause"] for sample in value.families["acd_calls_ended"].samples}
    assert len(causes) <= 65
    assert "other" in causes
    assert "evil" not in value.text


async def test_no_label_carries_a_call_or_a_number(bench: Bench):
    for fact in calls(seed=7, count=200):
        bench.metrics(fact)
    value = await bench.scrape()
    labels = {label for name in value.names for label in value.labels(name)}
    assert labels == {
        *("queue", "state", "reason", "trunk", "outcome", "cause", "side", "method", "code", "le"),
        *("version", "node", "transport", "direction", "kind", "what", "webhook", "to_kind", "why"),
        *("list", "result", "when"),
    }
    assert "c7-" not in value.text
    assert "5551" not in value.text


async def test_how_far_off_an_expectation_was_is_counted_by_direction(bench: Bench):
    bench.metrics(ExpectationMet("billing", expected_seconds=30.0, actual_seconds=20.0))
    bench.metrics(ExpectationMet("billing", expected_seconds=30.0, actual_seconds=75.0))
    bench.metrics(ExpectationMet("billing", 60.0, 75.0, "updated"))
    value = await bench.scrape()
    name = "acd_queue_expected_wait_error_seconds_sum"
    for direction, when, error in (
        ("over", "joined", 10.0),
        ("under", "joined", 45.0),
        ("over", "updated", 0.0),
        ("under", "updated", 15.0),
    ):
        assert value(name, queue="billing", direction=direction, when=when) == error
    assert value("acd_queue_expected_wait_seconds", queue="billing") == 12.5


@pytest.mark.parametrize(
    ("lost", "received", "jitter", "low", "high"),
    [
        (0, 1000, 0.0, 4.3, 4.5),
        (0, 1000, 0.02, 4.3, 4.45),
        (10, 990, 0.005, 3.6, 4.0),
        (50, 950, 0.01, 1.9, 2.8),
        (500, 500, 0.0, 1.0, 1.1),
        (0, 0, 0.0, 1.0, 1.0),
        (-5, 1000, -1.0, 4.3, 4.5),
        (0, 1000, 1e9, 1.0, 1.0),
    ],
)
def test_the_estimated_score_falls_with_loss_and_jitter(
    lost: int, received: int, jitter: float, low: float, high: float
):
    assert low <= estimate_mos(lost, received, jitter) <= high
