"""Looks at every key of a site and says whether they agree with each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from redis.asyncio import Redis

from routing import limits
from routing.model import AgentProfile, Requirement
from routing.requirement import eligible, eligible_while, lending_terms, read_class, read_profile
from routing.strategy import ORDERS, IdleAgent, rank
from tests.support.event_fold import Fold, events_of

USUAL = {"named": "", "steps": "", "rings": 1, "late": "", "weight": 1}
"""What the text of a call may leave out."""
CONSTANT = ("gen", "seq", "ev", "fence", "rv", "odd", "cbx", "qk")
"""Keys that stay for ever, beside one `qs:` a queue and one `off:` a node."""


_read_class, _read_profile = cache(read_class), cache(read_profile)


@dataclass
class Snapshot:
    """All keys of a site, decoded, by their name without the prefix."""

    keys: dict[str, Any]

    def under(self, kind: str) -> dict[str, Any]:
        return {name[len(kind) :]: value for name, value in self.keys.items() if name.startswith(kind)}

    def get(self, name: str) -> Any:
        return self.keys.get(name, {})


_READ: Mapping[str, tuple[str, ...]] = {
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    "stream": ("XLEN",),
    "list": ("LLEN",),
    "string": ("GET",),
}
"""How a value of each type is read; the key stands behind the first word."""


async def snapshot(redis: Redis, site: str) -> Snapshot:
    """Everything of the site but the message streams, which are read by their own command."""
    prefix = f"acd:{{{site}}}:"
    names = sorted([key.decode() async for key in redis.scan_iter(_pattern(prefix), count=1000)])
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.type(name)
    types = {name: kind.decode() for name, kind in zip(names, await pipe.execute(), strict=True)}
    # A service that runs may have taken some away in between.
    names = [name for name in names if types[name] != "none"]
    for name in names:
        pipe.execute_command(*_reading(name, types[name]))
    values = [_decoded(value) for value in await pipe.execute()]
    return Snapshot(dict(zip((name[len(prefix) :] for name in names), values, strict=True)))


def snapshot_by(exchange: Callable[[Sequence[Any]], list[Any]], site: str) -> Snapshot:
    """The same by a way of asking that waits, and answers with strings."""
    prefix = f"acd:{{{site}}}:"
    (names,) = exchange([("KEYS", _pattern(prefix))])
    names.sort()
    types = exchange([("TYPE", name) for name in names])
    read = [_reading(name, kind) for name, kind in zip(names, types, strict=True)]
    values = [_paired(kind, value) for kind, value in zip(types, exchange(read), strict=True)]
    return Snapshot(dict(zip((name[len(prefix) :] for name in names), values, strict=True)))


def _pattern(prefix: str) -> str:
    return prefix.replace("{", "\\{") + "*"


def _reading(name: str, kind: str) -> tuple[str, ...]:
    verb, *more = _READ[kind]
    return verb, name, *more


def _paired(kind: str, value: Any) -> Any:
    """What redis-py makes of a reply."""
    match kind:
        case "hash":
            return dict(zip(value[::2], value[1::2], strict=True))
        case "set":
            return set(value)
        case "zset":
            return {name: int(float(score)) for name, score in zip(value[::2], value[1::2], strict=True)}
    return value


def _decoded(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode()
        case dict():
            return {k.decode(): v.decode(errors="replace") for k, v in value.items()}
        case set():
            return {v.decode() for v in value}
        case list():
            return {m.decode(): int(s) for m, s in value}
    return value


def audit(state: Snapshot) -> None:
    """Assert the invariants that hold between any two operations."""
    calls = {call: {**USUAL, **json.loads(known["is"]), **known} for call, known in state.under("c:").items()}
    agents = state.under("a:")
    _lines_are_whole(state, calls)
    _idle_sets_are_whole(state, agents)
    _agents_are_listed(state, agents)
    _reservations_are_pairs(state, _reservations(state, calls), agents)
    _owners_know_their_calls(state, calls)
    _exclusions_agree(state, calls)
    _deadlines_are_set(state, calls, agents)
    _fits_are_right(state)
    assert ("doubt" in state.keys) == ("doubt" in state.get("odd"))
    if "doubt" not in state.keys:
        _no_call_waits_beside_a_free_agent(state, calls, agents)
    _counters_are_conserved(state, calls)
    _callbacks_are_whole(state)


def _lines_are_whole(state: Snapshot, calls: dict[str, Any]) -> None:
    waiting = {i: c for i, c in calls.items() if c["st"] == "waiting"}
    for kind, name in (("w:", "class"), ("qw:", "queue")):
        expected: dict[str, dict[str, int]] = {}
        for c in waiting.values():
            expected.setdefault(c[name], {})[c["member"]] = int(c["score"])
        assert state.under(kind) == expected
    own = {c["member"]: int(c["score"]) for c in waiting.values() if c.get("own")}
    assert state.get("own") == own
    assert ("own" in state.get("odd")) == bool(own)
    by_age: dict[str, dict[str, int]] = {}
    for i, c in waiting.items():
        by_age.setdefault(c["queue"], {})[i] = int(c["enqueued"])
    assert state.under("qe:") == by_age
    heads: dict[str, dict[str, int]] = {}
    for c in waiting.values():
        weight = "" if c["weight"] == 1 else f"*{c['weight']}"
        group = heads.setdefault(f"h{weight}:{c['named']}" if c["named"] else f"h{weight}", {})
        group[c["class"]] = min(int(c["score"]), group.get(c["class"], int(c["score"])))
    found = {name: v for name, v in state.keys.items() if name == "h" or name.startswith(("h:", "h*"))}
    assert found == heads


def _idle_sets_are_whole(state: Snapshot, agents: dict[str, Any]) -> None:
    idle = state.under("i:longest-idle:")
    for profile, members in idle.items():
        for agent, since in members.items():
            assert profile == _found_by(agents[agent])
            assert int(agents[agent]["is"]) == since
    orders = {"longest-idle", *state.get("or")}
    assert state.get("odd").get("orders", "").split() == sorted(state.get("or"))
    assert Counter(state.get("co").values()) == {o: int(n) for o, n in state.get("or").items()}
    assert {name.partition(":")[0] for name in state.under("i:")} <= orders
    for order in orders:
        scored = state.under(f"i:{order}:")
        assert {profile: set(members) for profile, members in scored.items()} == {
            profile: set(members) for profile, members in idle.items()
        }
        assert state.get(f"ih:{order}") == {p: min(members.values()) for p, members in scored.items()}
        for members in scored.values():
            for agent, score in members.items():
                assert score == ORDERS[order](_idle_facts(agent, agents[agent]))
    listed = [agent for members in idle.values() for agent in members]
    assert len(listed) == len(set(listed))
    resting = {a for a, v in agents.items() if _found_by(v)} - set(listed)
    assert all(f"a:{agent}" in state.get("due") for agent in resting)
    signed_in: dict[str, set[str]] = {}
    for agent, v in agents.items():
        if v["st"] in ("available", "offered", "talking", "wrapup"):
            for profile in (v["p"], v.get("pb")):
                if profile:
                    signed_in.setdefault(profile, set()).add(agent)
    assert state.under("si:") == signed_in


def _found_by(v: dict[str, str]) -> str | None:
    """The profile under which a call finds the agent; None for one who has no room."""
    if v["st"] == "available":
        return v["p"]
    has_room = v["st"] == "talking" and int(v.get("ld", 1)) < int(v.get("cap", 1))
    return v["pb"] if has_room and "nx" not in v and "ow" not in v else None


def _idle_facts(agent_id: str, v: dict[str, str]) -> IdleAgent:
    return IdleAgent(
        agent_id=agent_id,
        idle_since_ms=int(v["is"]),
        last_rung_ms=int(v.get("lr", 0)),
        calls=int(v.get("cn", 0)),
        busy_ms=int(v.get("bz", 0)),
        signed_in_ms=int(v.get("si", 0)),
        order=int(v.get("od", 0)),
        weight=int(v.get("wt", 1)),
        clock=int(v.get("ck", "0")),
    )


def _agents_are_listed(state: Snapshot, agents: dict[str, Any]) -> None:
    assert state.keys.get("ag", set()) == set(agents)


def _reservations(state: Snapshot, calls: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Call, agent, token and state of each."""
    rung = state.under("o:")
    assert set(rung) == {i for i, c in calls.items() if c["st"] == "offered" and c["rings"] > 1}
    several = [(i, a, token, "offered") for i, found in rung.items() for a, token in found.items()]
    assert all(("a" in c) == (c["st"] != "waiting" and i not in rung) for i, c in calls.items())
    assert all(len(found) <= calls[i]["rings"] for i, found in rung.items())
    return several + [(i, c["a"], c["tk"], c["st"]) for i, c in calls.items() if "a" in c]


def _reservations_are_pairs(
    state: Snapshot, held: list[tuple[str, str, str, str]], agents: dict[str, Any]
) -> None:
    at = state.under("at:")
    talks = {(call, a, str(token), "talking") for a, found in at.items() for call, token in found.items()}
    at_hand = {(v["c"], a, v["tk"], v["st"]) for a, v in agents.items() if "c" in v}
    assert sorted(held) == sorted(talks | at_hand)
    several = {a for a, v in agents.items() if "cap" in v}
    assert {a for _, a, _, st in held if st == "talking" and a in several} == set(at)
    for a, v in agents.items():
        assert ("c" in v) == (v["st"] in ("offered", "talking"))
        assert int(v.get("ld", 0)) == len(at.get(a, ()))
    one_at_most = [a for _, a, _, st in held if st == "offered" or a not in several]
    assert len(one_at_most) == len(set(one_at_most))


def _owners_know_their_calls(state: Snapshot, calls: dict[str, Any]) -> None:
    expected: dict[str, set[str]] = {}
    for i, c in calls.items():
        expected.setdefault(c["node"], set()).add(i)
    assert state.under("nc:") == expected


def _exclusions_agree(state: Snapshot, calls: dict[str, Any]) -> None:
    by_call = {(call, agent) for call, agents in state.under("x:").items() for agent in agents}
    by_agent = {(call, agent) for agent, found in state.under("xa:").items() for call in found}
    assert by_call == by_agent
    assert {call for call, _ in by_call} <= set(calls)
    assert all(len(found) <= limits.EXCLUSIONS_PER_AGENT for found in state.under("xa:").values())


def _deadlines_are_set(state: Snapshot, calls: dict[str, Any], agents: dict[str, Any]) -> None:
    due = state.get("due")
    assert {w for w in due if w[0] == "r"} == {f"r:{i}" for i, c in calls.items() if c["st"] == "offered"}
    assert {w for w in due if w[0] == "x"} == {f"x:{i}" for i in state.under("x:")}
    stepping = {f"l:{i}" for i, c in calls.items() if c["steps"]}
    assert {w for w in due if w[0] == "l"} == stepping
    aiming = {f"d:{i}": int(c["late"].split()[0]) for i, c in calls.items() if c["late"]}
    assert {w: at for w, at in due.items() if w[0] == "d"} == aiming
    timed = {f"a:{a}" for a, v in agents.items() if v["st"] in ("wrapup", "offline")}
    assert timed <= {w for w in due if w[0] == "a"}
    assert ("s:" in due) == bool(state.get("cl") or state.get("pf"))


def _fits_are_right(state: Snapshot) -> None:
    classes = {name: _read_class(text) for name, text in state.get("cl").items()}
    profiles = {name: _read_profile(text) for name, text in state.get("pf").items()}
    fit = {}
    for (c, want), (p, can) in product(classes.items(), profiles.items()):
        fits, terms, place = _fit(want, can)
        if fits:
            fit[c, p] = place
        if terms:
            fit[c, f"{p}|{terms}"] = place
    assert {(c, p + terms): r for c, terms, p, r in _pairs(state.under("cp:"))} == fit
    assert {(c, p + terms): r for p, terms, c, r in _pairs(state.under("pc:"))} == fit
    _lendings_are_known(state, classes, profiles)
    weighty = {name: str(want.weight) for name, want in classes.items() if want.weight != 1}
    assert state.get("cw") == weighty
    assert state.get("odd").get("weights", "").split() == sorted(set(weighty.values()), key=int)
    assert set(state.under("w:")) <= set(classes)
    assert set(state.under("si:")) <= set(profiles)
    assert set(state.get("ck")) == set(classes)
    assert set(state.get("pk")) == set(profiles)


@cache
def _fit(want: Requirement, can: AgentProfile) -> tuple[bool, str, int]:
    """Whether they fit at any time, the terms on which they do while a queue is well, and the rank."""
    lent = eligible_while(want, can)
    return eligible(want, can), lending_terms(lent) if lent else "", rank(want, can)


def _pairs(found: dict[str, dict[str, int]]) -> Iterator[tuple[str, str, str, int]]:
    """Name, terms of lending (with a bar before) or nothing, the other name, and rank of each pair."""
    for key, names in found.items():
        name, bar, terms = key.partition("|")
        for other, place in names.items():
            yield name, bar + terms, other, place


def _lendings_are_known(
    state: Snapshot, classes: dict[str, Requirement], profiles: dict[str, AgentProfile]
) -> None:
    of_class: dict[str, set[str]] = {}
    of_profile: dict[str, set[str]] = {}
    lent: dict[str, set[str]] = {}
    for (c, want), (p, can) in product(classes.items(), profiles.items()):
        if terms := _fit(want, can)[1]:
            of_class.setdefault(c, set()).add(terms)
            of_profile.setdefault(p, set()).add(terms)
            lent.setdefault(terms, set()).add(p)
    assert state.under("cr:") == of_class
    assert state.under("pr:") == of_profile
    assert state.under("lt:") == lent
    assert state.keys.get("lr", set()) == set(lent)
    assert ("lent" in state.get("odd")) == bool(lent)
    serving: dict[str, set[str]] = {}
    for p, can in profiles.items():
        for queue in dict(can.queues).keys() - dict(can.lent).keys():
            serving.setdefault(queue, set()).add(p)
    assert state.under("qp:") == serving


def _no_call_waits_beside_a_free_agent(
    state: Snapshot, calls: dict[str, Any], agents: dict[str, Any]
) -> None:
    idle = {
        agent: profile for profile, members in state.under("i:longest-idle:").items() for agent in members
    }
    for i, c in calls.items():
        if c["st"] != "waiting":
            continue
        for agent in set(idle) - state.keys.get(f"x:{i}", set()):
            if c["named"]:
                assert c["named"] != agent
            else:
                assert idle[agent] not in state.keys.get(f"cp:{c['class']}", {})


def _counters_are_conserved(state: Snapshot, calls: dict[str, Any]) -> None:
    live: dict[str, Counter[str]] = {}
    rung: Counter[str] = Counter()
    for i, _, _, st in _reservations(state, calls):
        rung[calls[i]["queue"]] += st == "offered"
    for c in calls.values():
        live.setdefault(c["queue"], Counter())[c["st"]] += 1
    for queue, raw in state.under("qs:").items():
        n = Counter({name: int(value) for name, value in raw.items()})
        assert all(value >= 0 for value in n.values())
        ended = n["abandoned"] + n["completed"] + n["lost"] + n["released"] + n["overflowed"]
        now = live.get(queue, Counter())
        assert n["entered"] == sum(now.values()) + ended
        left = sum(n[f"{how}_offered"] for how in ("abandoned", "released", "overflowed", "lost"))
        over = n["rejected"] + n["withdrawn"] + n["let-go"] + n["answered"] + left
        assert n["offers"] - over == rung[queue]
        assert n["answered"] - n["completed"] - n["lost_talking"] == now["talking"]


def _callbacks_are_whole(state: Snapshot) -> None:
    found = state.under("cb:")
    by_queue: dict[str, dict[str, int]] = {}
    numbers: dict[str, dict[str, str]] = {}
    owned: dict[str, set[str]] = {}
    free: dict[str, int] = {}
    for i, b in found.items():
        by_queue.setdefault(b["q"], {})[i] = int(b["e"])
        if b["num"]:
            assert b["num"] not in numbers.setdefault(b["q"], {})
            numbers[b["q"]][b["num"]] = i
        if b["n"]:
            owned.setdefault(b["n"], set()).add(i)
        elif b["st"] == "waiting":
            free[i] = int(b["e"])
        assert b["n"] or b["st"] != "making"
        assert not b["n"] or b["st"] != "resting"
        assert int(b["at"]) <= int(b["max"])
    assert state.under("cbq:") == by_queue
    assert state.under("cbn:") == numbers
    assert state.under("nb:") == owned
    assert state.get("cbf") == free
    due = state.get("due")
    assert {w for w in due if w[0] == "b"} == {f"b:{i}" for i, b in found.items() if b["st"] == "resting"}
    ending = {f"e:{i}" for i, b in found.items() if b["x"] != "0"}
    assert {w for w in due if w[0] == "e"} <= ending
    assert {w for w in ending if found[w[2:]]["st"] == "waiting"} <= set(due)
    assert not set(found) & set(state.get("cbx"))
    all_over = 0
    for raw in state.under("qs:").values():
        n = Counter({name: int(value) for name, value in raw.items()})
        over = sum(n[f"callback-{how}"] for how in ("done", "failed", "cancelled", "expired"))
        all_over += over
        assert n["callback-attempts"] >= n["callback-done"] + n["callback-unreached"]
        assert n["callback-added"] >= over
    added = sum(int(raw.get("callback-added", 0)) for raw in state.under("qs:").values())
    assert added == len(found) + all_over
    # And those that a node ended which the store had lost.
    assert all_over <= len(state.get("cbx"))


async def sizes(redis: Redis, site: str) -> dict[str, int]:
    """Bytes of memory that each key of a site takes, by its name without the prefix."""
    prefix = f"acd:{{{site}}}:"
    names = [key async for key in redis.scan_iter(prefix.replace("{", "\\{") + "*", count=1000)]
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.memory_usage(name, samples=0)
    taken = await pipe.execute()
    return {n.decode().removeprefix(prefix): size for n, size in zip(names, taken, strict=True)}


async def hear_events(redis: Redis, site: str, fold: Fold) -> None:
    """Let the fold hear the site's events."""
    fold.hear(events_of(await redis.xrange(f"acd:{{{site}}}:ev")))
