"""The MediaEngine whose audio is made by worker processes of our own."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import structlog

from acd.clock import Clock
from acd.config import MediaSection
from acd.directory.model import Srtp
from acd.errors import AcdError, BadSessionDescription, ConfigError, MediaUnavailable
from acd.media.crypto import KEY_BYTES, Keys
from acd.media.embedded import protocol
from acd.media.embedded.places import Place, share_ports
from acd.media.embedded.ports import PortPool
from acd.media.embedded.process import WorkerProcess
from acd.media.engine import (
    DigitReceived,
    Direction,
    LegStatistics,
    MediaEvent,
    MediaFailed,
    MediaTimedOut,
    PlaybackEnded,
    RecordingEnd,
    RecordingEnded,
)
from acd.media.g711 import Law
from acd.media.negotiation import Negotiation

_ANSWER_SECONDS = 5.0
"""A worker that says nothing for so long hangs."""
_ATTEMPTS = 32
"""Ports to try that other programs may have."""
_RECORDINGS_BYTES = 64 * 1024 * 1024

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")


@dataclass(slots=True, eq=False)
class _Leg:
    name: str
    place: Place
    port: int
    negotiation: Negotiation
    failed: bool = False


class EmbeddedEngine:
    """Opens legs on the workers of this node and keeps their negotiation."""

    def __init__(self, settings: MediaSection, clock: Clock) -> None:
        """Raises ConfigError where the settings name no address that far ends can send to."""
        self._settings = settings
        self._clock = clock
        self._address = settings.advertise or settings.address
        if not settings.advertise and ipaddress.ip_address(settings.address).is_unspecified:
            raise ConfigError(
                f"media.address is {settings.address}: name in media.advertise the address that phones reach"
            )
        self._preference = tuple(Law[name] for name in settings.codecs)
        self._handler: Callable[[MediaEvent], None] = _ignore
        self._legs: dict[str, _Leg] = {}
        self._recordings: dict[str, _Leg] = {}
        """The legs that are, or were, recorded, by recordings that are not over."""
        self._opening: dict[str, tuple[Place, asyncio.Future[str]]] = {}
        self._closing: dict[str, tuple[Place, asyncio.Future[LegStatistics]]] = {}
        self._places = [self._place(pool) for pool in share_ports(settings.port_range, settings.workers)]

    def _place(self, ports: PortPool) -> Place:
        configuration = protocol.Configure(
            self._settings.address, self._settings.rtp_timeout_seconds, _RECORDINGS_BYTES
        )
        place: Place
        worker = WorkerProcess(
            configuration, self._clock, lambda events: self._take(place, events), lambda: self._lose(place)
        )
        place = Place(worker, ports)
        return place

    # For metrics and health.

    @property
    def live_legs(self) -> int:
        return len(self._legs)

    @property
    def ports_free(self) -> int:
        """Pairs of ports that no leg has."""
        return sum(place.ports_free for place in self._places)

    @property
    def ports_total(self) -> int:
        return sum(place.ports.size for place in self._places)

    @property
    def workers_alive(self) -> int:
        return sum(place.worker.alive for place in self._places)

    @property
    def worker_restarts(self) -> int:
        return sum(place.worker.restarts for place in self._places)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        return tuple(place.worker.pid for place in self._places)

    # MediaEngine.

    async def start(self) -> None:
        """Returns when every worker is ready. Raises MediaUnavailable."""
        try:
            await asyncio.gather(*(place.worker.start() for place in self._places))
        except MediaUnavailable:
            await self.stop()
            raise

    async def stop(self) -> None:
        await asyncio.gather(*(place.worker.stop() for place in self._places))
        for place in self._places:
            self._settle(place)

    def subscribe(self, handler: Callable[[MediaEvent], None]) -> None:
        self._handler = handler

    async def answer(self, leg: str, offer: bytes, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        opened = await self._open(leg, near, srtp)
        try:
            answer = opened.negotiation.answer(offer)
        except AcdError:
            await self.close(leg)
            raise
        self._agree(opened)
        return answer

    async def offer(self, leg: str, *, near: str | None = None, srtp: Srtp = "off") -> bytes:
        return (await self._open(leg, near, srtp)).negotiation.offer()

    def apply_answer(self, leg: str, answer: bytes, *, early: bool = False) -> Direction:
        known = self._known(leg)
        known.negotiation.accept(answer, early=early)
        return self._agree(known)

    def reanswer(self, leg: str, offer: bytes | None) -> tuple[bytes, Direction]:
        known = self._known(leg)
        if offer is None:
            terms = known.negotiation.terms
            return known.negotiation.offer(), "sendrecv" if terms is None else terms.direction
        answer = known.negotiation.answer(offer)
        return answer, self._agree(known)

    def play(self, leg: str, playback: str, files: Sequence[Path]) -> None:
        self._command(protocol.Play(leg, playback, [str(file) for file in files]))

    def music(self, leg: str, file: Path) -> None:
        self._command(protocol.Music(leg, str(file)))

    def echo(self, leg: str) -> None:
        self._command(protocol.Echo(leg))

    def silence(self, leg: str) -> None:
        self._command(protocol.Silence(leg))

    def bridge(self, leg: str, other: str) -> None:
        """Raises MediaUnavailable where the legs were not opened near each other."""
        one, two = self._legs.get(leg), self._legs.get(other)
        if one is not None and two is not None and one.place is not two.place:
            raise MediaUnavailable(f"legs {leg} and {other} are on different media workers")
        self._command(protocol.Bridge(leg, other))

    def send_digits(self, leg: str, digits: str) -> None:
        self._command(protocol.SendDigits(leg, digits))

    def record(
        self, leg: str, recording: str, file: Path, *, limit_seconds: float, silence_seconds: float = 0.0
    ) -> None:
        known = self._legs.get(leg)
        if known is None or known.failed or not known.place.worker.alive:
            asyncio.get_running_loop().call_soon(self._end_recording, _lost(leg, recording))
            return
        self._recordings[recording] = known
        self._command(protocol.Record(leg, recording, str(file), limit_seconds, silence_seconds))

    def stop_recording(self, leg: str) -> None:
        self._command(protocol.StopRecording(leg))

    async def close(self, leg: str) -> LegStatistics:
        known = self._legs.pop(leg, None)
        if known is None:
            return LegStatistics()
        try:
            statistics = self._located(known, await self._close_remote(known))
        finally:
            known.place.legs -= 1
            known.place.ports.give_back(known.port, self._clock.monotonic())
        return statistics

    def _located(self, leg: _Leg, statistics: LegStatistics) -> LegStatistics:
        terms = leg.negotiation.terms
        local = (self._address, leg.port)
        if terms is None:
            return replace(statistics, local=local)
        return replace(statistics, local=local, remote=terms.remote, codec=terms.send_law.name)

    # Opening and closing.

    async def _open(self, name: str, near: str | None, srtp: Srtp) -> _Leg:
        if name in self._legs or name in self._opening:
            raise ValueError(f"media leg {name} is open already")
        place = self._choose(near)
        held = place.reserved.popleft() if place.reserved else None
        place.reserve(self._clock.monotonic())
        if held is not None:
            place.worker.send(protocol.Open(name, held))
            place.legs += 1
            return self._opened(name, place, held, srtp)
        for _ in range(_ATTEMPTS):
            port = place.ports.take(self._clock.monotonic())
            if port is None:
                raise MediaUnavailable("every media port is in use")
            fault = await self._open_at(name, place, port)
            if not fault:
                return self._opened(name, place, port, srtp)
            _log.warning("media_port_taken", port=port, fault=fault)
        raise MediaUnavailable("other programs have the media ports that were tried")

    def _opened(self, name: str, place: Place, port: int, srtp: Srtp) -> _Leg:
        negotiation = Negotiation(
            secrets.randbits(48), self._address, port, self._preference, srtp, _make_key
        )
        leg = self._legs[name] = _Leg(name, place, port, negotiation)
        return leg

    async def _open_at(self, name: str, place: Place, port: int) -> str:
        """Ask the worker to bind a port; the fault, or nothing where it did."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._opening[name] = place, done
        place.legs += 1
        kept = False
        try:
            place.worker.send(protocol.Open(name, port))
            async with asyncio.timeout(_ANSWER_SECONDS):
                fault = await done
            kept = not fault
            if fault:
                place.ports.leave(port, self._clock.monotonic())
                return fault
            return ""
        except BaseException as error:
            place.worker.send(protocol.Close(name))
            place.ports.give_back(port, self._clock.monotonic())
            if isinstance(error, TimeoutError):
                place.worker.abandon()
                raise MediaUnavailable("the media worker does not answer") from None
            raise
        finally:
            del self._opening[name]
            place.legs -= not kept

    def _choose(self, near: str | None) -> Place:
        beside = self._legs.get(near) if near is not None else None
        if beside is not None and beside.place.worker.alive:
            return beside.place
        alive = [place for place in self._places if place.worker.alive]
        if not alive:
            raise MediaUnavailable("no media worker is alive")
        return min(alive, key=lambda place: place.legs)

    async def _close_remote(self, leg: _Leg) -> LegStatistics:
        if leg.failed or not leg.place.worker.alive:
            return LegStatistics()
        done: asyncio.Future[LegStatistics] = asyncio.get_running_loop().create_future()
        self._closing[leg.name] = leg.place, done
        leg.place.worker.send(protocol.Close(leg.name))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await done
        except TimeoutError:
            leg.place.worker.abandon()
            return LegStatistics()
        finally:
            self._closing.pop(leg.name, None)

    # Commands and events.

    def _known(self, leg: str) -> _Leg:
        known = self._legs.get(leg)
        if known is None:
            raise MediaUnavailable(f"no media leg {leg}")
        return known

    def _command(self, command: protocol.LegCommand) -> None:
        """Commands for a leg that closed meanwhile are passed over."""
        known = self._legs.get(command.leg)
        if known is not None and not known.failed:
            known.place.worker.send(command)

    def _agree(self, leg: _Leg) -> Direction:
        terms = leg.negotiation.terms
        if terms is None:
            raise BadSessionDescription("nothing was negotiated")
        command = protocol.Agree(
            leg=leg.name,
            remote=terms.remote,
            control=terms.control,
            receive={number: int(law) for number, law in terms.receive.items()},
            send_type=terms.send_type,
            send_law=int(terms.send_law),
            event_receive=terms.event_receive,
            event_send=terms.event_send,
            far_sends=terms.direction in ("sendrecv", "sendonly"),
            far_hears=terms.direction in ("sendrecv", "recvonly"),
            shared_port=terms.shared_port,
            srtp=_srtp(terms.keys),
        )
        self._command(command)
        return terms.direction

    def _take(self, place: Place, events: list[protocol.Event]) -> None:
        for event in events:
            match event:
                case protocol.Ready() | protocol.Reserved():
                    place.settle_reserved(event, self._clock.monotonic())
                case protocol.Opened():
                    if event.leg in self._opening:
                        _resolve(self._opening[event.leg][1], event.fault)
                case protocol.Closed():
                    if event.leg in self._closing:
                        _resolve(self._closing[event.leg][1], _statistics(event))
                case protocol.Digit():
                    self._tell(DigitReceived(event.leg, event.digit))
                case protocol.Ended():
                    self._tell(PlaybackEnded(event.leg, event.playback))
                case protocol.TimedOut():
                    self._tell(MediaTimedOut(event.leg))
                case protocol.Recorded():
                    self._end_recording(_recorded(event))
                case protocol.Problem():
                    _log.warning("media_problem", leg=event.leg, problem=event.text)

    def _end_recording(self, event: RecordingEnded) -> None:
        self._recordings.pop(event.recording, None)
        self._tell(event)

    def _tell(self, event: MediaEvent) -> None:
        if event.leg not in self._legs and not isinstance(event, RecordingEnded):
            return  # it was under way while the leg closed
        try:
            self._handler(event)
        except Exception:
            # A fault in one call's handling must not keep the other calls' events from them.
            _log.exception("media_event_not_handled", leg=event.leg)

    def _lose(self, place: Place) -> None:
        """The worker died: its legs have no media any more."""
        self._settle(place)
        place.give_up_reserved(self._clock.monotonic())
        for leg in [leg for leg in self._legs.values() if leg.place is place and not leg.failed]:
            leg.failed = True
            self._tell(MediaFailed(leg.name))
        for recording, recorded in list(self._recordings.items()):
            if recorded.place is place:
                self._end_recording(_lost(recorded.name, recording))

    def _settle(self, place: Place) -> None:
        """Nobody waits for an answer of a worker that is gone."""
        for where, opened in self._opening.values():
            if where is place and not opened.done():
                opened.set_exception(MediaUnavailable("the media worker died"))
        for where, closed in self._closing.values():
            if where is place:
                _resolve(closed, LegStatistics())


def _ignore(event: MediaEvent) -> None:
    """Before anyone subscribed there is nobody to tell."""


def _make_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _srtp(keys: Keys | None) -> tuple[str, bytes, bytes] | None:
    return None if keys is None else (keys.suite.value, keys.send, keys.receive)


def _resolve(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)


def _recorded(event: protocol.Recorded) -> RecordingEnded:
    why: RecordingEnd = cast(RecordingEnd, event.why)
    return RecordingEnded(event.leg, event.recording, event.seconds, event.sound_seconds, why)


def _lost(leg: str, recording: str) -> RecordingEnded:
    """What is known of a recording whose worker died."""
    return RecordingEnded(leg, recording, 0.0, 0.0, "failed")


def _statistics(closed: protocol.Closed) -> LegStatistics:
    return LegStatistics(
        packets_received=closed.received,
        packets_sent=closed.sent,
        packets_lost=closed.lost,
        packets_dropped=closed.dropped,
        jitter_seconds=closed.jitter_seconds,
        far_packets_lost=closed.far_lost,
        far_jitter_seconds=closed.far_jitter_seconds,
        round_trip_seconds=closed.round_trip_seconds,
    )
