"""pyVoIP's RTP client, repaired: one thread a call, steady pace, A-law that is A-law, digits by RFC 4733."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from typing import Any

from pyVoIP.RTP import PayloadType, RTPClient

from acd.demo.phones.voice import FRAME_SAMPLES, FRAME_SECONDS, Ear, encode

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_DIGITS = "0123456789*#ABCD"
_DIGIT_FRAMES = 5
_VERSION = 0x80
_MARKER = 0x80
_MAX_DATAGRAM = 2048
_AUDIO_TYPES = (0, 8)


class RepairedRtp(RTPClient):
    """Sends `voice` (20 ms PCM frames, over and over; silence if empty); `ear` gets what it hears."""

    def __init__(self, *args: Any, ear: Ear, voice: tuple[bytes, ...] = ()) -> None:
        super().__init__(*args)
        self.ear = ear
        self.voice = voice
        self.sending = True
        self._digits: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._event_type = next((key for key, kind in self.assoc.items() if kind is PayloadType.EVENT), None)

    def start(self) -> None:
        """Bind and begin, in one thread; pyVoIP has two that poll."""
        self.sin = self.sout = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sin.bind((self.inIP, self.inPort))
        self.sin.setblocking(False)
        threading.Thread(target=self._run, name=f"rtp {self.inPort}", daemon=True).start()

    def press(self, digits: str) -> None:
        """Send digits, 100 ms each, as soon as those before are out."""
        for digit in digits:
            self._digits.put(digit)

    def _run(self) -> None:
        due = time.monotonic()
        frame = 0
        pressed: tuple[int, int, int] | None = None
        while self.NSD:
            self._drain()
            if pressed is None and not self._digits.empty():
                pressed = (_DIGITS.index(self._digits.get()), self.outTimestamp, 0)
            if pressed is not None:
                pressed = self._send_digit(*pressed)
            elif self.sending:
                payload_type = int(self.preference)
                pcm = self.voice[frame % len(self.voice)] if self.voice else bytes(FRAME_SAMPLES * 2)
                self._send(payload_type, self.outTimestamp, encode(pcm, payload_type))
            frame += 1
            self.outTimestamp = (self.outTimestamp + FRAME_SAMPLES) & 0xFFFFFFFF
            due += FRAME_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))

    def _send_digit(self, event: int, started: int, frame: int) -> tuple[int, int, int] | None:
        """One more packet of a digit: growing duration, the end three times (RFC 4733 section 2.5.1)."""
        if self._event_type is None:
            return None
        end = frame >= _DIGIT_FRAMES
        duration = FRAME_SAMPLES * min(frame + 1, _DIGIT_FRAMES)
        payload = _EVENT.pack(event, 0x8A if end else 0x0A, duration)
        self._send(self._event_type | (0 if frame else _MARKER), started, payload)
        return (event, started, frame + 1) if frame < _DIGIT_FRAMES + 2 else None

    def _send(self, kind: int, timestamp: int, payload: bytes) -> None:
        header = _HEADER.pack(_VERSION, kind, self.outSequence, timestamp, self.outSSRC)
        self.outSequence = (self.outSequence + 1) & 0xFFFF
        try:
            self.sout.sendto(header + payload, (self.outIP, self.outPort))
        except OSError:
            # The far port may be gone already, and the socket closes while this thread is on its way.
            self.NSD = self.NSD and self.sout.fileno() >= 0

    def _drain(self) -> None:
        while self.NSD:
            try:
                packet = self.sin.recv(_MAX_DATAGRAM)
            except OSError:  # nothing there, a port unreachable, or closed under us
                return
            self.parse_packet(packet)

    def parse_packet(self, packet: bytes) -> None:
        """Hand audio to the ear. pyVoIP's own buffer is as long as the timestamp says, up to gigabytes."""
        if len(packet) <= _HEADER.size or packet[0] >> 6 != 2:
            return
        payload_type = packet[1] & 0x7F
        if payload_type in _AUDIO_TYPES:
            self.ear.listen(packet[_HEADER.size :], payload_type)
