"""The stores that a simulation runs on: the obvious model, or a real Redis and the model side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from routing.callbacks import Callback
from routing.limits import RING_GRACE_MS
from routing.model import CallbackOver, NodeMessage, Offer, OfferWithdrawn, Ticket, WrapupTaken
from routing.ports import StaleToken, StoreUnavailable
from routing.store import replies
from routing.store.generation import Acquaintance
from routing.store.link import Command
from routing.store.redis_store import RedisQueueStore, connect
from routing.store.scripts import load_library
from tests.sim.direct import DirectBatcher, DirectLink, result_of
from tests.support.event_fold import Fold, assert_equal
from tests.support.queue_audit import audit, snapshot_by
from tests.support.queue_model import QueueModel

Told = tuple[str, NodeMessage]
"""A node and what it is told."""


TIMELESS = ("position", "calls_of", "crowd", "callback_find")


class Stale:
    """The answer to a word whose token is not in force."""


class InDoubt:
    """The same while the store is still told what it lacks: the word is to be said again."""


def subject_of(arguments: tuple[Any, ...]) -> str:
    """The call, agent or node that a word is about."""
    first = arguments[0] if arguments else ""
    return first.call_id if isinstance(first, Ticket) else first


class SimulatedStore(Protocol):
    """Carries out one word at a time; `model` says what is so, for whoever checks it."""

    model: QueueModel

    def perform(self, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], now: int) -> Any:
        """The answer, Stale for StaleToken."""

    def messages(self) -> Sequence[Told]:
        """What the last word made for the nodes: what is withdrawn, then offers, then wrap-ups."""

    def audit(self) -> None:
        """Look at everything that the model does not show."""

    def greet(self, node: str, run: str, known: str, others: Sequence[str], now: int) -> bool:
        """A node's first word to this run of the server. Whether the store may lack something."""

    def keep(self) -> None:
        """Remember everything, for `lose`."""

    def lose(self, everything: bool) -> None:
        """From now on it has what it had at `keep`, or nothing."""

    def close(self) -> None: ...


class ModelStore:
    """The slow obvious program, with tokens."""

    def __init__(self) -> None:
        self.model = QueueModel()
        self._tokens = 0
        self._kept: dict[str, Any] = {}

    def perform(self, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], now: int) -> Any:
        if verb.startswith("callback_"):
            return self._of_callback(verb, arguments, now)
        # Where agents are is nothing that the model decides by.
        known = (arguments[0], *arguments[2:]) if verb == "agent_available" else arguments
        known = (*known[:2], *known[3:]) if verb in ("restore_talk", "restore_offer") else known
        if verb in TIMELESS:
            return getattr(self.model, verb)(*known)
        try:
            return getattr(self.model, verb)(*known, now, **words)
        except StaleToken:
            return Stale
        except StoreUnavailable:
            return InDoubt

    def _of_callback(self, script: str, arguments: tuple[Any, ...], now: int) -> Any:
        """What a script of callbacks answers."""
        callbacks = self.model.callbacks
        match script, arguments:
            case "callback_add", (i, queue, number, age, due, end, attempts, interval, document, node, made):
                callback = Callback(i, queue, number, age, document, due, end, attempts, interval, made)
                return callbacks.add(callback, node, now)
            case "callback_find", (i,):
                return [found] if (found := callbacks.shown(i)) else []
            case "callback_claim", (node, most):
                return [word for found in callbacks.claim(node, most, now).items() for word in found]
            case "callback_hold", (i, node):
                found = callbacks.hold(i, node, now)
                return -1 if found is None else int(found)
            case "callback_begin", (i, node, said):
                return callbacks.begin(i, node, now, said=said)
            case "callback_unreached", _:
                return callbacks.unreached(*arguments, now)
            case "callback_release", (i, node):
                released = callbacks.may_release(i, node)
                callbacks.release(i, node, now)
                return int(released)
            case "callback_end", (i, "done", node):
                return int(callbacks.done(i, node, now))
            case "callback_end", (i, "cancelled", node):
                cancelled = callbacks.cancel(i, node, now)
                return -1 if cancelled is None else int(cancelled)
        raise AssertionError(f"the model knows no {script} {arguments}")

    def messages(self) -> Sequence[Told]:
        model = self.model
        found: list[Told] = [(node, CallbackOver(i, how)) for node, i, how in model.callbacks.told]
        found += [
            (node, OfferWithdrawn(call_id, agent_id, token))
            for call_id, agent_id, node, token in model.withdrawn
        ]
        for call_id, agent_id in model.made:
            call, agent = model.calls[call_id], model.agents[agent_id]
            token = self._mint(call_id)
            if agent_id in call.held:
                call.held[agent_id] = token
            deadline = model.due[f"r:{call_id}"] - RING_GRACE_MS
            # Those who are rung together are known by the token of the first of them.
            together = (
                min(filter(None, call.held.values()), default=token) if call.ticket.ring_agents > 1 else 0
            )
            offer = Offer(call_id, agent_id, call.queue, token, deadline, agent.unanswered, together=together)
            found.append((call.ticket.node, offer))
        for node, agent_id, queue, taken in model.wrapped:
            found.append((node, WrapupTaken(agent_id, queue, taken, self._mint(agent_id))))
        model.made, model.withdrawn, model.wrapped, model.callbacks.told = [], [], [], []
        return found

    def _mint(self, subject: str) -> int:
        self._tokens += 1
        return self._tokens

    def audit(self) -> None:
        """The checks look at the model themselves."""

    def greet(self, node: str, run: str, known: str, others: Sequence[str], now: int) -> bool:
        return self.model.greet(node, run, known, others, now)

    def keep(self) -> None:
        self._kept = copy.deepcopy(vars(self.model))

    def lose(self, everything: bool) -> None:
        # The same object, since the checks look at it.
        vars(self.model).clear()
        vars(self.model).update(vars(QueueModel()) if everything else self._kept)

    def close(self) -> None: ...


class _Event:
    """Stands in for the acquaintance of a store that all nodes share: the number of the newest event, as the
    last heartbeat was told."""

    newest = 0
    told = ""

    def note(self, *, event: int) -> None:
        self.newest = event


class RedisStore(ModelStore):
    """The real scripts on a real server. What they answer, and tell nodes, must be what the model says."""

    def __init__(self, url: str, site: str, nodes: Sequence[str]) -> None:
        super().__init__()
        self.site = site
        self._link = DirectLink(url.removeprefix("unix://"))
        self._binary = DirectLink(url.removeprefix("unix://"), binary=True)
        self._store = RedisQueueStore(connect(url), site)
        self._event_told = self._store._acquaintance = _Event()  # type: ignore[assignment]
        self._read_after = dict.fromkeys(nodes, "0-0")
        self._streams = {f"acd:{{{site}}}:off:{name}": name for name in nodes}
        self._unread: list[Told] = []
        news = self._ask_for_news, self._hear_news
        self._store._batcher = DirectBatcher(self._link, load_library(), *news)
        self._minted: Iterator[int] = iter(())
        self._fold = Fold()
        self._event = ""
        self._nodes: dict[str, Acquaintance] = {}
        self._dumped: dict[bytes, bytes] = {}

    def perform(self, verb: str, arguments: tuple[Any, ...], words: Mapping[str, Any], now: int) -> Any:
        expected = super().perform(verb, arguments, words, now)
        times = () if verb in TIMELESS else (now,)
        try:
            if verb.startswith("callback_"):
                answer = result_of(self._store._run(verb, *times, *arguments))
            else:
                answer = result_of(getattr(self._store, verb)(*arguments, *times, **words))
        except StaleToken:
            answer = Stale
        except StoreUnavailable:
            answer = InDoubt
        if verb in ("tick", "enqueue"):
            return expected
        if verb == "heartbeat" and arguments[0] in self._nodes:
            self._nodes[arguments[0]].note(event=self._event_told.newest)
        if verb == "crowd" and answer is None and not arguments[0]:
            # What is asked by a call that is still on its way there; the model knows of any requirement.
            return expected
        if verb == "callback_find":
            answer = [[found[0], found[1], int(found[2]), *found[3:]] for found in answer]
        if verb == "callback_claim":
            assert replies.pairs(answer) == replies.pairs(expected), (answer, expected)
            return expected
        if verb == "reset_node":
            answer = set(answer)
        elif verb == "position" and answer:
            answer = (answer.position, answer.waiting)
        elif verb == "crowd" and answer:
            answer = (answer.waiting, answer.agent_there)
        assert answer == expected, (
            f"the store answers {answer!r} to {verb} {arguments!r}, the model {expected!r}"
        )
        return answer

    def messages(self) -> Sequence[Told]:
        found, self._unread = self._unread, []
        offers = sorted((o for _, o in found if isinstance(o, Offer)), key=lambda offer: offer.token)
        wrapped = {
            (node, w.agent_id, w.queue, w.taken_ms): w.token
            for node, w in found
            if isinstance(w, WrapupTaken)
        }
        assert [(o.call_id, o.agent_id) for o in offers] == self.model.made
        ended = [wrapped.get(word, 0) for word in self.model.wrapped]
        self._minted = iter([offer.token for offer in offers] + ended)
        told = super().messages()
        assert _sorted(told) == _sorted(found), (told, found)
        return told

    def _mint(self, subject: str) -> int:
        return next(self._minted)

    def _ask_for_news(self) -> Command:
        return ("XREAD", "STREAMS", *self._streams, *self._read_after.values())

    def _hear_news(self, reply: Any) -> None:
        for key, entries in reply or ():
            node = self._streams[key]
            for entry, fields in entries:
                self._read_after[node] = entry
                message = replies.node_message(fields)
                self._unread.append((node, message))
                if node in self._nodes:
                    self._nodes[node].note(token=getattr(message, "token", 0))

    def audit(self) -> None:
        """All keys agree with each other, and with the fold of all events."""
        state = snapshot_by(self._link.exchange, self.site)
        audit(state)
        self._fold.hear(self._new_events())
        assert_equal(self._fold, state.under("qs:"), state.under("a:"))

    def greet(self, node: str, run: str, known: str, others: Sequence[str], now: int) -> bool:
        expected = super().greet(node, run, known, others, now)
        if not known or node not in self._nodes:
            self._nodes[node] = Acquaintance(load_library(), f"acd:{{{self.site}}}:")
        acquaintance = self._nodes[node]
        acquaintance.meet(node, lambda: now, lambda: others)
        word = acquaintance.word(run)
        assert word is not None
        (reply,) = self._link.exchange([word])
        acquaintance.heard(reply)
        assert bool(reply[1]) == expected, (node, run, known, reply, expected)
        return expected

    def keep(self) -> None:
        super().keep()
        keys = self._keys()
        dumped = self._binary.exchange([("DUMP", key) for key in keys])
        self._dumped = dict(zip(keys, dumped, strict=True))

    def lose(self, everything: bool) -> None:
        super().lose(everything)
        if keys := self._keys():
            self._binary.exchange([("DEL", *keys)])
        kept = {} if everything else self._dumped
        self._binary.exchange([("RESTORE", key, 0, value) for key, value in kept.items()])

    def _keys(self) -> list[bytes]:
        (found,) = self._binary.exchange([("KEYS", f"acd:{{{self.site}}}:*")])
        return list(found)

    def _new_events(self) -> list[dict[str, str]]:
        (entries,) = self._link.exchange(
            [("XRANGE", f"acd:{{{self.site}}}:ev", f"({self._event}" if self._event else "-", "+")]
        )
        if entries:
            self._event = entries[-1][0]
        return [replies.pairs(fields) for _, fields in entries]

    def close(self) -> None:
        self._link.close()
        self._binary.close()


def _sorted(told: Sequence[Told]) -> list[tuple[str, ...]]:
    """What does not depend on who decided: offers without their reasons."""
    return sorted(
        (
            node,
            type(m).__name__,
            getattr(m, "call_id", ""),
            getattr(m, "agent_id", ""),
            str(getattr(m, "token", 0)),
            getattr(m, "callback_id", ""),
            str(getattr(m, "together", 0)),
        )
        for node, m in told
    )
