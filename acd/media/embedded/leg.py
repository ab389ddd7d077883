"""One media leg, without sockets: packets and ticks in, packets and events out.

A leg hears either a source of our own, paced by ticks of 20 ms, or other legs, relayed as they speak.
`listeners` are the legs that hear this one; there may be several.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from acd.media import dtmf, rtcp
from acd.media.embedded import protocol
from acd.media.embedded.incoming import Incoming
from acd.media.embedded.outgoing import Outgoing, Send
from acd.media.embedded.recorder import Recorder
from acd.media.embedded.recordings import Recording
from acd.media.embedded.reports import Reports
from acd.media.embedded.sources import Music, Playback, SilentSource, Source
from acd.media.embedded.srtp import Shield
from acd.media.embedded.writer import Tape, Writer
from acd.media.g711 import SAMPLE_RATE, SILENCE
from acd.media.negotiation import Address
from acd.media.rtp import HEADER, HEADER_BYTES, VERSION, payload_of

_unpack = HEADER.unpack_from
_MAX_DIGITS = 64
_MAX_MUSIC = 4
_SILENCE = SilentSource()

Report = Callable[[protocol.Event], None]
Taker = Callable[[bytes, Address, float], None]


class Leg:
    """State of one leg. Every `now` is in monotonic seconds; `epoch` is the Unix time of their zero."""

    def __init__(
        self,
        name: str,
        *,
        send: Send,
        send_control: Send,
        report: Report,
        rtp_timeout: float,
        now: float,
        epoch: float,
        randomness: random.Random,
        writer: Writer,
    ) -> None:
        self.name = name
        self.incoming = Incoming()
        self.outgoing = Outgoing(
            send,
            ssrc=randomness.getrandbits(32),
            sequence=randomness.getrandbits(15),  # the upper half unused, so the first wrap is far (RFC 3711)
            timestamp=randomness.getrandbits(32),
        )
        self.listeners: tuple[Leg, ...] = ()
        self._hears: Leg | None = None
        self._open_sends = send, send_control
        self._send, self._send_control = send, send_control
        """By which RTCP leaves: the first where it shares the port of RTP."""
        self._shield: Shield | None = None
        self.take: Taker = self.receive
        """What the RTP port brings goes here, that of the RTCP port below; `agree` may change both."""
        self.take_control: Taker = self.receive_control
        self._report = report
        self._rtp_timeout = rtp_timeout
        self._reports = Reports(now, epoch, randomness)
        self._control: Address | None = None
        self._shared_port = False
        self._agreed = self._far_sends = self._timed_out = False
        self._source: Source | None = _SILENCE
        self._digits: deque[Iterator[dtmf.EventPacket | None]] = deque()
        self._music: OrderedDict[str, Music] = OrderedDict()
        self._writer = writer
        self._recorder: Recorder | None = None
        self._tape: Tape | None = None

    # What comes from the network.

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a packet from the RTP port; anything that is not valid RTP of ours is counted as dropped."""
        incoming = self.incoming
        if len(data) < HEADER_BYTES or data[0] & 0xC0 != VERSION:
            incoming.dropped += 1
            return
        first, second, sequence, timestamp, ssrc = _unpack(data)
        payload = data[HEADER_BYTES:] if first == VERSION else payload_of(data)
        kind = second & 0x7F
        law = incoming.laws.get(kind)
        if payload is None or (law is None and kind != incoming.event_type):
            if self._shared_port and rtcp.is_rtcp(second):
                self.receive_control(data, source, now)
            else:
                incoming.dropped += 1
            return
        if source != incoming.source and not self._admit(source, ssrc, sequence):
            incoming.dropped += 1
            return
        incoming.heard_at = now
        reception = incoming.reception
        if ssrc != reception.ssrc:
            reception.restart(ssrc, sequence)
        reception.count(sequence)
        marker = second & 0x80
        if law is None:
            self._take_event(payload, ssrc, sequence, timestamp, marker, now)
            return
        reception.time(timestamp, now * SAMPLE_RATE)
        if self._recorder is not None:
            self._recorder.take(law, payload, ssrc, timestamp, now)
        for listener in self.listeners:
            if not listener._digits:
                listener.outgoing.relay(law, payload, ssrc, sequence, timestamp, marker, now)

    def _admit(self, source: Address, ssrc: int, sequence: int) -> bool:
        if not self.incoming.admit(source, ssrc, sequence):
            return False
        self.outgoing.remote = source  # symmetric RTP (RFC 4961)
        return True

    def _take_event(
        self, payload: bytes, ssrc: int, sequence: int, timestamp: int, marker: int, now: float
    ) -> None:
        digit = self.incoming.digits.receive(ssrc, timestamp, payload, marker=bool(marker))
        if digit is not None:
            self._report(protocol.Digit(self.name, digit))
        for listener in self.listeners:
            if not listener._digits:
                listener.outgoing.relay_event(payload, ssrc, sequence, timestamp, marker, now)

    def receive_control(self, data: bytes, source: Address, now: float) -> None:
        """Take a packet from the RTCP port."""
        known = self.incoming.knows(source[0])
        if not known or not self._reports.receive(data, self.outgoing.ssrc, now):
            self.incoming.dropped += 1
            return
        self._control = source

    # What the clock says.

    @property
    def paced(self) -> bool:
        """Whether the leg wants a tick every 20 ms."""
        return self._agreed and (self._source is not None or bool(self._digits))

    def tick(self, now: float) -> None:
        """Send the next 20 ms."""
        if self._digits:
            self._next_of_digit(now)
            return
        source = self._source
        if source is None:
            return
        frame = source.frame(self.outgoing.law)
        if frame is None:
            self._end_playback(source)
            frame = SILENCE[self.outgoing.law]
        self.outgoing.frame(frame, now)

    def _next_of_digit(self, now: float) -> None:
        for packet in self._digits[0]:
            self.outgoing.event(packet, now)
            return
        self._digits.popleft()
        self.outgoing.change_source()
        self.tick(now)

    def _end_playback(self, source: Source) -> None:
        self._source = _SILENCE
        if isinstance(source, Playback):
            for fault in source.faults:
                self._report(protocol.Problem(self.name, fault))
            self._report(protocol.Ended(self.name, source.name))

    def every_second(self, now: float) -> None:
        """Look whether the far end went silent, write on, and report to it every few seconds."""
        self._look_at_recording(now)
        if not self._agreed:
            return
        if self._far_sends and 0 < self._rtp_timeout < now - self.incoming.heard_at:
            if not self._timed_out:
                self._timed_out = True
                self._report(protocol.TimedOut(self.name))
        else:
            self._timed_out = False
        if self._reports.due(now):
            self._send_report(now, goodbye=False)

    def _send_report(self, now: float, *, goodbye: bool) -> None:
        if self._control is not None:
            data = self._reports.build(self.outgoing, self.incoming.reception, now, goodbye=goodbye)
            (self._send if self._shared_port else self._send_control)(data, self._control)

    # What the engine asks for.

    def agree(self, terms: protocol.Agree, now: float) -> None:
        """Take what negotiation settled."""
        incoming, outgoing = self.incoming, self.outgoing
        self._guard(terms.srtp)
        moved = incoming.expect(terms.remote, terms.receive, terms.event_receive)
        if moved:
            outgoing.remote = terms.remote
        if moved or terms.shared_port != self._shared_port:
            self._control = terms.control
        self._shared_port = terms.shared_port
        outgoing.law, outgoing.payload_type = terms.send_law, terms.send_type
        outgoing.event_type = terms.event_send
        outgoing.open = terms.far_hears and outgoing.remote[1] > 0
        if not self._far_sends or moved or not self._agreed:
            incoming.heard_at = now
        self._far_sends, self._agreed = terms.far_sends, True

    def _guard(self, srtp: tuple[str, bytes, bytes] | None) -> None:
        """Encrypt from now on, or no longer. An unencrypted leg pays nothing for it."""
        send, send_control = self._open_sends
        if srtp is None:
            self._shield = None
            self._send, self._send_control = send, send_control
            self.outgoing.send_by(send)
            self.take, self.take_control = self.receive, self.receive_control
            return
        if self._shield is not None:
            self._shield.change(*srtp)
            return
        self._shield = shield = Shield(*srtp)
        self._send = _through(shield.protect_control, send)
        self._send_control = _through(shield.protect_control, send_control)
        self.outgoing.send_by(_through(shield.protect, send))
        self.take, self.take_control = self._receive_shielded, self._receive_control_shielded

    def _receive_shielded(self, data: bytes, source: Address, now: float) -> None:
        """As `receive`, of what the far end encrypted; anything else is a stranger's."""
        shield = self._shield
        if shield is None or len(data) < HEADER_BYTES:
            self.incoming.dropped += 1
        elif self._shared_port and rtcp.is_rtcp(data[1]):
            self._receive_control_shielded(data, source, now)
        elif packet := shield.open(data):
            self.receive(packet, source, now)
        else:
            self.incoming.dropped += 1

    def _receive_control_shielded(self, data: bytes, source: Address, now: float) -> None:
        packet = self._shield.open_control(data) if self._shield is not None else b""
        if packet:
            self.receive_control(packet, source, now)
        else:
            self.incoming.dropped += 1

    def play(self, name: str, recordings: list[Recording]) -> None:
        self._set_source(Playback(name, recordings))

    def music(self, path: str, recording: Recording) -> None:
        music = self._music.get(path)
        if music is None or music.recording is not recording:
            music = self._music[path] = Music(recording)
        self._music.move_to_end(path)
        if len(self._music) > _MAX_MUSIC:
            self._music.popitem(last=False)
        if recording.fault:
            self._report(protocol.Problem(self.name, recording.fault))
        self._set_source(music)

    def silence(self) -> None:
        self._set_source(_SILENCE)

    def hear(self, other: Leg) -> None:
        """Hear another leg, or oneself."""
        self._set_source(None)
        self._hears = other
        other.listeners = (*other.listeners, self)

    def send_digits(self, digits: str) -> None:
        if self.outgoing.event_type is None:
            self._report(protocol.Problem(self.name, "digits not sent: the far end does not take RFC 4733"))
            return
        room = _MAX_DIGITS - len(self._digits)
        self._digits.extend(dtmf.packets_of(digit) for digit in digits[:room])
        if room < len(digits):
            self._report(protocol.Problem(self.name, f"digits left out: more than {_MAX_DIGITS} wait"))

    def record(self, terms: protocol.Record, now: float) -> None:
        """Write what the far end says from now on; a recording before ends."""
        self.stop_recording()
        self._recorder = Recorder(
            terms.recording, limit_seconds=terms.limit_seconds, silence_seconds=terms.silence_seconds, now=now
        )
        self._tape = self._writer.begin(self.name, terms.recording, terms.file)

    def stop_recording(self, why: str = "stopped") -> None:
        recorder, tape = self._recorder, self._tape
        self._recorder = self._tape = None
        if recorder is not None and tape is not None:
            self._writer.write(tape, recorder.piece(last=True))
            self._writer.finish(tape, why, recorder.sound_samples)

    def _look_at_recording(self, now: float) -> None:
        recorder, tape = self._recorder, self._tape
        if recorder is None or tape is None:
            return
        recorder.look(now)
        if recorder.ended or tape.fault or self._writer.full:
            self.stop_recording(recorder.ended or "overrun")
        else:
            self._writer.write(tape, recorder.piece())

    def _set_source(self, source: Source | None) -> None:
        if self._hears is not None:
            self._hears.listeners = tuple(leg for leg in self._hears.listeners if leg is not self)
            self._hears = None
        self._source = source
        self.outgoing.change_source()

    def close(self, now: float) -> protocol.Closed:
        """Let go of other legs, say goodbye by RTCP, and give the counters."""
        for listener in self.listeners:
            listener.silence()
        self._set_source(_SILENCE)
        self.stop_recording("closed")
        self._send_report(now, goodbye=True)
        incoming, outgoing, reports = self.incoming, self.outgoing, self._reports
        return protocol.Closed(
            leg=self.name,
            received=incoming.reception.packets,
            sent=outgoing.packets,
            lost=incoming.reception.lost,
            dropped=incoming.dropped,
            jitter_seconds=incoming.reception.jitter / SAMPLE_RATE,
            far_lost=reports.far_lost,
            far_jitter_seconds=reports.far_jitter,
            round_trip_seconds=reports.round_trip,
        )


def _through(protect: Callable[[bytes], bytes], send: Send) -> Send:
    def shielded(data: bytes, remote: Address) -> None:
        if packet := protect(data):
            send(packet, remote)

    return shielded
