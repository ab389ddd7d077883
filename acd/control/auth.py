"""Who may do what: bearer tokens (RFC 6750) with one of three roles. What is not declared is denied."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from acd.control.ports import Tokens
from acd.control.problems import Problem, not_found
from acd.control.tokens import Role
from acd.log import security_log

_LONGEST_HEADER = 256
_REALM = 'Bearer realm="acd"'


Access = Mapping[tuple[str, str], Role | None]
"""(method, path template) -> the least role; None needs no token."""

ROLE: web.RequestKey[Role | None] = web.RequestKey("role", Role)


class Gate:
    """Lets a request through to its handler when its token's role is enough."""

    def __init__(self, tokens: Tokens, access: Access) -> None:
        self._tokens = tokens
        self._access = access

    async def admit(self, request: web.Request) -> Role | None:
        """The caller's role; None where none was asked for. Raises Problem 401, 403, and to who has a token
        404 and 405.

        Without a token every path that is not open looks the same, whether it exists or not.
        """
        place = _place(request)
        if place in self._access and self._access[place] is None:
            return None
        role = await self._role_of(request)
        if request.match_info.http_exception is not None:
            raise request.match_info.http_exception
        needed = self._access.get(place)
        if needed is None:
            raise not_found("path")
        if not role.covers(needed):
            raise Problem(
                403,
                "forbidden",
                f"This needs the role {needed}.",
                headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'},
            )
        return role

    async def _role_of(self, request: web.Request) -> Role:
        header = request.headers.get("Authorization", "")
        if not header:
            raise _unauthorised("This needs a bearer token.", _REALM)
        scheme, _, token = header.partition(" ")
        role = None
        if scheme.lower() == "bearer" and token and len(header) <= _LONGEST_HEADER:
            role = await self._tokens.verify(token.strip())
        if role is None:
            security_log("auth-failure", source=str(request.remote), transport="http", method="HTTP")
            raise _unauthorised("This token is not in force.", f'{_REALM}, error="invalid_token"')
        return role


def _place(request: web.Request) -> tuple[str, str]:
    """Method and path template of the route that matched; an empty template where none did."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return (method, resource.canonical if resource is not None else "")


def _unauthorised(detail: str, challenge: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": challenge})
