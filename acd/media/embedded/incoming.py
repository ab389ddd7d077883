"""What one leg hears: whom it believes, what it counts, which digits it makes out."""

from __future__ import annotations

from collections.abc import Mapping

from acd.media.dtmf import DigitReceiver
from acd.media.negotiation import Address
from acd.media.rtp import Reception

_PROBATION = 3
"""Packets in a row that a source other than the signalled one must send before it is believed."""


class Incoming:
    """Binds a leg to one source of RTP and counts what comes.

    The address in the SDP is believed at once. A far end behind NAT sends from elsewhere: the first source
    with a few valid packets in a row is bound. After that every other source is a stranger (no RTP bleed),
    save the signalled one. Only a renegotiation to another address starts anew.
    """

    __slots__ = (
        "_candidate",
        "_expected",
        "_in_a_row",
        "_next_sequence",
        "digits",
        "dropped",
        "event_type",
        "heard_at",
        "laws",
        "reception",
        "source",
    )

    def __init__(self) -> None:
        self.laws: Mapping[int, int] = {}
        self.event_type: int | None = None
        self.reception = Reception()
        self.digits = DigitReceiver()
        self.dropped = 0
        self.heard_at = 0.0
        self.source: Address | None = None
        """The bound one; None while nothing was believed."""
        self._expected: Address | None = None
        self._candidate: tuple[Address, int] | None = None
        self._in_a_row = self._next_sequence = 0

    def expect(self, remote: Address, laws: Mapping[int, int], event_type: int | None) -> bool:
        """Take what was negotiated; says whether the address is another one than before."""
        self.laws, self.event_type = laws, event_type
        if remote == self._expected:
            return False
        self._expected, self.source, self._candidate = remote, None, None
        return True

    def admit(self, source: Address, ssrc: int, sequence: int) -> bool:
        """Whether a valid packet from a source that is not the bound one is to be believed; binds it."""
        if self._expected is None:
            return False
        if source[:2] == self._expected:
            self.source = source
            return True
        if self.source is not None:
            return False
        if self._candidate != (source, ssrc) or sequence != self._next_sequence:
            self._candidate, self._in_a_row = (source, ssrc), 0
        self._in_a_row += 1
        self._next_sequence = (sequence + 1) & 0xFFFF
        if self._in_a_row < _PROBATION:
            return False
        self.source = source
        return True

    def knows(self, host: str) -> bool:
        """Whether control packets from this host may be believed."""
        known = self.source or self._expected
        return known is not None and known[0] == host
