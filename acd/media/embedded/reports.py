"""RTCP of one leg: what it says about itself every few seconds, and what the far end says back."""

from __future__ import annotations

import random

from acd.media import rtcp
from acd.media.embedded.outgoing import Outgoing
from acd.media.g711 import SAMPLE_RATE
from acd.media.rtp import Reception

_INTERVAL = 5.0
"""Mean seconds between reports; each is drawn from half to one and a half of it (RFC 3550 section 6.2)."""
_CNAME = b"acd"


class Reports:
    """Builds and takes the reports of one leg.

    `now` is in monotonic seconds; `epoch` is the Unix time of their zero.
    """

    __slots__ = (
        "_due",
        "_epoch",
        "_far_report",
        "_far_report_at",
        "_packets_reported",
        "_random",
        "far_jitter",
        "far_lost",
        "round_trip",
    )

    def __init__(self, now: float, epoch: float, randomness: random.Random) -> None:
        self._epoch = epoch
        self._random = randomness
        self._due = now + self._interval()
        self._packets_reported = 0
        self._far_report = 0
        self._far_report_at = 0.0
        self.far_lost = 0
        self.far_jitter = 0.0
        """In seconds."""
        self.round_trip = 0.0
        """In seconds."""

    def due(self, now: float) -> bool:
        if now < self._due:
            return False
        self._due = now + self._interval()
        return True

    def _interval(self) -> float:
        return _INTERVAL * self._random.uniform(0.5, 1.5)

    def build(self, outgoing: Outgoing, reception: Reception, now: float, *, goodbye: bool = False) -> bytes:
        """A sender report where we sent since the last one, else a receiver report (section 6.4)."""
        sender = None
        if outgoing.packets != self._packets_reported:
            self._packets_reported = outgoing.packets
            sender = rtcp.SenderInfo(
                rtcp.ntp_time(self._epoch + now),
                outgoing.timestamp_at(now),
                outgoing.packets,
                outgoing.octets,
            )
        blocks: tuple[rtcp.ReportBlock, ...] = ()
        if reception.ssrc is not None:
            delay = int((now - self._far_report_at) * 65536) if self._far_report else 0
            block = rtcp.ReportBlock(
                reception.ssrc,
                reception.fraction_lost(),
                reception.lost,
                reception.highest,
                int(reception.jitter),
                self._far_report,
                delay,
            )
            blocks = (block,)
        return rtcp.build(rtcp.Report(outgoing.ssrc, sender, blocks), _CNAME, goodbye=goodbye)

    def receive(self, data: bytes, ssrc: int, now: float) -> bool:
        """Take the far end's reports about our `ssrc`; False where the packet is malformed."""
        reports = rtcp.parse(data)
        for report in reports:
            if report.sender is not None:
                self._far_report, self._far_report_at = rtcp.middle(report.sender.ntp), now
            for block in report.blocks:
                if block.ssrc == ssrc:
                    self._take(block, now)
        return bool(reports)

    def _take(self, block: rtcp.ReportBlock, now: float) -> None:
        self.far_lost = max(0, block.lost)
        self.far_jitter = block.jitter / SAMPLE_RATE
        if block.last_report:
            arrival = rtcp.middle(rtcp.ntp_time(self._epoch + now))
            trip = (arrival - block.last_report - block.delay) & 0xFFFFFFFF
            if trip < 60 * 65536:  # more than a minute is a wrong clock or a lie
                self.round_trip = trip / 65536
