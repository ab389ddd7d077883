"""RTP without I/O (RFC 3550): header, payload bounds, and what a receiver counts."""

from __future__ import annotations

import struct

HEADER = struct.Struct("!BBHII")
"""First byte, marker and payload type, sequence, timestamp, SSRC."""

HEADER_BYTES = HEADER.size
VERSION = 0x80
MARKER = 0x80
_PADDING, _EXTENSION, _CSRC_COUNT = 0x20, 0x10, 0x0F

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_SEQUENCES = 1 << 16
_HALF = 1 << 31


def build(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool
) -> bytes:
    """One packet without CSRC list, extension or padding (RFC 3550 section 5.1)."""
    second = payload_type | MARKER if marker else payload_type
    return HEADER.pack(VERSION, second, sequence, timestamp, ssrc) + payload


def payload_of(data: bytes) -> bytes | None:
    """The payload of a packet of version 2, past CSRC list and extension and without padding.

    None where the packet is malformed (RFC 3550 section A.1).
    """
    if len(data) < HEADER_BYTES or data[0] & 0xC0 != VERSION:
        return None
    start, end = HEADER_BYTES + 4 * (data[0] & _CSRC_COUNT), len(data)
    if data[0] & _EXTENSION:
        if start + 4 > end:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if data[0] & _PADDING:
        if start >= end or data[-1] == 0:
            return None
        end -= data[-1]
    return data[start:end] if start <= end else None


class Reception:
    """What was heard of one far end, over all the SSRCs it used (RFC 3550 sections A.1, A.3, A.8).

    Sequence and timestamp numbers as on the wire; arrival in units of the RTP clock.
    """

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_earlier_expected",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_received_prior",
        "_transit",
        "packets",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.packets = 0
        """Packets over all SSRCs, duplicates included."""
        self._base = self._highest = 0
        self._bad_sequence: int | None = None
        self._earlier_expected = 0
        self._expected_prior = self._received_prior = 0
        self._jitter = 0.0
        self._transit: float | None = None

    def restart(self, ssrc: int, sequence: int) -> None:
        """A new SSRC, or the same one counting anew; what was lost before stays counted."""
        if self.ssrc is not None:
            self._earlier_expected = self.expected
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._highest -= 1  # so that the first packet is itself the first one expected
        self._bad_sequence = None
        self._transit = None

    def count(self, sequence: int) -> None:
        """Take a packet of the present SSRC into account."""
        self.packets += 1
        ahead = (sequence - self._highest) & 0xFFFF
        if ahead < _MAX_DROPOUT:
            self._highest += ahead
            self._bad_sequence = None
        elif ahead <= _SEQUENCES - _MAX_MISORDER:
            if sequence == self._bad_sequence:  # two in a row: the sender restarted (section A.1)
                self.restart(self.ssrc or 0, sequence)
                self._highest = sequence
            else:
                self._bad_sequence = (sequence + 1) & 0xFFFF

    def time(self, timestamp: int, arrival: float) -> None:
        """Take the spacing of an audio packet into the jitter (section A.8)."""
        transit = arrival - timestamp
        if self._transit is not None:
            apart = abs(transit - self._transit)
            if apart < _HALF:  # a timestamp that wrapped says nothing about spacing
                self._jitter += (apart - self._jitter) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        return self._earlier_expected + (0 if self.ssrc is None else self._highest - self._base + 1)

    @property
    def lost(self) -> int:
        """Packets expected but not received; duplicates can hide a loss, as the RFC has it."""
        return max(0, self.expected - self.packets)

    @property
    def highest(self) -> int:
        """Highest sequence number with its count of cycles, modulo 2**32."""
        return self._highest & 0xFFFFFFFF

    @property
    def jitter(self) -> float:
        """In units of the RTP clock."""
        return self._jitter

    def fraction_lost(self) -> int:
        """Loss since the last call in 1/256 (section A.3); to be called once a report."""
        expected, received = self.expected - self._expected_prior, self.packets - self._received_prior
        self._expected_prior, self._received_prior = self.expected, self.packets
        if expected <= 0 or received >= expected:
            return 0
        return min(255, ((expected - received) << 8) // expected)
