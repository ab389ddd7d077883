"""The numbered event stream, folded: what a reader of nothing but events knows of queues and agents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ENVELOPE = ("s", "t", "k", "q", "name")
_AWAY = ("offline", "paused", "not-answering")


class EventsMissing(Exception):
    """Between two numbers that were read stand others that were not."""


@dataclass
class AgentStory:
    """What the events say of an agent. Times in ms; names as the store's hash has them."""

    st: str = "offline"
    since: int = 0
    why: str = ""
    c: str | None = None
    p: str | None = None
    n: str | None = None
    un: int = 0
    cn: int = 0
    bz: int = 0
    bs: int | None = None
    si: int | None = None
    lr: int = 0
    wu: int | None = None
    nx: str | None = None
    nw: str | None = None


class Fold:
    """Hears each event once, by its number, and says where one is missing."""

    def __init__(self) -> None:
        self.last = 0
        self.queues: dict[str, Counter[str]] = {}
        self.agents: dict[str, AgentStory] = {}

    def hear(self, events: Iterable[Mapping[str, str]]) -> None:
        """Events in order; those heard before change nothing. Raises EventsMissing."""
        for event in events:
            number = int(event["s"])
            if event["k"] == "store-began" and number > self.last:
                # Everything that is so follows, in place of what was lost or skipped.
                self.queues, self.agents, self.last = {}, {}, number
                continue
            if number > self.last + 1:
                raise EventsMissing(f"{self.last + 1} to {number - 1}")
            if number == self.last + 1:
                self.last = number
                self._take(event)

    def _take(self, event: Mapping[str, str]) -> None:
        kind = event["k"]
        if event["q"]:
            counts = self.queues.setdefault(event["q"], Counter())
            counts[kind] += 1
            if kind in ("abandoned", "released", "overflowed", "lost") and event["from"] != "waiting":
                counts[f"{kind}_{event['from']}"] += 1
        if kind == "counted":
            told = {name: value for name, value in event.items() if name not in _ENVELOPE}
            self.queues[event["name"]] = Counter({name: int(value) for name, value in told.items()})
        if kind == "queue-forgotten":
            del self.queues[event["name"]]
        about = getattr(self, f"_on_{kind.replace('-', '_')}", None)
        if about and "a" in event:
            about(self.agents.setdefault(event["a"], AgentStory()), event, int(event["t"]))

    # What each kind says of its agent.

    def _on_agent(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        state = event["st"]
        if state == "talking":  # their phone rings no more, and another conversation goes on
            agent.st, agent.since, agent.c = state, now, event["c"]
            return
        if state == "available" and agent.st in _AWAY:
            self._begin_presence(agent, now)
        if state == "paused" and agent.st == "offline":
            agent.si = None
        if agent.bs is not None:
            agent.bz += now - agent.bs
        agent.st, agent.since, agent.why = state, now, event.get("why", "")
        agent.c = agent.bs = agent.wu = agent.nx = agent.nw = None

    @staticmethod
    def _begin_presence(agent: AgentStory, now: int) -> None:
        agent.un = 0
        if agent.st == "offline" or agent.si is None:
            agent.si, agent.cn, agent.bz = now, 0, 0
        else:
            agent.si += now - agent.since

    def _on_offers(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.since, agent.why, agent.c, agent.lr = now, "", event["c"], now
        agent.bs = now if agent.bs is None else agent.bs
        if agent.st != "talking":
            agent.nx = agent.nw = None
        agent.st, agent.wu = "offered", None

    def _on_answered(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.st, agent.since, agent.un = "talking", now, 0
        agent.cn += 1

    def _on_completed(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        if wrapup := int(event["w"]):
            agent.st, agent.since, agent.c, agent.wu = "wrapup", now, None, now + wrapup
        elif on := event.get("on"):
            agent.c = on

    def _on_wraps(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.st, agent.since, agent.c, agent.wu = "wrapup", now, None, now + int(event["w"])

    def _on_extended(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.wu = (agent.wu or 0) + int(event["ms"])

    def _on_rejected(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.un += int(event["un"])

    def _on_withdrawn(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.un += event["why"] == "deadline"

    def _on_asked(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        away = event["st"] != "available"
        agent.nx, agent.nw = (event["st"], event["why"]) if away else (None, None)

    def _on_agent_skills(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.p = event["p"]

    def _on_agent_node(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        agent.n = event["n"]

    def _on_agent_is(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        self.agents[event["a"]] = told_by_store(event)

    def _on_agent_forgotten(self, agent: AgentStory, event: Mapping[str, str], now: int) -> None:
        del self.agents[event["a"]]


def told_by_store(fields: Mapping[str, str]) -> AgentStory:
    """The same of the store's hash of an agent."""
    known: dict[str, Any] = {}
    for name, value in fields.items():
        if name in AgentStory.__dataclass_fields__:
            known[name] = value if name in ("st", "why", "c", "p", "n", "nx", "nw") else int(value)
    return AgentStory(**known)


def assert_equal(fold: Fold, queues: Mapping[str, Mapping[str, str]], agents: Mapping[str, Any]) -> None:
    """What was folded is exactly what the store's keys `qs:` and `a:` say."""
    counted = {queue: {k: int(v) for k, v in raw.items()} for queue, raw in queues.items()}
    assert {queue: dict(counts) for queue, counts in fold.queues.items()} == counted
    assert fold.agents == {agent: told_by_store(fields) for agent, fields in agents.items()}


def events_of(entries: Iterable[tuple[Any, Mapping[bytes, bytes]]]) -> list[dict[str, str]]:
    """Entries of the stream as redis-py gives them."""
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]
