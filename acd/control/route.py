"""How a route is declared, and what its handler is given. The OpenAPI document is made of the same words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from acd.control.auth import BEARER, Own, not_own
from acd.control.once import key_of, once
from acd.control.ports import ControlContext
from acd.control.problems import Problem, invalid
from acd.control.tokens import Bearer, Role

log = structlog.get_logger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)
REQUEST_ID = web.RequestKey("request_id", str)
TIME_LIMIT = web.RequestKey("time_limit", asyncio.Timeout)

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request that was let in."""

    context: ControlContext
    route: Route
    request: web.Request
    bearer: Bearer | None

    @property
    def role(self) -> Role | None:
        return self.bearer.role if self.bearer else None

    @property
    def agent(self) -> str:
        """Whom an agent's token is for; empty with one of any other role."""
        return self.bearer.agent if self.bearer else ""

    def check_own(self, owned: bool, what: str) -> None:
        """Raises Problem 403 where an agent asks for something that is another's."""
        if self.agent and not owned:
            raise not_own(what)

    def name(self, key: str) -> str:
        """A part of the path, decoded; any text."""
        return self.request.match_info[key]

    def query(self, model: type[ModelT]) -> ModelT:
        """The query parameters. Raises Problem 400."""
        self._check_declared(model, self.route.query)
        try:
            return model.model_validate(dict(self.request.query))
        except ValidationError as error:
            raise invalid(error, "query") from error

    async def body(self, model: type[ModelT]) -> ModelT:
        """The JSON body. Raises Problem 400, 413, 415, 422."""
        self._check_declared(model, self.route.body)
        if self.request.content_type != "application/json":
            raise Problem(415, "unsupported-media-type", "Send the body as application/json.")
        try:
            return model.model_validate_json(await self.request.read())
        except ValidationError as error:
            raise invalid(error, "body") from error

    def allow(self, seconds: float) -> None:
        """More time than requests have, from now on."""
        self.request[TIME_LIMIT].reschedule(asyncio.get_running_loop().time() + seconds)

    def _check_declared(self, used: type[BaseModel], declared: type[BaseModel] | None) -> None:
        if used is not declared:
            raise TypeError(f"{self.route.path}: {used.__name__} is not what the route declares")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `role` is the least one; None needs no token. `answer` is the model of the 200; None means 204.
    `own` says how it is found out whether something is an agent's own; without it agents are not let in.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    handler: Callable[[Ask], Awaitable[BaseModel | web.StreamResponse | None]]
    role: Role | None
    tag: str
    summary: str
    answer: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    media_type: str = "application/json"
    """Of the 200."""
    other_types: tuple[str, ...] = ()
    """Which it can have too, where one asks."""
    errors: tuple[int, ...] = ()
    """Statuses beside the ones that any route of its role may answer."""
    own: Own | None = None
    once: bool = False
    """It begins something that is not to be begun twice: Idempotency-Key is heeded."""
    audited: bool = False
    """Reading it leaves a line in the log, as every change does."""

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders of the path."""
        return tuple(_PLACEHOLDER.findall(self.path))


def bind(route: Route, context: ControlContext) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        key = key_of(request) if route.once else ""
        return await (once(context.onces, key, request, lambda: act(request)) if key else act(request))

    async def act(request: web.Request) -> web.StreamResponse:
        ask = Ask(context, route, request, request[BEARER])
        answer = await route.handler(ask)
        if route.method != "GET" or route.audited:
            _note(ask)
        match answer:
            case web.StreamResponse():
                return answer
            case BaseModel():
                return web.Response(
                    body=answer.model_dump_json(by_alias=True), content_type="application/json"
                )
        return web.Response(status=204)

    return handle


def _note(ask: Ask) -> None:
    log.info(
        "api-read" if ask.route.method == "GET" else "api-change",
        method=ask.route.method,
        route=ask.route.path,
        target=dict(ask.request.match_info),
        role=ask.role,
        **({"by": ask.agent} if ask.agent else {}),
        request_id=ask.request[REQUEST_ID],
    )
