"""The way between one node and the store: words go out, answers come back, or do not."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from acd.calls.kept_callbacks import KeptCallbacks, Register
from routing.model import Position
from routing.ports import StaleToken
from routing.store.callbacks import RedisCallbackStore
from tests.sim.stores import TIMELESS, InDoubt, Stale, subject_of
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


class Said:
    """One word to the store, to be awaited: the lane that carries it out gives the answer."""

    __slots__ = ("arguments", "verb", "words")

    def __init__(self, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any]) -> None:
        self.verb = verb
        self.arguments = arguments
        self.words = words

    def __await__(self) -> Generator[Said, Any, Any]:
        answer = yield self
        if answer is Stale:
            raise StaleToken
        return answer


Operation = Callable[[], Awaitable[Any]]


async def _begun(operation: Operation) -> None:
    await operation()


class Lane:
    """As acd.calls.lane.StoreLane: operations in order, each again until it is heard, and some before all."""

    __slots__ = ("_current", "_first", "_may_be_late", "_node", "_pause", "_waiting", "_work")

    def __init__(self, node: Node, *, may_be_late: bool) -> None:
        self._node = node
        self._may_be_late = may_be_late
        self._first: deque[Operation] = deque()
        self._waiting: deque[Operation] = deque()
        self._current: deque[Operation] | None = None
        self._work: Coroutine[Said, Any, None] | None = None
        self._pause = _FIRST_PAUSE_MS

    @property
    def is_empty(self) -> bool:
        return not (self._waiting or self._first)

    def put(self, operation: Operation) -> None:
        self._waiting.append(operation)
        self._begin()

    def put_first(self, operation: Operation) -> Future[None]:
        """What is done once the operation is carried out."""
        over: Future[None] = Future()

        async def first() -> None:
            await operation()
            over.set_result(None)

        self._first.append(first)
        self._begin()
        return over

    def say(self, verb: str, *arguments: Any, heard: Heard = lambda answer: None, **words: Any) -> None:
        """An operation of one word."""

        async def said() -> None:
            heard(await Said(verb, arguments, words))

        self.put(said)

    def _begin(self) -> None:
        if self._current is None:
            self._carry_out()

    def _carry_out(self) -> None:
        """The next operation, from its beginning."""
        self._current = self._first or self._waiting or None
        if self._current is not None:
            self._work = _begun(self._current[0])
            self._go_on(None)

    def _go_on(self, answer: Any) -> None:
        assert self._work is not None
        assert self._current is not None
        try:
            word = self._work.send(answer)
        except StopIteration:
            self._current.popleft()
            self._current, self._pause = None, _FIRST_PAUSE_MS
            self._carry_out()
        else:
            say = self._node.link.say
            late = self._may_be_late
            say(word.verb, word.arguments, word.words, self._go_on, self._again_later, may_be_late=late)

    def _again_later(self) -> None:
        assert self._work is not None
        self._work.close()
        self._node.later(self._pause, self._carry_out)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_MS)


class SpokenStore:
    """The store as the real code of a call knows it; each word is said by the lane that awaits it.

    The time of a word is when it leaves its node.
    """

    def __init__(self, register: Register) -> None:
        own = RedisCallbackStore(self._run_script, lambda due_ms: None)
        self.callbacks = KeptCallbacks(own, register)

    def __getattr__(self, verb: str) -> Callable[..., Said]:
        def said(*arguments: Any, **words: Any) -> Said:
            return Said(verb, arguments[:-1], words)

        return said

    @staticmethod
    def _run_script(script: str, *arguments: Any) -> Said:
        return Said(script, arguments if script in TIMELESS else arguments[1:], {})

    async def cancel(self, call_id: str, now_ms: int, how: str = "abandoned") -> Any:
        return await Said("cancel", (call_id,), {"how": how})

    async def position(self, call_id: str) -> Position | None:
        found = await Said("position", (call_id,), {})
        return Position(*found) if found else None

    async def restore_talk(self, *arguments: Any) -> None:
        await Said("restore_talk", arguments[:-2], {"terms": arguments[-1]})

    async def restore_offer(self, *arguments: Any) -> None:
        await Said("restore_offer", arguments[:-2], {"terms": arguments[-1]})
