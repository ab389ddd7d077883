"""How each leg sounded, for a capture server: what we heard of it, and what it says it heard of us."""

from __future__ import annotations

from acd.calls.facts import CallFact, LegClosed
from acd.clock import Clock
from acd.media.engine import LegStatistics
from acd.metrics.quality import estimate_mos, rate
from acd.sip.trace.captured import Report
from acd.sip.trace.tracer import Tracer

_PARTIES = {"caller": 0, "agent": 1}
_Facts = dict[str, str | int | float]


class LegReports:
    """An observer of calls."""

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock

    def __call__(self, fact: CallFact) -> None:
        if isinstance(fact, LegClosed):
            reports = reports_of(fact.statistics, _PARTIES.get(fact.side, 2), self._clock.time())
            self._tracer.report(fact.leg, fact.call_id, reports)


def reports_of(leg: LegStatistics, party: int, at: float) -> list[Report]:
    """What came to us, where anything did, and what we sent, where the far end speaks RTCP of it."""
    if leg.local is None or leg.remote is None:
        return []
    reports = []
    if leg.packets_received:
        heard = _facts(leg, leg.packets_received, leg.packets_lost, leg.jitter_seconds)
        reports.append(Report(at, leg.remote, leg.local, heard | _ends(leg.remote, leg.local, 0, party)))
    if leg.far_jitter_seconds or leg.round_trip_seconds or leg.far_packets_lost:
        lost = min(leg.far_packets_lost, leg.packets_sent)
        said = _facts(leg, leg.packets_sent - lost, lost, leg.far_jitter_seconds)
        reports.append(Report(at, leg.local, leg.remote, said | _ends(leg.local, leg.remote, 1, party)))
    return reports


def _facts(leg: LegStatistics, received: int, lost: int, jitter_seconds: float) -> _Facts:
    """Times in milliseconds, as Homer's RTP agent has them."""
    lost = max(lost, 0)
    jitter = round(jitter_seconds * 1000, 3)
    mos, rating = (round(of(lost, received, jitter_seconds), 2) for of in (estimate_mos, rate))
    return {
        "TOTAL_PK": received,
        "EXPECTED_PK": received + lost,
        "PACKET_LOSS": lost,
        "JITTER": jitter,
        "MEAN_JITTER": jitter,
        "MOS": mos,
        "MEAN_MOS": mos,
        "RFACTOR": rating,
        "MEAN_RFACTOR": rating,
        "ROUND_TRIP": round(leg.round_trip_seconds * 1000, 3),
        "CODEC_NAME": leg.codec,
        "CLOCK": 8000,
    }


def _ends(source: tuple[str, int], target: tuple[str, int], direction: int, party: int) -> _Facts:
    """`direction` is 0 for what came to us, 1 for what we sent; `party` 0 for callers, 1 for agents."""
    return {
        "SRC_IP": source[0],
        "SRC_PORT": source[1],
        "DST_IP": target[0],
        "DST_PORT": target[1],
        "DIR": direction,
        "REPORT_NAME": f"{source[0]}:{source[1]}",
        "PARTY": party,
        "TYPE": "FINAL",
    }
