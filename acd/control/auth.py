"""Who may do what: bearer tokens (RFC 6750) with one of three roles. What is not declared is denied."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import IntEnum

from aiohttp import web

from acd.control.ports import Tokens
from acd.control.problems import Problem, not_found

_LONGEST_HEADER = 256
_REALM = 'Bearer realm="acd"'

security_log = logging.getLogger("acd.security")


class Role(IntEnum):
    """Each role may do all that the ones below it may."""

    NOBODY = 0
    """No token needed."""
    VIEWER = 1
    SUPERVISOR = 2
    ADMIN = 3


_BY_NAME = {role.name.lower(): role for role in (Role.VIEWER, Role.SUPERVISOR, Role.ADMIN)}

Access = Mapping[tuple[str, str], Role]
"""(method, path template) -> the least role."""

ROLE = web.RequestKey("role", Role)


class Gate:
    """Lets a request through to its handler when its token's role is enough."""

    def __init__(self, tokens: Tokens, access: Access) -> None:
        self._tokens = tokens
        self._access = access

    async def admit(self, request: web.Request) -> Role:
        """The caller's role. Raises Problem 401, 403, or 404 and 405 for who has a token.

        Without a token every path that is not open looks the same, whether it exists or not.
        """
        needed = self._needed(request)
        if needed is Role.NOBODY:
            return Role.NOBODY
        role = await self._role_of(request)
        if request.match_info.http_exception is not None:
            raise request.match_info.http_exception
        if needed is None:
            raise not_found("path")
        if role < needed:
            raise Problem(
                403,
                "forbidden",
                f"This needs the role {needed.name.lower()}.",
                headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'},
            )
        return role

    def _needed(self, request: web.Request) -> Role | None:
        resource = request.match_info.route.resource
        if resource is None:
            return None
        method = "GET" if request.method == "HEAD" else request.method
        return self._access.get((method, resource.canonical))

    async def _role_of(self, request: web.Request) -> Role:
        header = request.headers.get("Authorization", "")
        if not header:
            raise _unauthorised("This needs a bearer token.", _REALM)
        scheme, _, token = header.partition(" ")
        name = None
        if scheme.lower() == "bearer" and token and len(header) <= _LONGEST_HEADER:
            name = await self._tokens.verify(token.strip())
        role = _BY_NAME.get(name or "")
        if role is None:
            _note_failure(request)
            raise _unauthorised("This token is not in force.", f'{_REALM}, error="invalid_token"')
        return role


def _unauthorised(detail: str, challenge: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": challenge})


def _note_failure(request: web.Request) -> None:
    """One line of fixed form with the socket's peer only: nothing in it is the sender's text."""
    security_log.warning(
        "acd-security event=auth-failure method=HTTP source=%s transport=http", request.remote
    )
