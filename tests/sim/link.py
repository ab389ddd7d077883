"""The way between one node and the store: words go out, answers come back, or do not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.sim.stores import InDoubt, subject_of
from tests.sim.weather import ANSWER_LIMIT_MS, Fate

if TYPE_CHECKING:
    from tests.sim.node import Node

_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 50, 1_000

Heard = Callable[[Any], None]
Word = tuple[str, tuple[Any, ...], Mapping[str, Any], Heard]


class Link:
    """Carries the words of one life of a node. While it is cut, nothing gets through."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._world = node.world
        self.is_cut = False
        self.run = ""
        """The run of the store that was greeted last; empty in a node that knows none."""

    def say(
        self,
        verb: str,
        arguments: tuple[Any, ...],
        words: Mapping[str, Any],
        heard: Heard,
        failed: Callable[[], None],
        *,
        may_be_late: bool = False,
    ) -> None:
        """Exactly one of `heard` and `failed` follows, unless the node dies before."""
        world, weather, node = self._world, self._world.weather, self._node
        fate = Fate.LOST if self.is_cut else weather.fate()
        word = (node.name, verb, arguments, words, node.now)
        to = world.run_of_store
        if fate is Fate.HEARD:
            world.schedule.after(weather.delay_ms(), self._arrive, node.life, to, word, heard, failed)
            return
        world.log("fault", node.name, fate.name, verb, subject_of(arguments))
        if fate is Fate.UNANSWERED:
            world.schedule.after(weather.delay_ms(), self._arrive_unheard, to, word)
        elif fate is Fate.LATE and may_be_late:
            world.counts["late"] += 1
            world.schedule.after(weather.lateness_ms(), self._arrive_unheard, to, word)
        node.later(ANSWER_LIMIT_MS, failed)

    def _arrive(
        self, life: int, to: str, word: tuple[Any, ...], heard: Heard, failed: Callable[[], None]
    ) -> None:
        world, node = self._world, self._node
        delay = world.weather.delay_ms()
        if to != world.run_of_store:
            if life == node.life:
                node.later(delay, failed)
            return
        if life == node.life:
            self._greet()
        answer = world.perform(*word)
        if life == node.life:
            if answer is InDoubt:
                node.later(delay, failed)
            else:
                node.later(delay, heard, answer)

    def _arrive_unheard(self, to: str, word: tuple[Any, ...]) -> None:
        if to == self._world.run_of_store and self.run == to:
            self._world.perform(*word)

    def _greet(self) -> None:
        world = self._world
        if self.run != world.run_of_store:
            known, self.run = self.run, world.run_of_store
            self._node.lost = world.greet(self._node, known) or self._node.lost


class Lane:
    """As acd.calls.lane.StoreLane: words in order, each said again until it is heard, and some before all."""

    __slots__ = ("_current", "_first", "_may_be_late", "_node", "_pause", "_still", "_waiting")

    def __init__(self, node: Node, *, may_be_late: bool) -> None:
        self._node = node
        self._may_be_late = may_be_late
        self._first: deque[Word] = deque()
        self._still: deque[Callable[[], bool]] = deque()
        self._waiting: deque[Word] = deque()
        self._current: deque[Word] | None = None
        self._pause = _FIRST_PAUSE_MS

    @property
    def is_empty(self) -> bool:
        return not (self._waiting or self._first)

    def put(self, verb: str, *arguments: Any, heard: Heard = lambda answer: None, **words: Any) -> None:
        self._waiting.append((verb, arguments, words, heard))
        self._begin()

    def put_first(
        self, still: Callable[[], bool], verb: str, *arguments: Any, heard: Heard, **words: Any
    ) -> None:
        """Said only if it is still so then."""
        self._first.append((verb, arguments, words, heard))
        self._still.append(still)
        self._begin()

    def _begin(self) -> None:
        if self._current is None:
            self._say()

    def _say(self) -> None:
        while self._first and not self._still[0]():
            self._still.popleft()
            self._first.popleft()[3](None)
        self._current = self._first or self._waiting or None
        if self._current is None:
            return
        verb, arguments, words, _ = self._current[0]
        self._node.link.say(
            verb, arguments, words, self._heard, self._again_later, may_be_late=self._may_be_late
        )

    def _heard(self, answer: Any) -> None:
        assert self._current is not None
        heard = self._current[0][3]
        self._pause = _FIRST_PAUSE_MS
        heard(answer)
        if self._current is self._first:
            self._still.popleft()
        self._current.popleft()
        self._current = None
        if not self.is_empty:
            self._say()

    def _again_later(self) -> None:
        self._node.later(self._pause, self._say)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_MS)
