"""The way between one node and the store: words go out, answers come back, or do not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.sim.stores import subject_of
from tests.sim.weather import ANSWER_LIMIT_MS, Fate

if TYPE_CHECKING:
    from tests.sim.node import Node

_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 50, 1_000

Heard = Callable[[Any], None]


class Link:
    """Carries the words of one life of a node. While it is cut, nothing gets through."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._world = node.world
        self.is_cut = False

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
        word = (node.name, verb, arguments, words, world.schedule.now)
        if fate is Fate.HEARD:
            world.schedule.after(weather.delay_ms(), self._arrive, node.life, word, heard)
            return
        world.log("fault", node.name, fate.name, verb, subject_of(arguments))
        if fate is Fate.UNANSWERED:
            world.schedule.after(weather.delay_ms(), world.perform, *word)
        elif fate is Fate.LATE and may_be_late:
            world.counts["late"] += 1
            world.schedule.after(weather.lateness_ms(), world.perform, *word)
        node.later(ANSWER_LIMIT_MS, failed)

    def _arrive(self, life: int, word: tuple[Any, ...], heard: Heard) -> None:
        answer = self._world.perform(*word)
        if life == self._node.life:
            self._node.later(self._world.weather.delay_ms(), heard, answer)


class Lane:
    """As acd.calls.lane.StoreLane: words in order, each said again until it is heard."""

    __slots__ = ("_may_be_late", "_node", "_pause", "_waiting")

    def __init__(self, node: Node, *, may_be_late: bool) -> None:
        self._node = node
        self._may_be_late = may_be_late
        self._waiting: deque[tuple[str, tuple[Any, ...], Mapping[str, Any], Heard]] = deque()
        self._pause = _FIRST_PAUSE_MS

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def put(self, verb: str, *arguments: Any, heard: Heard = lambda answer: None, **words: Any) -> None:
        self._waiting.append((verb, arguments, words, heard))
        if len(self._waiting) == 1:
            self._say()

    def _say(self) -> None:
        verb, arguments, words, _ = self._waiting[0]
        self._node.link.say(
            verb, arguments, words, self._heard, self._again_later, may_be_late=self._may_be_late
        )

    def _heard(self, answer: Any) -> None:
        heard = self._waiting[0][3]
        self._pause = _FIRST_PAUSE_MS
        heard(answer)
        self._waiting.popleft()
        if self._waiting:
            self._say()

    def _again_later(self) -> None:
        self._node.later(self._pause, self._say)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_MS)
