"""Who may do what: bearer tokens (RFC 6750) with a role. What is not declared is denied."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from acd.control.ports import Tokens
from acd.control.problems import Problem, not_found
from acd.control.tokens import Bearer, Role
from acd.log import security_log

_LONGEST_HEADER = 256
_REALM = 'Bearer realm="acd"'


Own = Literal["path", "handler"]
"""Who finds out whether something is an agent's own: the gate, by `{id}` of the path, or the handler."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of who wants to use it."""

    role: Role | None
    """The least one; None needs no token."""
    own: Own | None = None
    """None: not for agents."""


Access = Mapping[tuple[str, str], Need]
"""By method and path template."""

BEARER: web.RequestKey[Bearer | None] = web.RequestKey("bearer", Bearer)
_CHALLENGE = f'{_REALM}, error="insufficient_scope"'


class Gate:
    """Lets a request through to its handler when its token's role is enough."""

    def __init__(self, tokens: Tokens, access: Access, agents: Callable[[], Container[str]]) -> None:
        """`agents` are the ids of those who are in the directory now."""
        self._tokens = tokens
        self._access = access
        self._agents = agents

    async def admit(self, request: web.Request) -> Bearer | None:
        """Who asks; None where no token was asked for. Raises Problem 401, 403, and to who has a token
        404 and 405.

        Without a token every path that is not open looks the same, whether it exists or not.
        """
        place = _place(request)
        needed = self._access.get(place)
        if needed is not None and needed.role is None:
            return None
        bearer = await self._bearer_of(request)
        if request.match_info.http_exception is not None:
            raise request.match_info.http_exception
        if needed is None or needed.role is None:
            raise not_found("path")
        if bearer.role is Role.AGENT:
            self._check_own(bearer.agent, needed, request)
        elif not bearer.role.covers(needed.role):
            raise forbidden(f"This needs the role {needed.role}.")
        return bearer

    def _check_own(self, agent: str, needed: Need, request: web.Request) -> None:
        if agent not in self._agents():
            raise forbidden("The agent whom this token is for is no longer in the directory.")
        if needed.own is None:
            raise forbidden(f"This needs the role {needed.role}; an agent's token is for what is their own.")
        if needed.own == "path" and request.match_info["id"] != agent:
            raise not_own("agent")

    async def _bearer_of(self, request: web.Request) -> Bearer:
        header = request.headers.get("Authorization", "")
        if not header:
            raise _unauthorised("This needs a bearer token.", _REALM)
        scheme, _, token = header.partition(" ")
        bearer = None
        if scheme.lower() == "bearer" and token and len(header) <= _LONGEST_HEADER:
            bearer = await self._tokens.verify(token.strip())
        if bearer is None:
            security_log("auth-failure", source=str(request.remote), transport="http", method="HTTP")
            raise _unauthorised("This token is not in force.", f'{_REALM}, error="invalid_token"')
        return bearer


def _place(request: web.Request) -> tuple[str, str]:
    """Method and path template of the route that matched; an empty template where none did."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return (method, resource.canonical if resource is not None else "")


def forbidden(detail: str) -> Problem:
    return Problem(403, "forbidden", detail, headers={"WWW-Authenticate": _CHALLENGE})


def not_own(what: str) -> Problem:
    """Something of another agent was asked for with an agent's token."""
    return forbidden(f"This {what} is not your own; a token of the role agent is for nothing else.")


def _unauthorised(detail: str, challenge: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": challenge})
