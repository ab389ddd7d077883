"""Registered contacts in memory: by agent, by flow, by deadline. No I/O; time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count

import msgspec

from acd.sip.core.events import Flow


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One contact of an agent (RFC 3261 section 10.3). Times in seconds since the epoch."""

    agent: str
    key: str
    """What makes two contacts the same one."""
    contact: str
    """The URI as the phone wrote it; repeated to it in the answer."""
    listens: tuple[str, int]
    """Host and port of that URI."""
    target: str
    """The URI to call: the contact, its address replaced by the source where they differ."""
    flow: Flow
    call_id: str
    cseq: int
    registered_at: float
    expires_at: float
    user_agent: str = ""
    instance: str = ""
    """The phone's own name, the same over all its flows (RFC 5626 section 4.1); empty where it tells none."""
    path: tuple[str, ...] = ()
    """Proxies on the way to the phone, the nearest first: the Route of each request (RFC 3327)."""


def one_flow_each(bindings: Sequence[Binding]) -> list[Binding]:
    """Of several flows of one phone only the first: it is not to ring twice (RFC 5626 section 7)."""
    seen: set[str] = set()
    kept = []
    for binding in bindings:
        is_flow = bool(binding.instance) and binding.key.startswith(f"{binding.instance};")
        if is_flow and binding.instance in seen:
            continue
        seen.add(binding.instance)
        kept.append(binding)
    return kept


class ContactTable:
    """The bindings held now. Every operation is O(log n) or better."""

    def __init__(self) -> None:
        self._by_agent: dict[str, dict[str, Binding]] = {}
        self._by_flow: dict[Flow, set[tuple[str, str]]] = {}
        self._hosts: dict[str, int] = {}
        self._heap: list[tuple[float, int, Binding]] = []
        self._order = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def of(self, agent: str) -> tuple[Binding, ...]:
        """The agent's contacts, the newest first."""
        held = self._by_agent.get(agent)
        if not held:
            return ()
        return tuple(sorted(held.values(), key=lambda binding: binding.registered_at, reverse=True))

    def all(self) -> tuple[Binding, ...]:
        """Every contact."""
        return tuple(binding for held in self._by_agent.values() for binding in held.values())

    def on_flow(self, flow: Flow) -> tuple[Binding, ...]:
        """The contacts that are reached through one flow."""
        return tuple(self._by_agent[agent][key] for agent, key in self._by_flow.get(flow, ()))

    def has_host(self, host: str) -> bool:
        """Whether a phone is registered from this address."""
        return host in self._hosts

    def put(self, binding: Binding, deadline: float) -> None:
        """Add, or replace the one of the same agent and key."""
        self.remove(binding.agent, binding.key)
        self._by_agent.setdefault(binding.agent, {})[binding.key] = binding
        self._by_flow.setdefault(binding.flow, set()).add((binding.agent, binding.key))
        host = binding.flow.remote[0]
        self._hosts[host] = self._hosts.get(host, 0) + 1
        self._size += 1
        heapq.heappush(self._heap, (deadline, next(self._order), binding))
        if len(self._heap) > 64 + 4 * self._size:
            self._heap = [entry for entry in self._heap if self._is_held(entry[2])]
            heapq.heapify(self._heap)

    def remove(self, agent: str, key: str) -> bool:
        """Take one contact away; False where there is none."""
        held = self._by_agent.get(agent)
        binding = held.pop(key, None) if held is not None else None
        if held is None or binding is None:
            return False
        if not held:
            del self._by_agent[agent]
        on_flow = self._by_flow[binding.flow]
        on_flow.discard((agent, key))
        if not on_flow:
            del self._by_flow[binding.flow]
        host = binding.flow.remote[0]
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        self._size -= 1
        return True

    def next_deadline(self) -> float | None:
        """When the next contact is over."""
        while self._heap and not self._is_held(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[Binding, ...]:
        """The contacts whose deadline has come; they are still held, and are named once."""
        over = []
        while self._heap and self._heap[0][0] <= now:
            binding = heapq.heappop(self._heap)[2]
            if self._is_held(binding):
                over.append(binding)
        return tuple(over)

    def _is_held(self, binding: Binding) -> bool:
        return self._by_agent.get(binding.agent, {}).get(binding.key) is binding
