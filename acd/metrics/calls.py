"""Counters and histograms fed by the facts of calls. One or two observations of each a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from acd.calls.facts import (
    AgentRung,
    CallAnswered,
    CallEnded,
    CallerLookedUp,
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
    ToldWhen,
    WrapupEnded,
)
from acd.clock import Clock
from acd.directory.model import Directory, Queue
from acd.metrics.quality import estimate_mos
from routing.model import RejectReason

WAIT_BUCKETS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200)
RING_BUCKETS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60)
TALK_BUCKETS = (10, 20, 30, 60, 120, 180, 300, 450, 600, 900, 1800, 3600, 7200)
WRAPUP_BUCKETS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
ERROR_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 90, 120, 180, 300, 600)
_DIRECTIONS = ("over", "under")
_TOLD_WHEN: tuple[ToldWhen, ...] = get_args(ToldWhen)
JITTER_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
ROUND_TRIP_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
MOS_BUCKETS = (1, 2, 2.6, 3.1, 3.6, 4.0, 4.3, 4.5)

LOOKUP_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_LOOKED_UP = ("found", "unknown", "failed", "skipped")
_MESSAGE_THEN_WAIT = "message-then-wait"
_SIDES = ("caller", "agent")
_FAILURES = (*RejectReason, "withdrawn", "elsewhere")
_REFUSED_DIALS = ("no-route", "not-allowed", "do-not-call", "too-many-calls", "do-not-call-unknown")
_OUTSIDE_OUTCOMES = ("answered", "unanswered", "forwarded")
_ONE_WAY_PACKETS = 50
"""A second of audio one way and nothing back is no short call but a broken path."""
_WORD = re.compile(r"^[a-z][a-z0-9-]{0,31}$")
_MOST_WORDS = 64


class Words:
    """Keeps a label bounded: short fixed words pass, anything else (or too many of them) is "other"."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bound(self, word: str) -> str:
        if word in self._known:
            return word
        if len(self._known) < _MOST_WORDS and _WORD.match(word):
            self._known.add(word)
            return word
        return "other"


class _Remembering:
    """A metric that finds the child of label values seen before without checking them again."""

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Any:
        known: dict[tuple[Any, ...], Any] = self.__dict__.setdefault("_known_children", {})
        child = known.get(labelvalues)
        if child is None or labelkwargs:
            child = known[labelvalues] = super().labels(*labelvalues, **labelkwargs)  # type: ignore[misc]
        return child


class _Counter(_Remembering, Counter):
    """Its label values are bounded by the directory and by fixed words."""


class _Histogram(_Remembering, Histogram):
    """Likewise."""


class CallMetrics:
    """An acd.calls.facts.Observer."""

    def __init__(self, registry: CollectorRegistry, directory: Callable[[], Directory], clock: Clock) -> None:
        self._registry = registry
        self._directory = directory
        self._clock = clock
        self._words = Words()
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            CallStarted: self._started,
            CallQueued: self._queued,
            CallOverflowed: self._overflowed_one,
            AgentRung: self._rung,
            OfferFailed: self._offer_failed,
            CallAnswered: self._answered,
            DialRefused: self._dial_refused,
            LegClosed: self._leg_closed,
            CallEnded: self._ended,
            ConversationOver: lambda fact: None,  # Its talk is measured when the call ends.
            NoteMissed: self._note_missed,
            WrapupEnded: self._wrapped_up,
            ExpectationMet: self._expectation_met,
            CallerLookedUp: self._looked_up,
        }
        self._edges: frozenset[float] = frozenset()
        self._known: Directory | None = None
        self._make_calls()
        self._make_queues()
        self._make_agents()
        self._make_media()
        self.follow_directory()

    def __call__(self, fact: CallFact) -> None:
        self._handlers[type(fact)](fact)

    def follow_directory(self) -> None:
        """Take up new queues, trunks and service levels.

        Every series exists from the start: a counter that appears at 1 is invisible to rate().
        """
        directory = self._directory()
        if directory is self._known:
            return
        self._known = directory
        edges = frozenset(queue.service_level_seconds for queue in directory.queues.values())
        if not edges <= self._edges:
            self._remake_waits(self._edges | edges)
        for queue in directory.queues.values():
            self._begin_queue(queue)
        for name in directory.trunks:
            self._calls_started.labels(name)
            for outcome in _OUTSIDE_OUTCOMES:
                self._outside_calls.labels(name, outcome)
        for entry in directory.caller_lists.values():
            if entry.lookup:
                self._lookup.labels(entry.name)
                for result in _LOOKED_UP:
                    self._lookups.labels(entry.name, result)

    def _begin_queue(self, queue: Queue) -> None:
        for metric in self._by_queue():
            metric.labels(queue.name)
        for reason in _FAILURES:
            self._offers_failed.labels(queue.name, reason)
        for direction, when in product(_DIRECTIONS, _TOLD_WHEN):
            self._foretold.labels(queue.name, direction, when)
        for rule in queue.rules:
            kind = rule.kind if rule.leaves else _MESSAGE_THEN_WAIT
            self._overflowed.labels(queue.name, kind, rule.when.why)

    # Construction

    def _make_calls(self) -> None:
        self._calls_started = self._counter("acd_calls_started_total", "Calls taken in.", "trunk")
        self._calls_ended = self._counter(
            "acd_calls_ended_total", "Calls ended, by outcome and cause.", "outcome", "cause"
        )
        self._lookups = self._counter(
            "acd_caller_lookups_total", "Times that the page of a caller list was asked.", "list", "result"
        )
        self._lookup = self._histogram(
            "acd_caller_lookup_seconds", "How long a look-up took.", LOOKUP_BUCKETS, "list"
        )
        self._last_call = Gauge(
            "acd_trunk_last_call_timestamp_seconds",
            "When the trunk last brought a call.",
            ["trunk"],
            registry=self._registry,
        )

        self._dials_refused = self._counter(
            "acd_dial_refused_total", "Numbers outside that were not called, by cause.", "cause"
        )
        self._outside_calls = self._counter(
            "acd_outside_calls_total",
            "Calls to the outside that ended, by trunk and outcome.",
            "trunk",
            "outcome",
        )
        for cause in _REFUSED_DIALS:
            self._dials_refused.labels(cause)

    def _make_queues(self) -> None:
        self._offered = self._counter("acd_queue_offered_total", "Callers who entered the queue.", "queue")
        self._abandoned = self._counter(
            "acd_queue_abandoned_total", "Callers who hung up before an agent answered.", "queue"
        )
        self._timed_out = self._counter(
            "acd_queue_timed_out_total", "Callers who reached the longest wait of the queue.", "queue"
        )
        self._overflowed = self._counter(
            "acd_queue_overflowed_total",
            "Callers who left the queue by a rule of it, or heard its message (message-then-wait).",
            "queue",
            "to_kind",
            "why",
        )
        self._in_target = self._counter(
            "acd_queue_answered_in_target_total",
            "Callers answered within the service level of the queue.",
            "queue",
        )
        self._foretold = self._histogram(
            "acd_queue_expected_wait_error_seconds",
            "How far off the wait was that a caller was told, on joining the queue or later.",
            ERROR_BUCKETS,
            "queue",
            "direction",
            "when",
        )
        self._make_waits(self._edges)

    def _make_agents(self) -> None:
        self._rings = self._counter("acd_agent_offers_total", "Times that an agent was rung.", "queue")
        self._offers_failed = self._counter(
            "acd_agent_offers_failed_total",
            "Times that a rung agent did not take the call.",
            "queue",
            "reason",
        )
        self._ring = self._histogram(
            "acd_agent_ring_seconds", "How long an agent was rung, answered or not.", RING_BUCKETS, "queue"
        )
        self._talk = self._histogram(
            "acd_talk_seconds", "Conversation, hold included.", TALK_BUCKETS, "queue"
        )
        self._wrapup = self._histogram(
            "acd_wrapup_seconds",
            "After-call work as the agents took it.",
            WRAPUP_BUCKETS,
            "queue",
        )
        self._notes_missed = self._counter(
            "acd_notes_missed_total", "Wrap-ups that ended without the note that the queue requires.", "queue"
        )

    def _make_waits(self, edges: Iterable[float]) -> None:
        buckets = sorted({*map(float, WAIT_BUCKETS), *edges})
        self._answer_wait = self._histogram(
            "acd_queue_answer_wait_seconds", "Wait of callers whom an agent answered.", buckets, "queue"
        )
        self._abandon_wait = self._histogram(
            "acd_queue_abandon_wait_seconds", "Wait of callers who gave up.", buckets, "queue"
        )

    def _remake_waits(self, edges: frozenset[float]) -> None:
        """A service level must be a bucket edge. To Prometheus the new histogram is a counter reset."""
        self._registry.unregister(self._answer_wait)
        self._registry.unregister(self._abandon_wait)
        self._edges = edges
        self._make_waits(edges)

    def _make_media(self) -> None:
        self._received = self._counter("acd_rtp_packets_received_total", "Of closed legs.", "side")
        self._sent = self._counter("acd_rtp_packets_sent_total", "Of closed legs.", "side")
        self._lost = self._counter(
            "acd_rtp_lost_packets_total", "Missed by sequence number, of closed legs.", "side"
        )
        self._dropped = self._counter(
            "acd_rtp_dropped_packets_total",
            "From strangers, malformed or of unknown type, of closed legs.",
            "side",
        )
        self._far_lost = self._counter(
            "acd_rtp_far_lost_packets_total",
            "Of ours that the far end says it missed (RTCP), of closed legs.",
            "side",
        )
        self._one_way = self._counter(
            "acd_rtp_one_way_legs_total", "Closed legs that were sent audio and never returned any.", "side"
        )
        self._jitter = self._histogram(
            "acd_rtp_jitter_seconds", "Interarrival jitter at the end of a leg.", JITTER_BUCKETS, "side"
        )
        self._mos = self._histogram(
            "acd_rtp_mos", "Mean opinion score estimated at the end of a leg.", MOS_BUCKETS, "side"
        )
        self._round_trip = self._histogram(
            "acd_rtp_round_trip_seconds",
            "To the far end and back (RTCP) at the end of a leg.",
            ROUND_TRIP_BUCKETS,
            "side",
        )
        counters = (self._received, self._sent, self._lost, self._far_lost, self._dropped, self._one_way)
        for side in _SIDES:
            for metric in (*counters, self._jitter, self._round_trip, self._mos):
                metric.labels(side)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return _Counter(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return _Histogram(name, text, labels, registry=self._registry, buckets=tuple(buckets))

    def _by_queue(self) -> Iterable[Counter | Histogram]:
        yield from (self._offered, self._abandoned, self._timed_out, self._in_target, self._rings)
        yield from (self._answer_wait, self._abandon_wait, self._ring, self._talk, self._wrapup)
        yield self._notes_missed

    # Facts

    def _started(self, fact: CallStarted) -> None:
        self._calls_started.labels(fact.trunk).inc()
        if fact.trunk:
            self._last_call.labels(fact.trunk).set(self._clock.time())

    def _queued(self, fact: CallQueued) -> None:
        self._offered.labels(fact.queue).inc()

    def _overflowed_one(self, fact: CallOverflowed) -> None:
        self._overflowed.labels(fact.queue, fact.to_kind, fact.why).inc()

    def _rung(self, fact: AgentRung) -> None:
        self._rings.labels(fact.queue).inc()

    def _looked_up(self, fact: CallerLookedUp) -> None:
        self._lookups.labels(fact.list, self._words.bound(fact.result)).inc()
        self._lookup.labels(fact.list).observe(fact.seconds)

    def _offer_failed(self, fact: OfferFailed) -> None:
        self._offers_failed.labels(fact.queue, self._words.bound(fact.reason)).inc()
        self._ring.labels(fact.queue).observe(fact.ring_seconds)

    def _answered(self, fact: CallAnswered) -> None:
        self._ring.labels(fact.queue).observe(fact.ring_seconds)
        self._answer_wait.labels(fact.queue).observe(fact.wait_seconds)
        queue = self._directory().queues.get(fact.queue)
        if queue is not None and fact.wait_seconds <= queue.service_level_seconds:
            self._in_target.labels(fact.queue).inc()

    def _dial_refused(self, fact: DialRefused) -> None:
        self._dials_refused.labels(self._words.bound(fact.cause)).inc()

    def _leg_closed(self, fact: LegClosed) -> None:
        leg = fact.statistics
        side = fact.side if fact.side in _SIDES else "other"
        self._received.labels(side).inc(leg.packets_received)
        self._sent.labels(side).inc(leg.packets_sent)
        self._lost.labels(side).inc(max(leg.packets_lost, 0))
        self._far_lost.labels(side).inc(leg.far_packets_lost)
        self._dropped.labels(side).inc(leg.packets_dropped)
        if leg.round_trip_seconds:
            self._round_trip.labels(side).observe(leg.round_trip_seconds)
        if leg.packets_received:
            self._jitter.labels(side).observe(leg.jitter_seconds)
            self._mos.labels(side).observe(
                estimate_mos(leg.packets_lost, leg.packets_received, leg.jitter_seconds)
            )
        elif leg.packets_sent >= _ONE_WAY_PACKETS:
            self._one_way.labels(side).inc()

    def _note_missed(self, fact: NoteMissed) -> None:
        self._notes_missed.labels(fact.queue).inc()

    def _wrapped_up(self, fact: WrapupEnded) -> None:
        self._wrapup.labels(fact.queue).observe(fact.seconds)

    def _expectation_met(self, fact: ExpectationMet) -> None:
        error = fact.expected_seconds - fact.actual_seconds
        self._foretold.labels(fact.queue, _DIRECTIONS[error < 0], fact.when).observe(abs(error))

    def _ended(self, fact: CallEnded) -> None:
        record = fact.record
        self._calls_ended.labels(record.outcome, self._words.bound(record.cause)).inc()
        if record.outside:
            self._outside_calls.labels(record.trunk_out, record.outcome).inc()
        if record.outcome == "answered":
            self._talk.labels(record.queue).observe(record.talk_seconds)
        elif record.queue and record.outcome == "abandoned":
            self._abandoned.labels(record.queue).inc()
            self._abandon_wait.labels(record.queue).observe(record.wait_seconds)
        elif record.queue and record.outcome == "timed-out":
            self._timed_out.labels(record.queue).inc()
