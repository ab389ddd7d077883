"""The one place where everything is constructed, wired, started and stopped; its storage by `acd.storage`.

Start order: store, database, directory, media, SIP, routing, control plane; stopping goes the other way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import structlog

from acd.agents.attendance import Attendance
from acd.agents.desk import AgentDesk
from acd.agents.notebook import Notebook
from acd.agents.outside_calls import OutsideCalls
from acd.callers.book import CallerBook
from acd.callers.lookup import Lookups
from acd.calls.facts import Observer
from acd.calls.keeper import CallbackKeeper
from acd.calls.kept_callbacks import KeptCallbacks
from acd.calls.lookout import Lookout
from acd.calls.ports import Services
from acd.calls.steps.context import NO_QUEUES, Context
from acd.calls.supervisor import CallSupervisor
from acd.config import Settings
from acd.control.app import ControlServer
from acd.control.once import OnceStore
from acd.control.orders import NodeOrders, carry_out
from acd.control.ports import ControlContext
from acd.control.tokens import TokenStore
from acd.directory.model import Directory
from acd.errors import ConfigError
from acd.files import FileWatch
from acd.flows import find_loose_ends, load_flows, load_prompts
from acd.forecast import Forecast
from acd.history.callbacks import CallbackRestorer, SqlRegister
from acd.history.contacts import ContactReader
from acd.history.duties import NoteDuties
from acd.history.elsewhere import CallsElsewhere
from acd.history.heir import Heir
from acd.history.reader import RecordReader
from acd.media.embedded.engine import EmbeddedEngine
from acd.media.engine import MediaEvent
from acd.metrics import Metrics, NodeCounts
from acd.metrics.leg_reports import LegReports
from acd.sip.core.events import Flow
from acd.sip.core.uri import format_host
from acd.sip.service import SipService
from acd.sip.site import Site
from acd.sip.watching import MessageCount
from acd.storage import Storage
from acd.voicemail.keeper import MessageKeeper
from acd.voicemail.store import MessageStore
from acd.webhooks.courier import Courier
from routing.engine import RoutingEngine
from routing.store.event_log import EventLog
from routing.store.redis_store import RedisQueueStore

log = structlog.get_logger(__name__)

_STALE_DIRECTORY_SECONDS = 30.0


class Part(Protocol):
    """What works by itself from its start until it is stopped."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Node:
    """One node of the service, from nothing to taking calls and back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = AsyncExitStack()
        self._prompts = load_prompts(settings)
        self._flows = load_flows(settings, self._prompts)
        self._storage = Storage(settings)
        self._clock, self._directory = self._storage.clock, self._storage.directory
        self._media = EmbeddedEngine(settings.media, self._clock)
        self._started = False

    # Start.

    async def start(self) -> None:
        """Take calls. Raises AcdError or OSError naming what is missing; nothing is then left running."""
        try:
            await self._storage.start(self._running)
            await self._start_calls()
            await self._start_control()
        except BaseException:
            await self._running.aclose()
            raise
        self._started = True
        log.info("ready", sip=[_address(flow) for flow in self._sip.listening], api=self._http.url)

    async def _start_calls(self) -> None:
        """First everything is made, then it starts: what others need before them, callers and phones last."""
        self._make_store()
        self._make_sip()
        self._make_calls()
        self._keep_running(self._webhooks, self._outside_calls, self._duties, self._register)
        self._running.push_async_callback(self._lookups.close)
        await self._start_media()
        await self._recover()
        await self._routing.start()
        self._running.push_async_callback(self._routing.stop)
        self._keep_running(self._desk)
        self._directory.subscribe(self._directory_changed)
        await self._start_sip()
        self._keep_running(
            self._keeper,
            self._restorer,
            self._forecast,
            self._attendance,
            self._lookout,
            self._heir,
            FileWatch(),
        )

    def _make_store(self) -> None:
        """The store, and who counts and foresees by what it knows."""
        self._store = RedisQueueStore(self._storage.redis, self._settings.node.site)
        self._register = SqlRegister(self._storage.engine, self._clock)
        self._store.callbacks = kept = KeptCallbacks(self._store.callbacks, self._register)
        self._restorer = CallbackRestorer(
            kept, self._clock, lambda n: self._routing.outages.note_said_again({"callbacks-kept": n})
        )
        self._running.push_async_callback(self._store.close)
        self._metrics = Metrics(
            node_id=self._settings.node.id,
            clock=self._clock,
            directory=self._directory.current,
            store=self._store,
            counts=self._counts,
            expected_waits=lambda: self._forecast.of_queues(),
            unseen_callers=lambda: self._forecast.unseen,
            routing_classes=lambda: self._forecast.classes,
        )
        self._forecast = Forecast(self._store, self._clock, self._directory.current, self._metrics)
        self._attendance = Attendance(self._store, self._clock, self._directory.current)
        self._lookout = Lookout(
            self._store, self._clock, self._forecast, lambda: self._calls.waiting_places()
        )

    def _make_sip(self) -> None:
        """SIP, the agents behind its phones, and the messages that their lamps tell of."""
        node, directory = self._settings.node, self._directory.current
        self._site = Site(self._storage.redis, node, self._clock)
        self._messages = MessageKeeper(
            node.id,
            MessageStore(self._storage.engine),
            self._settings.voicemail_dir,
            self._clock,
            directory,
            changed=lambda box: self._sip.lamps.messages_changed(box),
        )
        self._sip = SipService(
            self._settings, self._clock, directory, self._site, messages=self._message_count
        )
        self._desk = AgentDesk(
            node.id,
            self._store,
            self._clock,
            directory,
            self._sip.phones,
            Notebook(self._storage.notes, self._storage.refusals, self._clock, directory),
        )
        self._site.subscribe(self._desk.nodes_gone)
        nodes = self._site.nodes
        self._outside_calls = OutsideCalls(
            self._storage.redis,
            site=node.site,
            node=node.id,
            process=nodes.facts.process,
            look=nodes.look,
            lives=nodes.lives,
        )

    def _make_calls(self) -> None:
        """The calls, what is told and asked of them, and who takes up those of others."""
        node, settings = self._settings.node, self._settings
        self._webhooks = Courier(
            settings.webhooks, self._clock, self._directory.current, lambda call_id: self._calls.find(call_id)
        )
        self._lookups = Lookups(settings.lookups, self._clock, self._metrics)
        self._duties = NoteDuties(
            self._storage.notes, self._storage.refusals, self._clock, self._directory.current, self._metrics
        )

        self._calls = CallSupervisor(node.id, self._services())
        self._routing = RoutingEngine(
            self._store,
            node.id,
            lambda: round(self._clock.time() * 1000),
            round(node.lease_seconds * 1000),
            on_message=self._calls.on_routing,
            on_store_back=self._say_everything_again,
            is_live=self._calls.is_live,
            queues=lambda: {*NO_QUEUES, *self._directory.current().queues},
            others=lambda: self._site.nodes.up,
        )
        self._keeper = CallbackKeeper(
            node.id,
            self._store.callbacks,
            self._clock,
            self._calls.make_callback,
            lambda: not self._sip.draining,
        )
        self._heir = Heir(
            self._storage.history.journal,
            self._clock,
            node.lease_seconds,
            self._site.nodes.is_up,
            self._calls.recover,
        )

    async def _start_media(self) -> None:
        await self._media.start()
        self._running.push_async_callback(self._media.stop)
        self._media.subscribe(self._on_media)
        try:
            await self._messages.start()
        except OSError as error:
            raise ConfigError(f"voicemail.dir: no messages can be kept there: {error}") from error
        self._running.push_async_callback(self._messages.stop)

    async def _start_sip(self) -> None:
        self._sip.subscribe(
            on_call=self._calls.on_call,
            on_leg=self._calls.on_leg,
            on_registration=self._desk.phone_changed,
        )
        await self._sip.start()
        self._running.push_async_callback(self._sip.stop)
        await self._desk.sign_out_removed()
        await self._desk.settle()

    def _keep_running(self, *parts: Part) -> None:
        for part in parts:
            part.start()
            self._running.push_async_callback(part.stop)

    def _on_media(self, event: MediaEvent) -> None:
        """What is recorded is kept whatever becomes of its call."""
        self._messages.on_media(event)
        self._calls.on_media(event)

    def _message_count(self, box: str) -> MessageCount:
        found = self._messages.count(box)
        return MessageCount(found.new, found.heard)

    def _services(self) -> Services:
        self._context = self._make_context(self._directory.current())
        self._tell_loose_ends()
        return Services(
            sip=self._sip,
            media=self._media,
            store=self._store,
            journal=self._storage.history.journal,
            prompts=self._prompts,
            clock=self._clock,
            context=lambda: self._context,
            observers=self._observers(),
            desk=self._desk,
            do_not_call=self._storage.do_not_call,
            lookout=self._lookout,
            attendance=self._attendance,
            messages=self._messages,
            outside=self._outside_calls,
            phones=self._site.board.changed,
            callers=CallerBook(
                self._directory.current,
                self._storage.lists.members,
                ContactReader(self._storage.engine),
                self._lookups,
            ),
        )

    def _observers(self) -> tuple[Observer, ...]:
        usual = (self._metrics, self._forecast, self._webhooks, self._duties)
        if not (self._settings.trace.hep and self._settings.trace.hep_reports):
            return usual
        return (*usual, LegReports(self._sip.tracer, self._clock))

    async def _recover(self) -> None:
        """Write a record for each call that a crash of this node cut off."""
        journal = self._storage.history.journal
        self._calls.recover(await journal.recover(self._settings.node.id), self._clock.time())

    async def _start_control(self) -> None:
        self._metrics.start(self._sip.lagged)
        self._running.callback(self._metrics.stop)
        orders = NodeOrders(
            self._storage.redis,
            site=self._settings.node.site,
            node=self._settings.node.id,
            clock=self._clock,
            do=lambda order: carry_out(self._calls, self._sip.tracer.follow, order),
        )
        self._keep_running(orders)
        context = ControlContext(
            directory=self._directory.current,
            store=self._store,
            calls=self._calls,
            calls_elsewhere=CallsElsewhere(
                self._storage.redis,
                site=self._settings.node.site,
                nodes=lambda: self._site.nodes.up,
                clock=self._clock,
                context=lambda: self._context,
            ),
            orders=orders,
            onces=OnceStore(self._storage.redis, site=self._settings.node.site, clock=self._clock),
            agents=self._desk,
            records=RecordReader(self._storage.engine, self._clock),
            notes=self._storage.notes,
            refusals=self._storage.refusals,
            callbacks=self._store.callbacks,
            caller_lists=self._storage.lists,
            do_not_call=self._storage.do_not_call,
            messages=self._messages,
            tokens=TokenStore(self._storage.engine, self._clock),
            metrics=self._metrics,
            ready=self._ready,
            tracer=self._sip.tracer,
            trunks=lambda: self._sip.figures.trunks,
            forecast=self._forecast,
            events=EventLog(self._storage.redis, self._settings.node.site),
            clock=self._clock,
        )
        self._http = ControlServer(context, *self._settings.http.address)
        await self._http.start()
        self._running.push_async_callback(self._http.stop)

    # While it runs.

    def _make_context(self, directory: Directory) -> Context:
        return Context(directory, self._flows, self._settings.ivr.default_language)

    def _directory_changed(self, before: Directory, after: Directory) -> None:
        self._context = self._make_context(after)
        self._tell_loose_ends()
        self._desk.directory_changed()
        self._webhooks.directory_changed()

    async def _say_everything_again(self, lost: bool) -> Mapping[str, int]:
        """The store was away, took us for dead or lost something: it is an index, and we are the truth."""
        self._lookout.distrust()
        self._outside_calls.say_again()
        self._site.board.say_again()
        if not lost:
            calls = self._calls.reassert()
            return {**calls, "agents": await self._desk.say_again()}
        self._restorer.ask()
        callbacks = await self._store.callbacks.say_again(round(self._clock.time() * 1000))
        calls = await self._calls.correct()
        return {
            **calls,
            "callbacks": callbacks,
            "phones": self._sip.say_phones_again(),
            "records": self._storage.history.journal.say_again(),
            "agents": await self._desk.say_again(lost=True),
        }

    def reload(self) -> None:
        """Read flows, prompts and the certificate again; on an error the old ones stay in use."""
        try:
            self._flows = load_flows(self._settings, self._prompts)
            self._sip.reload_certificate()
        except ConfigError as error:
            log.error("reload-refused", error=str(error))
            return
        self._context = self._make_context(self._directory.current())
        self._tell_loose_ends()
        log.info("reloaded", flows=len(self._flows))

    def _tell_loose_ends(self) -> None:
        """Flows can change on the disk after the directory was checked against them; calls go on."""
        for problem in find_loose_ends(self._directory.current(), self._flows, self._prompts):
            log.warning("flow-leads-nowhere", problem=problem)

    def _ready(self) -> Mapping[str, bool]:
        return {
            "redis": not self._routing.store_away,
            "database": self._directory.age_seconds < _STALE_DIRECTORY_SECONDS,
            "media": self._media.workers_alive > 0,
            "sip": self._started and not self._sip.draining,
            "load": not self._started or not self._sip.overloaded,
        }

    def _counts(self) -> NodeCounts:
        sip = self._sip.figures
        return NodeCounts(
            calls=Counter(call.state for call in self._calls.live()),
            trunks=sip.trunks,
            sip_responses=sip.responses,
            sip_rejected=sip.rejected,
            sip_dropped=sip.dropped,
            sip_retransmissions=sip.retransmissions,
            sip_connections=sip.connections,
            sip_connections_broken=sip.broken_connections,
            sip_registrations=sip.registrations,
            sip_subscriptions=len(self._sip.lamps),
            webhook_outcomes=self._webhooks.outcomes,
            webhook_waiting=self._webhooks.waiting,
            sip_passed=sip.passed,
            nodes_up=sip.nodes_up,
            clock_ahead=self._clock.machine_ahead,
            redis_outages=self._routing.outages.counts,
            redis_scripts_reloaded=self._store.scripts_reloaded,
            said_again=self._routing.outages.said_again,
            media_legs=self._media.live_legs,
            media_ports_free=self._media.ports_free,
            media_ports=self._media.ports_total,
            media_worker_restarts=self._media.worker_restarts,
            messages=self._messages.by_kind(),
            messages_taken=self._messages.taken,
            messages_lost=self._messages.lost,
            draining=self._sip.draining,
            overloaded=self._sip.overloaded,
        )

    # Stop.

    async def stop(self, drain_seconds: float) -> None:
        """Take no new call, let live ones end for so long, end the rest, and release everything."""
        self._sip.drain()
        await self._calls.drain(drain_seconds)
        await self._running.aclose()
        log.info("stopped")


def _address(flow: Flow) -> str:
    return f"{flow.transport}:{format_host(*flow.local)}"
