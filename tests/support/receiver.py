"""A web server of the operator that webhooks are delivered to, over TLS on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.certificates import Authority
from tests.support.net import eventually


@dataclass
class Receiver:
    """Keeps what it gets (headers, body) and answers what it is told to."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hangs: bool = False

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        if self.hangs:
            await asyncio.sleep(30)
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    async def until(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        """What it has got, as soon as that is so much."""

        async def there() -> bool:
            return len(self.got) >= count

        await eventually(there, within=5, what=f"{count} deliveries")
        return self.got


@contextlib.asynccontextmanager
async def receiving(authority: Authority) -> AsyncIterator[Receiver]:
    """Such a server, as 127.0.0.1 and hooks.test."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(str(authority.sign("127.0.0.1", "hooks.test").path))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
