"""A real store without an event loop: each command is sent and answered before the next."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

import hiredis

from routing.store.link import Command
from routing.store.scripts import Library


class DirectLink:
    """One connection to a server's Unix socket. Replies are strings, or bytes where it is `binary`."""

    def __init__(self, path: str, *, binary: bool = False) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader() if binary else hiredis.Reader(encoding="utf-8")

    def exchange(self, commands: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
        """The reply to each command. Raises the error reply of one that is wrong."""
        self._socket.sendall(b"".join(map(hiredis.pack_command, map(tuple, commands))))
        answers: list[Any] = []
        while len(answers) < len(commands):
            answer = self._reader.gets()
            if answer is False:
                self._reader.feed(self._socket.recv(65_536))
            elif isinstance(answer, Exception):
                raise answer
            else:
                answers.append(answer)
        return answers

    def close(self) -> None:
        self._socket.close()


class _Answer:
    """What is there already can be awaited without waiting."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value
        yield


class DirectBatcher:
    """Stands in for the Batcher of a store (routing/store/batch.py).

    What nodes are told can be read in the same exchange: `news` is the command, `heard` gets its reply.
    """

    def __init__(
        self,
        link: DirectLink,
        library: Library,
        news: Callable[[], Command] | None = None,
        heard: Callable[[Any], None] | None = None,
    ) -> None:
        self._link = link
        self._news = news
        self._heard = heard
        link.exchange([library.loading])

    def submit(self, command: Command) -> _Answer:
        if self._news is None or self._heard is None:
            return _Answer(self._link.exchange([command])[0])
        answer, news = self._link.exchange([command, self._news()])
        self._heard(news)
        return _Answer(answer)


def result_of(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what never has to wait to its end."""
    try:
        work.send(None)
    except StopIteration as over:
        return over.value
    raise RuntimeError("it waits for something")
