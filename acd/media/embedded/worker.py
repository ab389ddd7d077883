"""A media worker: a process of its own that owns the sockets of its legs and does nothing but audio.

Started by the engine as `python -m acd.media.embedded.worker FD`, FD being its end of a Unix socket of whole
messages. It ends when that socket does, so it never outlives the service.

One thread: every 2 ms it takes the commands that came, takes what came on all ports at once and sends what is
due. Waking for each packet and command instead would cost a switch of processes each. With no leg it sleeps.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable

from acd.media.embedded import protocol
from acd.media.embedded.leg import Leg
from acd.media.embedded.outgoing import Send
from acd.media.embedded.pacer import SLOT_SECONDS, Pacer
from acd.media.embedded.recordings import Library
from acd.media.embedded.writer import Writer
from acd.media.negotiation import Address

_MAX_PACKET = 2048
_MAX_READY = 1024
_MAX_PACKETS_A_SLOT = 4
"""From one port; what a flood sends beyond this fills its own socket's buffer and is lost."""
_MAX_LAG = 0.2
"""Seconds; when the machine stood still for longer, the missed frames are not sent in a burst."""
_FINISH_SECONDS = 1.0
_MOST_EMPTIED = 1_000
"""Packets to a port before its leg was opened that are thrown away."""
_MAX_WAITING = 10_000
"""Messages to an engine that does not read; beyond this it is gone."""

_Taker = Callable[[bytes, Address, float], None]


class EngineGone(Exception):
    """The service at the other end of the control socket ended or hangs."""


class Worker:
    """The legs of one process, their sockets and the loop."""

    def __init__(self, control: socket.socket, configuration: protocol.Configure) -> None:
        self._control = control
        self._configuration = configuration
        self._family = socket.AF_INET6 if ":" in configuration.address else socket.AF_INET
        self._library = Library(configuration.recordings_bytes)
        self._pacer = Pacer()
        self._writer = Writer()
        self._epoll = select.epoll()
        self._legs: dict[str, Leg] = {}
        self._sockets: dict[str, tuple[socket.socket, socket.socket]] = {}
        self._reserved: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._takers: dict[int, tuple[Callable[[int], tuple[bytes, Address]], _Taker, Leg]] = {}
        self._random = random.SystemRandom()
        self._epoch = time.time() - time.monotonic()
        self._events: list[protocol.Event] = [protocol.Ready()]
        self._unsent: deque[bytes] = deque()
        self._faulty: set[str] = set()

    def run(self) -> None:
        """Serve until the engine is gone."""
        due = time.monotonic()
        self._flush()
        while True:
            if self._legs or self._library.busy or self._writer.busy or self._unsent:
                time.sleep(max(0.0, due - time.monotonic()))
            else:
                select.select([self._control], [], [])
            self._obey()
            now = time.monotonic()
            if now - due > _MAX_LAG:
                due = now
            if now >= due:
                self._drain(now)
                while due <= now:
                    self._pacer.next_slot(now)
                    due += SLOT_SECONDS
                if self._library.busy:
                    self._library.read_some()
                if self._writer.busy:
                    self._events += self._writer.results()
            self._flush()

    def finish(self) -> None:
        """The service is gone: bring what is being recorded to the disk."""
        for leg in self._legs.values():
            leg.stop_recording("closed")
        self._writer.stop(_FINISH_SECONDS)

    def _drain(self, now: float) -> None:
        takers = self._takers
        for _ in range(_MAX_PACKETS_A_SLOT):
            ready = self._epoll.poll(0, _MAX_READY)
            for descriptor, _ in ready:
                receive, take, leg = takers[descriptor]
                try:
                    data, source = receive(_MAX_PACKET)
                except OSError:
                    continue  # an ICMP error of an earlier packet; the far end's silence tells enough
                try:
                    take(data, source, now)
                except Exception as error:
                    # One leg's bad packet must not end the calls of all the others.
                    self._report_fault(leg, error)
            if not ready:
                return

    def _report_fault(self, leg: Leg, error: Exception) -> None:
        leg.incoming.dropped += 1
        if leg.name not in self._faulty:
            self._faulty.add(leg.name)
            self._events.append(protocol.Problem(leg.name, f"packet not understood: {error!r}"))

    def _flush(self) -> None:
        if self._events:
            self._unsent.extend(protocol.encode(self._events))
            self._events.clear()
        while self._unsent:
            try:
                self._control.send(self._unsent[0])
            except BlockingIOError:
                if len(self._unsent) > _MAX_WAITING:
                    raise EngineGone from None
                return
            except OSError as error:
                raise EngineGone from error
            self._unsent.popleft()

    def _obey(self) -> None:
        for _ in range(16):  # then let the audio go on
            try:
                data = self._control.recv(protocol.MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                raise EngineGone from error
            if not data:
                raise EngineGone
            for command in protocol.decode_commands(data):
                if isinstance(command, protocol.Open):
                    self._open(command)
                elif isinstance(command, protocol.Reserve):
                    self._reserve(command.port)
                elif not isinstance(command, protocol.Configure):
                    leg = self._legs.get(command.leg)
                    if leg is not None:
                        self._apply(leg, command)

    def _apply(self, leg: Leg, command: protocol.LegCommand) -> None:
        """Carry out a command for an open leg."""
        match command:
            case protocol.Agree():
                leg.agree(command, time.monotonic())
                self._listen(leg)
            case protocol.Play():
                leg.play(command.playback, [self._library.get(path) for path in command.files])
            case protocol.Music():
                leg.music(command.file, self._library.get(command.file))
            case protocol.Echo():
                leg.hear(leg)
            case protocol.Silence():
                leg.silence()
            case protocol.Bridge():
                self._bridge(leg, command.other)
            case protocol.SendDigits():
                leg.send_digits(command.digits)
            case protocol.Record():
                leg.record(command, time.monotonic())
            case protocol.StopRecording():
                leg.stop_recording()
            case protocol.Close():
                self._close(leg)
                return
        self._pacer.review(leg)

    def _bridge(self, leg: Leg, name: str) -> None:
        other = self._legs.get(name)
        if other is not None:
            leg.hear(other)
            other.hear(leg)
            self._pacer.review(other)

    def _reserve(self, port: int) -> None:
        try:
            self._reserved[port] = self._bind(port)
        except OSError as error:
            self._events.append(protocol.Reserved(port, error.strerror or str(error)))
        else:
            self._events.append(protocol.Reserved(port))

    def _open(self, command: protocol.Open) -> None:
        try:
            if ends := self._reserved.pop(command.port, None):
                rtp, rtcp = map(_emptied, ends)
            else:
                rtp, rtcp = self._bind(command.port)
        except OSError as error:
            self._events.append(protocol.Opened(command.leg, error.strerror or str(error)))
            return
        leg = Leg(
            command.leg,
            send=_sender(rtp),
            send_control=_sender(rtcp),
            report=self._events.append,
            rtp_timeout=self._configuration.rtp_timeout,
            now=time.monotonic(),
            epoch=self._epoch,
            randomness=self._random,
            writer=self._writer,
        )
        self._legs[command.leg] = leg
        self._sockets[command.leg] = rtp, rtcp
        self._pacer.add(leg)
        self._listen(leg)
        for end in (rtp, rtcp):
            self._epoll.register(end.fileno(), select.EPOLLIN)
        self._events.append(protocol.Opened(command.leg))

    def _listen(self, leg: Leg) -> None:
        """Hand what comes on the leg's ports to what the leg takes it by."""
        rtp, rtcp = self._sockets[leg.name]
        self._takers[rtp.fileno()] = rtp.recvfrom, leg.take, leg
        self._takers[rtcp.fileno()] = rtcp.recvfrom, leg.take_control, leg

    def _bind(self, port: int) -> tuple[socket.socket, socket.socket]:
        rtp = self._bound(port)
        try:
            return rtp, self._bound(port + 1)
        except OSError:
            rtp.close()
            raise

    def _bound(self, port: int) -> socket.socket:
        end = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            end.setblocking(False)
            end.bind((self._configuration.address, port))
        except OSError:
            end.close()
            raise
        return end

    def _close(self, leg: Leg) -> None:
        listeners = leg.listeners
        self._events.append(leg.close(time.monotonic()))
        self._pacer.remove(leg)
        for listener in listeners:
            if listener is not leg:
                self._pacer.review(listener)
        del self._legs[leg.name]
        self._faulty.discard(leg.name)
        for end in self._sockets.pop(leg.name):
            del self._takers[end.fileno()]
            self._epoll.unregister(end.fileno())
            end.close()


def _emptied(end: socket.socket) -> socket.socket:
    """Without what somebody sent to it before there was a leg; a flood goes on and is the leg's to judge."""
    for _ in range(_MOST_EMPTIED):
        try:
            end.recv(_MAX_PACKET)
        except OSError:
            break
    return end


def _sender(end: socket.socket) -> Send:
    sendto = end.sendto

    def send(data: bytes, remote: Address) -> None:
        try:
            sendto(data, remote)
        except OSError:
            return  # no route or a full buffer: a lost packet, which the far end counts and reports

    return send


def _raise_limits() -> None:
    """Two sockets a leg soon pass the usual limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    # A terminal or an init system signals the whole group; calls end when the service says so.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _raise_limits()
    control = socket.socket(fileno=int(sys.argv[1]))
    first = control.recv(protocol.MAX_MESSAGE)
    if not first:
        return
    commands = protocol.decode_commands(first)
    configuration = commands[0]
    if len(commands) != 1 or not isinstance(configuration, protocol.Configure):
        raise SystemExit("a media worker is started by the engine, which configures it first")
    control.setblocking(False)
    gc.collect()
    gc.freeze()
    worker = Worker(control, configuration)
    try:
        worker.run()
    except EngineGone:
        worker.finish()
        os._exit(0)  # nothing is left to say, and sockets close with the process


if __name__ == "__main__":
    main()
