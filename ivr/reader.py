"""Typed reading of YAML nodes that notes every fault and goes on: a wrong value is given as an empty one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import yaml

from ivr.problems import Problem

NAME = re.compile(r"[A-Za-z0-9_+.:-]{1,64}")
"""What flows, nodes, prompts, queues and skills may be called."""

_STRING, _WHOLE, _NUMBER, _FLAG, _NULL = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")
)
_SHOWN = 60
"""Characters of a wrong value that a message repeats."""

Fields = Mapping[str, yaml.Node]


class Reader:
    """Reads one flow file. `node` is the flow's node being read, for the messages."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.node = ""
        self.problems: list[Problem] = []

    def fault(self, at: yaml.Node, message: str) -> None:
        """Note what is wrong at a place in the file."""
        self.problems.append(Problem(self.file, line_of(at), self.node, message))

    def fields(self, at: yaml.Node, what: str) -> dict[str, yaml.Node]:
        """A mapping with each key once. Keys are taken as they are written."""
        if not isinstance(at, yaml.MappingNode):
            self.fault(at, f"{what} must be a mapping (key: value), not {shown(at)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in at.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, f"{what}: a key must be a plain word")
            elif key.value in found:
                self.fault(key, f"{what}: {shown(key)} is there twice")
            else:
                if isinstance(value, yaml.CollectionNode):
                    value.start_mark = key.start_mark  # people look for it where its name stands
                found[key.value] = value
        return found

    def text(self, at: yaml.Node, what: str) -> str:
        """Text; a whole number is taken as it is written (queue: 100)."""
        if isinstance(at, yaml.ScalarNode) and at.tag in (_STRING, _WHOLE):
            return str(at.value)
        quoted = " (put it in quotes if it is meant as text)" if isinstance(at, yaml.ScalarNode) else ""
        self.fault(at, f"{what} must be text, not {shown(at)}{quoted}")
        return ""

    def name(self, at: yaml.Node, what: str) -> str:
        """Text that may name a thing."""
        text = self.text(at, what)
        if text and not NAME.fullmatch(text):
            self.fault(
                at, f"{what} must be 1-64 letters, digits or any of _+.:- without spaces, not {shown(at)}"
            )
        return text

    def one_of(self, at: yaml.Node, what: str, known: Collection[str]) -> str:
        """The name of something that must be there."""
        name = self.name(at, what)
        if name and name not in known:
            self.fault(at, f"unknown {what} {name!r}; there is: {', '.join(sorted(known)) or 'none'}")
        return name

    def items(self, at: yaml.Node, what: str) -> list[yaml.Node]:
        """A list."""
        if isinstance(at, yaml.SequenceNode):
            return list(at.value)
        self.fault(at, f"{what} must be a list ([one, two]), not {shown(at)}")
        return []

    def whole(self, at: yaml.Node, what: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        return int(self._bounded(at, what, low, high, "a whole number", (_WHOLE,), int))

    def seconds(self, at: yaml.Node, what: str, low: float, high: float) -> float:
        """A number of seconds within bounds."""
        return self._bounded(at, what, low, high, "a number of seconds", (_WHOLE, _NUMBER), float)

    def flag(self, at: yaml.Node, what: str) -> bool:
        """true or false."""
        if at.tag == _FLAG:
            return str(at.value).lower() in ("true", "yes", "on")
        self.fault(at, f"{what} must be true or false, not {shown(at)}")
        return False

    def _bounded(
        self,
        at: yaml.Node,
        what: str,
        low: float,
        high: float,
        kind: str,
        tags: tuple[str, ...],
        convert: Callable[[str], float],
    ) -> float:
        if isinstance(at, yaml.ScalarNode) and at.tag in tags:
            try:
                value = convert(at.value)
            except ValueError:  # hexadecimal, infinity, hours:minutes: numbers to YAML, but not here
                value = low - 1
            if low <= value <= high:
                return value
        self.fault(at, f"{what} must be {kind} from {low:g} to {high:g}, not {shown(at)}")
        return low


def line_of(at: yaml.Node) -> int:
    """Where it begins, counted from 1."""
    return int(at.start_mark.line) + 1


def is_empty(at: yaml.Node) -> bool:
    """Whether nothing stands after the colon."""
    return at.tag == _NULL


def shown(at: yaml.Node) -> str:
    """A value as a message repeats it."""
    if isinstance(at, yaml.MappingNode):
        return "a mapping"
    if isinstance(at, yaml.SequenceNode):
        return "a list"
    if is_empty(at):
        return "nothing"
    text = str(at.value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
