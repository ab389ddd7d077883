"""A SipService on loopback sockets with a small directory, and everything that it told its subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

from redis.asyncio import Redis

from acd.clock import Clock
from acd.config import Listen, NodeSection, Settings, SipSection
from acd.directory.model import Agent, Directory, Number, Trunk
from acd.sip.core.events import LegEnded, SipEvent
from acd.sip.incoming import IncomingCall
from acd.sip.service import SipService
from acd.sip.site import Site
from tests.support.clock import FakeClock
from tests.support.credentials import ha1
from tests.support.net import patience
from tests.support.sip_client import SipClient

PASSWORD = "correct horse"
REALM = "acd"


def agent(name: str, extension: str, password: str = PASSWORD) -> Agent:
    return Agent(
        id=name,
        extension=extension,
        name=name.title(),
        ha1_md5=ha1("MD5", extension, REALM, password),
        ha1_sha256=ha1("SHA-256", extension, REALM, password),
    )


def directory(*agents: Agent, max_calls: int = 2) -> Directory:
    known = agents or (agent("anna", "1001"), agent("bela", "1002"))
    return Directory(
        revision=1,
        trunks={"carrier": Trunk("carrier", (ip_network("127.0.0.2/32"),), max_calls)},
        numbers={"+3726000100": Number("+3726000100", queue="billing")},
        agents={one.id: one for one in known},
        agent_by_extension={one.extension: one for one in known},
    )


class Shell:
    """The service under test. `clock` is a fake one where a test moves time itself."""

    def __init__(
        self, redis: Redis, site: str, *, node: str = "a", clock: Clock | None = None, **sip: object
    ) -> None:
        self.directory = directory()
        self._redis, self._site = redis, site
        self.clock = clock or FakeClock(1_800_000_000.0)
        listen = (
            Listen(transport="udp", host="127.0.0.1", port=0),
            Listen(transport="tcp", host="127.0.0.1", port=0),
        )
        self.settings = Settings(sip=SipSection(listen=listen, realm=REALM).model_copy(update=sip))
        self.site = Site(redis, NodeSection(id=node, site=site), self.clock)
        self.bindings = self.site.bindings
        self.service = SipService(self.settings, self.clock, lambda: self.directory, self.site)
        self.calls: asyncio.Queue[IncomingCall] = asyncio.Queue()
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.registrations: list[tuple[str, bool]] = []
        self.on_call: Callable[[IncomingCall], str | None] = self.calls.put_nowait

    async def start(self) -> None:
        self.service.subscribe(
            on_call=lambda call: self.on_call(call) or "",
            on_leg=self.events.put_nowait,
            on_registration=lambda who, there: self.registrations.append((who, there)),
        )
        await self.service.start()

    async def stop(self) -> None:
        await self.service.stop()

    async def restarted(self) -> Shell:
        """Stop, and start another one on the same data."""
        await self.stop()
        again = Shell(self._redis, self._site, clock=self.clock)
        await again.start()
        return again

    def address(self, transport: str = "udp") -> tuple[str, int]:
        return next(flow.local for flow in self.service.listening if flow.transport == transport)

    async def client(self, transport: str = "udp", host: str = "127.0.0.1") -> SipClient:
        return await SipClient.open(self.address(transport), transport, host)

    async def event(self, within: float = 5.0) -> SipEvent:
        async with asyncio.timeout(patience(within)):
            return await self.events.get()

    async def ended(self, within: float = 5.0) -> LegEnded:
        """The next LegEnded; what comes before it is passed over."""
        while True:
            event = await self.event(within)
            if isinstance(event, LegEnded):
                return event

    def change(self, **what: object) -> None:
        """Swap the directory for one that differs."""
        self.directory = replace(self.directory, **what)  # type: ignore[arg-type]

    async def until(self, condition: Callable[[], bool], within: float = 5.0) -> None:
        """Let the loop run until something holds that sockets bring about."""
        async with asyncio.timeout(patience(within)):
            while not condition():
                await asyncio.sleep(0.002)
