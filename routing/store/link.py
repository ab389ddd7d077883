"""One connection to Redis: a batch of commands out, their replies back, within a time limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from routing.ports import StoreUnavailable

Command = tuple[str | int, ...]

# Its type says that a command is one word.
_pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]

# Replies that say "not now" or "not here": the server is starting, is a replica, is full, or is stopping.
_REFUSALS = (
    "LOADING",
    "READONLY",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "BUSY",
    "TRYAGAIN",
)

_RUN = re.compile(r"^run_id:(\w+)", re.MULTILINE)


class Greeting(Protocol):
    """What is said first on each new connection, since another server, or other data, may be at its end."""

    def word(self, run: str) -> Command | None:
        """The command to a server process of this id; None to say nothing."""

    def heard(self, reply: Any) -> None:
        """Its reply."""


class Link:
    """A connection of its own, made like those of `redis`, opened when needed.

    It neither retries nor has a socket timeout: the whole exchange has one limit, so that a blocking
    read may be longer than the time that other commands are given. Replies are decoded, in RESP2 shapes.
    """

    def __init__(
        self, redis: Redis, prepare: Command | None = None, greeting: Greeting | None = None
    ) -> None:
        """`prepare` and then `greeting` are the first words on each new connection."""
        self._pool = redis.connection_pool
        self._prepare = prepare
        self._greeting = greeting
        self._connection: AbstractConnection | None = None

    async def exchange(self, commands: Sequence[Command], limit_seconds: float) -> list[Any]:
        """The reply to each command, error replies as exceptions in their place.

        Raises ConnectionLost where the server may not have read the commands, StoreUnavailable otherwise.
        """
        try:
            async with asyncio.timeout(limit_seconds):
                return await self._exchange(commands)
        except TimeoutError as error:
            await self.close()
            raise StoreUnavailable(f"no answer from Redis within {limit_seconds:g} s") from error
        except (RedisConnectionError, OSError) as error:
            await self.close()
            raise ConnectionLost(str(error)) from error
        except RedisError as error:
            await self.close()
            raise StoreUnavailable(str(error)) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def ask(self, command: Command, limit_seconds: float) -> Any:
        """The reply to one command. Raises as `exchange` does, and StoreUnavailable for an error reply."""
        (reply,) = await self.exchange([command], limit_seconds)
        if isinstance(reply, Exception):
            raise StoreUnavailable(str(reply)) from reply
        return reply

    async def close(self) -> None:
        """Drop the connection; the next exchange makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        if connection is None or not connection.is_connected:
            connection = await self._open()
        replies = await _send_and_read(connection, commands)
        if any(isinstance(reply, ResponseError) and is_refusal(reply) for reply in replies):
            # A new connection may find the server that took over.
            await self.close()
        return replies

    async def _open(self) -> AbstractConnection:
        options = {
            **self._pool.connection_kwargs,
            "decode_responses": True,
            "protocol": 2,
            "socket_timeout": None,
            "health_check_interval": 0,
            "retry": Retry(NoBackoff(), 0),
        }
        connection: AbstractConnection = self._pool.connection_class(**options)
        self._connection = connection
        await connection.connect()  # type: ignore[no-untyped-call]
        if self._prepare is not None:
            (reply,) = await _send_and_read(connection, [self._prepare])
            if isinstance(reply, Exception):
                raise reply
        if self._greeting is not None:
            await self._greet(connection, self._greeting)
        return connection

    @staticmethod
    async def _greet(connection: AbstractConnection, greeting: Greeting) -> None:
        (told,) = await _send_and_read(connection, [("INFO", "server")])
        run = _RUN.search(str(told))
        command = greeting.word(run[1] if run else "unknown")
        if command is not None:
            (reply,) = await _send_and_read(connection, [command])
            if isinstance(reply, Exception):
                raise reply
            greeting.heard(reply)


class ConnectionLost(StoreUnavailable):
    """The connection broke before the replies came."""


def is_refusal(error: ResponseError) -> bool:
    """Whether the server refused for reasons of its own, before anything was written."""
    word = str(error.args[0] if error.args else "").split(" ", 1)[0]
    return word in _REFUSALS or type(error).__name__ in (
        "ReadOnlyError",
        "OutOfMemoryError",
        "MasterDownError",
    )


def in_words(error: ResponseError) -> str:
    """What the server said. The client cuts the first word off where it has a class for it."""
    kind = type(error)
    return str(error) if kind is ResponseError else f"{kind.__name__}: {error}"


async def _send_and_read(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    await connection.send_packed_command(b"".join(map(_pack, commands)), check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response(disconnect_on_error=False))
        except ResponseError as error:
            replies.append(error)
    return replies
