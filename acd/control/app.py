"""The control plane as one aiohttp application, and the server that listens for it."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import os
import re
import secrets

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from acd.control import (
    agents,
    callbacks,
    caller_lists,
    calls,
    dialling,
    events,
    health,
    openapi,
    queues,
    records,
    refusals,
    traces,
    trunks,
    voicemail,
    why,
    wrapup,
)
from acd.control.auth import BEARER, Access, Gate, Need
from acd.control.ports import ControlContext
from acd.control.problems import response_to
from acd.control.route import REQUEST_ID, TIME_LIMIT, Route, bind

LARGEST_BODY = 64 * 1024
REQUEST_SECONDS = 10.0
BEGUN = web.RequestKey("begun", bool)
"""The first bytes of the answer are out."""
_IDLE_SECONDS = 30.0
_GRACE_SECONDS = 2.0
_REQUEST_ID_FORM = re.compile(r"^[A-Za-z0-9._-]{1,64}$")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@functools.cache
def declared_routes(*, open_metrics: bool) -> tuple[Route, ...]:
    """Everything that the control plane answers to. What describes it is made once."""
    own = (
        *queues.ROUTES,
        *agents.ROUTES,
        *wrapup.ROUTES,
        *refusals.ROUTES,
        *callbacks.ROUTES,
        *caller_lists.ROUTES,
        *dialling.ROUTES,
        *calls.ROUTES,
        *events.ROUTES,
        *trunks.ROUTES,
        *why.ROUTES,
        *traces.ROUTES,
        *records.ROUTES,
        *voicemail.ROUTES,
        *health.routes(open_metrics=open_metrics),
    )
    return (*own, *openapi.routes(own))


def build_app(
    context: ControlContext, *, open_metrics: bool = False, request_seconds: float = REQUEST_SECONDS
) -> web.Application:
    """The application. `open_metrics` lets /metrics be read without a token."""
    routes = declared_routes(open_metrics=open_metrics)
    access: Access = {(route.method, route.path): Need(route.role, route.own) for route in routes}
    gate = Gate(context.tokens, access, lambda: context.directory().agents)
    app = web.Application(middlewares=[_guard(gate, request_seconds)], client_max_size=LARGEST_BODY)
    app.on_response_prepare.append(_complete)
    events.prepare(app)
    for route in routes:
        if route.method == "GET":
            app.router.add_get(route.path, bind(route, context))
        else:
            app.router.add_route(route.method, route.path, bind(route, context))
    return app


def _guard(gate: Gate, request_seconds: float) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here: its id, its time limit, its token, its errors, its headers."""
        asked = request.headers.get("X-Request-Id", "")
        request_id = asked if _REQUEST_ID_FORM.match(asked) else secrets.token_hex(8)
        request[REQUEST_ID] = request_id
        response: web.StreamResponse
        try:
            async with asyncio.timeout(request_seconds) as limit:
                request[TIME_LIMIT] = limit
                request[BEARER] = await gate.admit(request)
                response = await handler(request)
        except Exception as error:
            response = response_to(error, request_id)
            if BEGUN in request and request.transport is not None:
                # Part of another answer is out already: who reads it must see that it is not whole.
                request.transport.abort()
        return response

    return guard


async def _complete(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """The headers that every answer has."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "acd"  # aiohttp has put its own there
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    request[BEGUN] = True


class ControlServer:
    """Listens on one address. Port 0 takes any free port; `address` says which."""

    def __init__(self, context: ControlContext, host: str, port: int) -> None:
        self._runner = web.AppRunner(
            build_app(context, open_metrics=is_loopback(host)),
            access_log=None,
            logger=_server_log(),
            handle_signals=False,
            keepalive_timeout=_IDLE_SECONDS,
            shutdown_timeout=_GRACE_SECONDS,
        )
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Raises OSError that names the address where it cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            where, why = f"{self._host}:{self._port}", os.strerror(error.errno) if error.errno else str(error)
            raise OSError(error.errno, f"http.listen: cannot listen on {where}: {why}") from error

    async def stop(self) -> None:
        """Requests under way have two seconds to end."""
        await self._runner.cleanup()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listening socket; only while started."""
        host, port, *_ = self._runner.addresses[0]
        return str(host), int(port)

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server_log() -> logging.Logger:
    log = logging.getLogger("acd.control.http")
    log.addFilter(_is_no_fault_of_the_peer)
    return log


def _is_no_fault_of_the_peer(record: logging.LogRecord) -> bool:
    """Bytes that are not HTTP are answered 400; a stranger shall not fill the log with our tracebacks."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host` (a literal address or "localhost")."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
