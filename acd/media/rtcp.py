"""RTCP without I/O: sender and receiver reports (RFC 3550 section 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SENDER_REPORT, _RECEIVER_REPORT, _SOURCE_DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_CNAME = 1
_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905 section 6)."""

_HEAD = struct.Struct("!BBHI")
_SENDER = struct.Struct("!IIIII")
_BLOCK = struct.Struct("!IIIIII")
_MAX_PARTS = 16

MAX_BYTES = 1500


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one end heard of the SSRC (section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """In 1/256 since the last report."""
    lost: int
    highest: int
    jitter: int
    """In units of the RTP clock."""
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report."""
    delay: int = 0
    """Since that report, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderInfo:
    ntp: int
    """64 bit NTP time."""
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report where `sender` is there, else a receiver report."""

    ssrc: int
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()


def ntp_time(unix: float) -> int:
    """64 bit NTP time of seconds since the Unix epoch (RFC 5905 section 6)."""
    return int((unix + _EPOCH_OFFSET) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The 32 bits of an NTP time that reports refer to (section 4)."""
    return (ntp >> 16) & 0xFFFFFFFF


def is_rtcp(second_byte: int) -> bool:
    """Whether a packet on a shared port is RTCP (RFC 5761 section 4)."""
    return 192 <= second_byte <= 223


def build(report: Report, cname: bytes, *, goodbye: bool = False) -> bytes:
    """A compound packet: report, CNAME, and BYE where the source ends (section 6.1)."""
    body = b"".join(
        _BLOCK.pack(
            block.ssrc,
            (block.fraction_lost & 0xFF) << 24 | min(block.lost, 0x7FFFFF),
            block.highest,
            block.jitter & 0xFFFFFFFF,
            block.last_report,
            block.delay & 0xFFFFFFFF,
        )
        for block in report.blocks
    )
    kind = _RECEIVER_REPORT
    if report.sender is not None:
        kind, sender = _SENDER_REPORT, report.sender
        body = (
            _SENDER.pack(
                sender.ntp >> 32,
                sender.ntp & 0xFFFFFFFF,
                sender.timestamp,
                sender.packets & 0xFFFFFFFF,
                sender.octets & 0xFFFFFFFF,
            )
            + body
        )
    item = bytes((_CNAME, len(cname))) + cname
    item += bytes(4 - len(item) % 4)
    parts = _part(kind, len(report.blocks), report.ssrc, body)
    parts += _part(_SOURCE_DESCRIPTION, 1, report.ssrc, item)
    return parts + _part(_GOODBYE, 1, report.ssrc, b"") if goodbye else parts


def _part(kind: int, count: int, ssrc: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, 1 + len(body) // 4, ssrc) + body


def parse(data: bytes) -> tuple[Report, ...]:
    """The reports in a compound packet; empty where it is malformed (section A.2). Never raises."""
    if len(data) > MAX_BYTES:
        return ()
    reports: list[Report] = []
    at = 0
    for _ in range(_MAX_PARTS):
        if at == len(data):
            return tuple(reports)
        if at + _HEAD.size > len(data):
            return ()
        first, kind, words, ssrc = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first & 0xC0 != 0x80 or end > len(data) or words == 0:
            return ()
        if kind in (_SENDER_REPORT, _RECEIVER_REPORT):
            report = _parse_report(data[at + _HEAD.size : end], kind, first & 0x1F, ssrc)
            if report is None:
                return ()
            reports.append(report)
        elif not reports:  # a compound packet starts with a report (section 6.1)
            return ()
        at = end
    return ()


def _parse_report(body: bytes, kind: int, count: int, ssrc: int) -> Report | None:
    sender, at = None, 0
    if kind == _SENDER_REPORT:
        if len(body) < _SENDER.size:
            return None
        high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
        sender, at = SenderInfo(high << 32 | low, timestamp, packets, octets), _SENDER.size
    if at + count * _BLOCK.size > len(body):
        return None
    blocks = []
    for index in range(count):
        about, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, at + index * _BLOCK.size)
        lost = loss & 0xFFFFFF
        signed = lost - (1 << 24) if lost & 0x800000 else lost
        blocks.append(ReportBlock(about, loss >> 24, signed, highest, jitter, last, delay))
    return Report(ssrc, sender, tuple(blocks))
