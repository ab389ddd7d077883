"""Whether the nodes of a flow hang together: no loose ends, nothing unreachable, a way out of every loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from ivr.reader import Fields, Reader
from ivr.schema import TERMINAL_KINDS

_NODE_KEYS = ("next", "otherwise")


@dataclass(frozen=True, slots=True)
class Spot:
    """One node as the graph sees it: where it is written, where it leads, whether the flow may end there."""

    at: yaml.Node
    leads_to: tuple[tuple[str, yaml.Node], ...]
    terminal: bool


def spot(at: yaml.Node, fields: Fields) -> Spot:
    """What a node leads to, even where its other keys are wrong."""
    leads_to = tuple(_references(fields))
    return Spot(at, leads_to, not leads_to or not TERMINAL_KINDS.isdisjoint(fields))


def _references(fields: Fields) -> Iterator[tuple[str, yaml.Node]]:
    targets = [fields[key] for key in _NODE_KEYS if key in fields]
    choices = fields.get("choices")
    if isinstance(choices, yaml.MappingNode):
        targets += [target for _, target in choices.value]
    for target in targets:
        if isinstance(target, yaml.ScalarNode) and target.value:
            yield target.value, target


def check_graph(reader: Reader, spots: Mapping[str, Spot], start: str, start_at: yaml.Node) -> None:
    """Note unknown nodes, unreachable nodes, and loops without an exit."""
    _check_references(reader, spots)
    if start in spots:
        _check_reach(reader, spots, start)
    elif start:
        reader.node = ""
        reader.fault(start_at, f"start: unknown node {start!r}")
    _check_loops(reader, spots)
    reader.node = ""


def _check_references(reader: Reader, spots: Mapping[str, Spot]) -> None:
    for name, each in spots.items():
        reader.node = name
        for target, at in each.leads_to:
            if target not in spots:
                reader.fault(at, f"unknown node {target!r}")


def _check_reach(reader: Reader, spots: Mapping[str, Spot], start: str) -> None:
    reached = {start}
    pending = [start]
    while pending:
        for target, _ in spots[pending.pop()].leads_to:
            if target in spots and target not in reached:
                reached.add(target)
                pending.append(target)
    for name, each in spots.items():
        if name not in reached:
            reader.node = name
            reader.fault(each.at, f"unreachable: no way leads here from {start!r}")


def _check_loops(reader: Reader, spots: Mapping[str, Spot]) -> None:
    """Note each loop from which the flow cannot end; nodes that only lead into it are not named."""
    stuck = _without_exit(spots)
    told: set[frozenset[str]] = set()
    for name in stuck:
        loop = _loop_from(name, stuck)
        if frozenset(loop) not in told:
            told.add(frozenset(loop))
            reader.node = loop[0]
            way = " -> ".join([*loop, loop[0]])
            reader.fault(spots[loop[0]].at, f"loop without an exit: {way}; nothing there ends the flow")


def _without_exit(spots: Mapping[str, Spot]) -> dict[str, str]:
    """Each node that no end can be reached from, to the first node that it leads to."""
    ends = {
        name
        for name, each in spots.items()
        if each.terminal or any(target not in spots for target, _ in each.leads_to)
    }
    grew = True
    while grew:
        more = {name for name, each in spots.items() if any(to in ends for to, _ in each.leads_to)} - ends
        ends |= more
        grew = bool(more)
    return {name: each.leads_to[0][0] for name, each in spots.items() if name not in ends}


def _loop_from(name: str, leads_to: Mapping[str, str]) -> list[str]:
    """The loop that one comes to from here."""
    way: list[str] = []
    while name not in way:
        way.append(name)
        name = leads_to[name]
    return way[way.index(name) :]
