"""What a capture server is told of the audio of a leg."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.calls.facts import CallStarted, LegClosed
from acd.media.engine import LegStatistics
from acd.metrics.leg_reports import LegReports, reports_of
from acd.sip.trace.captured import Captured, Report
from acd.sip.trace.tracer import Rules, Tracer
from tests.support.clock import FakeClock

OURS, THEIRS = ("192.0.2.1", 20_000), ("198.51.100.9", 40_000)
LEG = LegStatistics(
    packets_received=990,
    packets_sent=1000,
    packets_lost=10,
    jitter_seconds=0.004,
    far_packets_lost=25,
    far_jitter_seconds=0.0125,
    round_trip_seconds=0.08,
    codec="PCMA",
    local=OURS,
    remote=THEIRS,
)


def test_both_directions_are_told_with_their_ends_and_figures() -> None:
    heard, said = reports_of(LEG, 1, 5.0)
    assert (heard.at, heard.source, heard.target) == (5.0, THEIRS, OURS)
    assert (said.source, said.target) == (OURS, THEIRS)
    shown = ("TOTAL_PK", "EXPECTED_PK", "PACKET_LOSS", "JITTER", "MOS", "RFACTOR", "DIR", "PARTY")
    assert [heard.facts[key] for key in shown] == [990, 1000, 10, 4.0, 3.8, 74.6, 0, 1]
    assert [said.facts[key] for key in shown[:5]] == [975, 1000, 25, 12.5, 2.95]
    assert (said.facts["DIR"], said.facts["ROUND_TRIP"], said.facts["CODEC_NAME"]) == (1, 80.0, "PCMA")
    assert (
        (heard.facts["SRC_IP"], heard.facts["SRC_PORT"])
        == THEIRS
        == (said.facts["DST_IP"], said.facts["DST_PORT"])
    )


@pytest.mark.parametrize(
    ("leg", "directions"),
    [
        (replace(LEG, packets_received=0), [1]),
        (replace(LEG, far_packets_lost=0, far_jitter_seconds=0.0, round_trip_seconds=0.0), [0]),
        (replace(LEG, remote=None), []),
        (LegStatistics(), []),
        (replace(LEG, packets_lost=-3, far_packets_lost=5000), [0, 1]),
    ],
)
def test_only_what_is_known_is_told_and_never_less_than_nothing(
    leg: LegStatistics, directions: list[int]
) -> None:
    reports = reports_of(leg, 0, 5.0)
    assert [report.facts["DIR"] for report in reports] == directions
    for report in reports:
        facts = report.facts
        assert 0 <= int(facts["PACKET_LOSS"]) <= int(facts["EXPECTED_PK"])
        assert facts["TOTAL_PK"] == int(facts["EXPECTED_PK"]) - int(facts["PACKET_LOSS"])


class Kept:
    """A capture server in place of the real one."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def __call__(self, message: Captured) -> None: ...

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def close(self) -> None: ...


def test_report_is_about_the_sip_leg_that_answered() -> None:
    kept, clock = Kept(), FakeClock(7.0)
    tracer = Tracer(Rules(), 1000, clock, kept)
    reports = LegReports(tracer, clock)
    tracer.belongs("sip-caller", "call-7", leg="in-1")
    tracer.belongs("sip-first", "call-7", leg="call-7-1")
    tracer.belongs("sip-second", "call-7", leg="call-7-1.2")
    tracer.answered("call-7-1", "call-7-1.2")
    one_way = replace(LEG, packets_received=0)
    for fact in (
        CallStarted("call-7", "carrier"),
        LegClosed("call-7", "agent", one_way, "call-7-1"),
        LegClosed("call-7", "caller", one_way, "in-1"),
        LegClosed("call-7", "caller", one_way, "forgotten"),
    ):
        reports(fact)
    assert [report.correlation for report in kept.reports] == ["sip-second", "sip-caller", "call-7"]
    assert [report.facts["PARTY"] for report in kept.reports] == [1, 0, 0]
    assert {report.at for report in kept.reports} == {7.0}
