"""How a route is declared, and what its handler is given. The OpenAPI document is made of the same words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from acd.control.auth import ROLE
from acd.control.ports import ControlContext
from acd.control.problems import Problem, invalid
from acd.control.tokens import Role

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
    role: Role | None

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
    audited: bool = False
    """Reading it leaves a line in the log, as every change does."""

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders of the path."""
        return tuple(_PLACEHOLDER.findall(self.path))


def bind(route: Route, context: ControlContext) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        role = request[ROLE]
        answer = await route.handler(Ask(context, route, request, role))
        if route.method != "GET" or route.audited:
            _note(route, request.match_info, role, request[REQUEST_ID])
        match answer:
            case web.StreamResponse():
                return answer
            case BaseModel():
                return web.Response(
                    body=answer.model_dump_json(by_alias=True), content_type="application/json"
                )
        return web.Response(status=204)

    return handle


def _note(route: Route, names: Mapping[str, Any], role: Role | None, request_id: str) -> None:
    log.info(
        "api-read" if route.method == "GET" else "api-change",
        method=route.method,
        route=route.path,
        target=dict(names),
        role=role,
        request_id=request_id,
    )
