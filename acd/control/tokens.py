"""The API's bearer tokens: 256 random bits, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Double, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.clock import Clock
from acd.database import metadata, reading, writing
from acd.errors import ConfigError

PREFIX = "acd_"
"""Lets secret scanners find a token that leaked."""

_FORM = re.compile(r"acd_[A-Za-z0-9_-]{43}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)
_CACHED_SECONDS = 5.0
_CACHED_TOKENS = 1024

tokens = Table(
    "tokens",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("agent", String(64), nullable=False, server_default=""),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)


class Role(StrEnum):
    """What a token may do; each role may do all that the ones before it may, but for an agent's."""

    VIEWER = "viewer"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    AGENT = "agent"
    """For what is one agent's own, and for nothing else: no route has it as its least role."""

    def covers(self, needed: Role) -> bool:
        if Role.AGENT in (self, needed):
            return self is needed
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who has a token that is in force."""

    role: Role
    agent: str = ""
    """The one whom a token of the role `agent` is for; empty for the other roles."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """All that is known of a token once it was shown. Times in seconds since the epoch."""

    name: str
    role: Role
    agent: str
    created_at: float
    revoked_at: float | None


class TokenStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._good: OrderedDict[str, tuple[Bearer, float]] = OrderedDict()

    async def create(self, name: str, role: Role, agent: str = "") -> str:
        """A new token in plain, for the only time. `agent` is whom one of the role `agent` is for.

        Raises ConfigError where the name is taken or unfit, or an agent is missing or too many.
        """
        if (role is Role.AGENT) != bool(agent):
            raise ConfigError("name the agent of a token with the role agent, and of no other")
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name for a token: 1 to 64 of A-Z, a-z, 0-9, '_', '.', '@', '-'"
            )
        plain = PREFIX + secrets.token_urlsafe(32)
        made = {"created_at": self._clock.time()}
        row = {**made, "sha256": _hash(plain), "name": name, "role": role.value, "agent": agent}
        try:
            async with writing(self._engine) as connection:
                await connection.execute(insert(tokens).values(row))
        except IntegrityError as error:
            raise ConfigError(f"a token named {name!r} was made before; choose another name") from error
        return plain

    async def verify(self, token: str) -> Bearer | None:
        """Who has a token, None for one that is unknown or revoked (noticed within 5 seconds)."""
        if not _FORM.fullmatch(token):
            return None
        digest, now = _hash(token), self._clock.monotonic()
        known = self._good.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        self._good.pop(digest, None)
        query = select(tokens.c.role, tokens.c.agent)
        query = query.where(tokens.c.sha256 == digest, tokens.c.revoked_at.is_(None))
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).one_or_none()
        if found is None:
            return None
        bearer = Bearer(Role(found.role), found.agent)
        self._good[digest] = (bearer, now + _CACHED_SECONDS)
        if len(self._good) > _CACHED_TOKENS:
            self._good.popitem(last=False)
        return bearer

    async def revoke(self, name: str) -> None:
        """End a token; its name stays taken, so that the logs stay clear. Raises ConfigError."""
        change = update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
        async with writing(self._engine) as connection:
            done = await connection.execute(change.values(revoked_at=self._clock.time()))
        if done.rowcount == 0:
            raise ConfigError(f"there is no token named {name!r} in force; see `acd token list`")
        self._good.clear()

    async def list(self) -> Sequence[TokenInfo]:
        """All tokens ever made, the oldest first."""
        columns = tokens.c
        query = select(columns.name, columns.role, columns.agent, columns.created_at, columns.revoked_at)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(tokens.c.created_at, tokens.c.name))).all()
        return [
            TokenInfo(row.name, Role(row.role), row.agent, row.created_at, row.revoked_at) for row in rows
        ]


def _hash(plain: str) -> str:
    # Not a slow hash: there is nothing to guess in 256 random bits.
    return hashlib.sha256(plain.encode()).hexdigest()
