"""Encrypted audio: who agrees to it with whom, and what a leg makes of packets."""

from __future__ import annotations

import contextlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.directory.model import Srtp
from acd.errors import BadSessionDescription, NoCommonCodec, NoCommonCrypto
from acd.media.crypto import KEY_BYTES, CryptoLine, Suite, crypto_lines
from acd.media.embedded import protocol
from acd.media.embedded.leg import Leg
from acd.media.embedded.writer import Writer
from acd.media.g711 import Law
from acd.media.negotiation import Address, Negotiation
from acd.sip.secrecy import srtp_over

KEY = "inline:" + "A" * 40
NUMBERS = itertools.count(1)


def side(srtp: Srtp, port: int = 4000) -> Negotiation:
    def make_key() -> bytes:
        return next(NUMBERS).to_bytes(KEY_BYTES, "big")

    return Negotiation(1, "192.0.2.1", port, (Law.PCMA, Law.PCMU), srtp, make_key)


def agree(caller: Negotiation, callee: Negotiation) -> None:
    caller.accept(callee.answer(caller.offer()))


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ("off", "off", "plain"),
        ("off", "offer", "plain"),
        ("offer", "off", "plain"),
        ("offer", "offer", "encrypted"),
        ("offer", "require", "encrypted"),
        ("require", "offer", "encrypted"),
        ("require", "require", "encrypted"),
        ("off", "require", "refused"),
        ("require", "off", "refused"),
    ],
)
def test_what_two_sides_agree_on(ours: Srtp, theirs: Srtp, outcome: str) -> None:
    caller, callee = side(ours), side(theirs)
    if outcome == "refused":
        with pytest.raises(NoCommonCrypto):
            agree(caller, callee)
        return
    agree(caller, callee)
    assert caller.terms is not None
    assert callee.terms is not None
    mine, yours = caller.terms.keys, callee.terms.keys
    if outcome == "plain":
        assert (mine, yours) == (None, None)
    else:
        assert mine is not None
        assert yours is not None
        assert (mine.send, mine.receive) == (yours.receive, yours.send)
        assert mine.send != mine.receive
        assert mine.suite is yours.suite is Suite.AES_CM_128_HMAC_SHA1_80


def test_required_encryption_is_offered_in_a_profile_that_nothing_plain_can_answer() -> None:
    assert b"RTP/SAVP " in side("require").offer()
    assert b"RTP/AVP " in side("offer").offer()
    assert b"crypto" not in side("off").offer()
    caller = side("require")
    answer = side("off").answer(side("off").offer())
    caller.offer()
    with pytest.raises(NoCommonCrypto):
        caller.accept(answer)
    assert caller.terms is None


def test_far_end_that_takes_the_shorter_tag_gets_it() -> None:
    caller, callee = side("require"), side("require")
    offer = b"\r\n".join(line for line in caller.offer().split(b"\r\n") if b"SHA1_80" not in line)
    caller.accept(callee.answer(offer))
    assert caller.terms is not None
    assert caller.terms.keys is not None
    assert caller.terms.keys.suite is Suite.AES_CM_128_HMAC_SHA1_32


def test_change_of_the_session_keeps_the_keys_of_the_stream() -> None:
    caller, callee = side("require"), side("require")
    agree(caller, callee)
    before = caller.terms and caller.terms.keys
    agree(caller, callee)
    agree(callee, caller)
    assert caller.terms is not None
    assert caller.terms.keys == before


@pytest.mark.parametrize(
    "value",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4",  # an MKI, which nobody here reads
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY} UNAUTHENTICATED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY} KDR=1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{'=' * 40}",
        f"0 AES_CM_128_HMAC_SHA1_80 {KEY}",
        f"1 F8_128_HMAC_SHA1_80 {KEY}",
        f"1 NULL {KEY}",
    ],
)
def test_key_that_would_not_protect_as_we_do_is_passed_over(value: str) -> None:
    assert crypto_lines([value]) == ()
    good = f"2 AES_CM_128_HMAC_SHA1_32 {KEY}|2^31 WSH=128"
    assert crypto_lines([value, good]) == (CryptoLine(2, Suite.AES_CM_128_HMAC_SHA1_32, bytes(30)),)


@given(st.lists(st.text(max_size=80), max_size=40))
def test_any_crypto_lines_give_usable_keys_or_none(values: list[str]) -> None:
    assert all(len(line.key) == KEY_BYTES for line in crypto_lines(values))


@given(st.binary(max_size=400))
def test_whatever_stands_in_a_crypto_line_is_answered_or_refused(junk: bytes) -> None:
    offer = side("require").offer().replace(b"inline:", b"inline:" + junk.replace(b"\n", b""))
    with contextlib.suppress(NoCommonCrypto, NoCommonCodec, BadSessionDescription):
        assert b"RTP/SAVP" in side("require").answer(offer)


def test_keys_show_in_no_representation() -> None:
    caller, callee = side("require"), side("require")
    agree(caller, callee)
    assert caller.terms is not None
    assert caller.terms.keys is not None
    assert repr(caller.terms.keys.send) not in repr(caller.terms)


@pytest.mark.parametrize(
    ("wanted", "transport", "without_tls", "held"),
    [
        ("require", "tls", False, "require"),
        ("offer", "wss", False, "offer"),
        ("offer", "udp", False, "off"),
        ("require", "tcp", False, None),
        ("require", "udp", True, "require"),
        ("off", "udp", False, "off"),
    ],
)
def test_keys_go_only_where_the_signalling_is_secret(
    wanted: Srtp, transport: str, without_tls: bool, held: Srtp | None
) -> None:
    assert srtp_over(wanted, transport, without_tls=without_tls) == held


class Line:
    """Two legs, each the far end of the other, and all packets between them."""

    def __init__(self, srtp: bool = True, writer: Writer | None = None) -> None:
        self.writer = writer or Writer()
        self.wire: list[bytes] = []
        self.control: list[bytes] = []
        self.near, self.far = self._leg("near"), self._leg("far")
        one, two = (bytes([1]) * KEY_BYTES, bytes([2]) * KEY_BYTES) if srtp else (b"", b"")
        self.near.agree(self._terms("near", ("192.0.2.2", 4000), one, two), 0.0)
        self.far.agree(self._terms("far", ("192.0.2.1", 4000), two, one), 0.0)

    def _leg(self, name: str) -> Leg:
        return Leg(
            name,
            send=lambda data, remote: self.wire.append(data),
            send_control=lambda data, remote: self.control.append(data),
            report=lambda event: None,
            rtp_timeout=0.0,
            now=0.0,
            epoch=0.0,
            randomness=random.Random(name),
            writer=self.writer,
        )

    def _terms(self, leg: str, remote: Address, send: bytes, receive: bytes) -> protocol.Agree:
        return protocol.Agree(
            leg=leg,
            remote=remote,
            control=(remote[0], remote[1] + 1),
            receive={8: int(Law.PCMA)},
            send_type=8,
            send_law=int(Law.PCMA),
            event_receive=None,
            event_send=None,
            far_sends=True,
            far_hears=True,
            shared_port=False,
            srtp=("AES_CM_128_HMAC_SHA1_80", send, receive) if send else None,
        )

    def speak(self, count: int = 1, frame: bytes = b"\x55" * 160) -> list[bytes]:
        """Frames of the near leg as they go over the network."""
        self.wire.clear()
        for _ in range(count):
            self.near.outgoing.frame(frame, 1.0)
        return list(self.wire)

    def arrives(self, packet: bytes, source: Address = ("192.0.2.1", 4000)) -> bool:
        """Whether the far leg takes it for audio."""
        before = self.far.incoming.reception.packets
        self.far.take(packet, source, 1.0)
        return self.far.incoming.reception.packets > before


def test_encrypted_audio_arrives_and_shows_nothing_on_the_way() -> None:
    line = Line()
    packets = line.speak(3)
    assert all(b"\x55" * 8 not in packet and len(packet) == 12 + 160 + 10 for packet in packets)
    assert all(line.arrives(packet) for packet in packets)


def test_forged_repeated_and_plain_packets_are_dropped() -> None:
    line = Line()
    first, second = line.speak(2)
    forged = second[:-1] + bytes([second[-1] ^ 1])
    assert line.arrives(first)
    assert not line.arrives(first)
    assert not line.arrives(forged)
    assert not line.arrives(Line(srtp=False).speak()[0])
    assert not line.arrives(b"")
    assert line.arrives(second)
    assert line.far.incoming.dropped == 4


def test_control_packets_are_encrypted_and_forged_ones_dropped() -> None:
    line = Line()
    for packet in line.speak(2):
        line.arrives(packet)
    line.near.close(9.0)
    (goodbye,) = line.control
    dropped = line.far.incoming.dropped
    line.far.take_control(goodbye, ("192.0.2.1", 4001), 9.0)
    assert line.far.incoming.dropped == dropped
    line.far.take_control(goodbye[:-1] + b"x", ("192.0.2.1", 4001), 9.0)
    assert line.far.incoming.dropped == dropped + 1


def test_agreeing_again_on_the_same_keys_goes_on_with_the_stream() -> None:
    line = Line()
    old = line.speak()[0]
    assert line.arrives(old)
    one, two = bytes([1]) * KEY_BYTES, bytes([2]) * KEY_BYTES
    line.far.agree(line._terms("far", ("192.0.2.1", 4000), two, one), 2.0)
    assert not line.arrives(old), "a context made anew would take a repetition"
    assert line.arrives(line.speak()[0])


def test_plain_leg_pays_nothing_for_the_encryption_of_others() -> None:
    line = Line(srtp=False)
    assert line.far.take == line.far.receive
    assert line.arrives(line.speak()[0])
