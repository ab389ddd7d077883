"""Whether the store is the one that this node knows, with the data that it knows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from routing.outages import Trouble
from routing.store.link import Command
from routing.store.scripts import Library

log = logging.getLogger(__name__)


class Acquaintance:
    """Says the first word on each connection of a node (greet.lua), and keeps what came of it until asked.

    It says nothing before `meet`. What is known of the store rises only: tokens, event numbers.
    """

    def __init__(self, library: Library, prefix: str) -> None:
        self._library = library
        self._prefix = prefix
        self._node = ""
        self._now_ms: Callable[[], int] = lambda: 0
        self._others: Callable[[], Collection[str]] = tuple
        self._run = ""
        self._generation = ""
        self._token = 0
        self._event = 0
        self._trouble: Trouble | None = None
        self.told = ""
        """The generation whose trouble was asked for last."""

    def meet(self, node: str, now_ms: Callable[[], int], others: Callable[[], Collection[str]]) -> None:
        """This node begins; `others` are those that it knows to live."""
        self._node, self._now_ms, self._others = node, now_ms, others

    def note(self, *, token: int = 0, event: int = 0) -> None:
        """The store has given out this token, or this event's number."""
        self._token = max(self._token, token)
        self._event = max(self._event, event)

    def take_trouble(self) -> Trouble | None:
        """What had happened to the store since this was asked last."""
        trouble, self._trouble = self._trouble, None
        if trouble:
            self.told = self._generation
        return trouble

    def word(self, run: str = "") -> Command | None:
        """The greeting, to a server process of this id; without one, to the one greeted last."""
        if not self._node:
            return None
        self._run = run or self._run
        said: Command = (self._now_ms(), self._node, self._run, self._generation, self._token, self._event)
        return self._library.call("greet", self._prefix, *said, *sorted(self._others()))

    def heard(self, reply: Any) -> None:
        """The answer to the greeting."""
        knew, (self._generation, how) = self._generation, reply
        if how and knew:
            self._trouble = Trouble(how)
