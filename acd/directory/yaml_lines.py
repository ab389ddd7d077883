"""YAML into plain values that remember on which line each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from acd.directory.check import KeyPath, Problem

_MAX_NODES = 1_000_000
"""Aliases are followed, so a small file can describe a huge one."""
_MAX_DEPTH = 64
"""libyaml builds its tree by recursion and would end the process on a file of nothing but brackets."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(Exception):
    """Not YAML, or more than we take. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Document:
    """Plain values, the line of each, and the keys that stood twice in a mapping."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    repeated: list[Problem] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """The line of a value, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> Document:
    """Parse one document. Raises YamlError."""
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            document = Document()
            if root is not None:
                document.value = _Reading(loader, document).value(root, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(mark.line + 1 if mark else 1, f"not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(1, f"not valid YAML: {error}") from error
    except RecursionError as error:
        raise YamlError(1, "an alias within itself") from error
    return document


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise YamlError(line, f"nested more than {_MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reading:
    def __init__(self, loader: Any, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._left = _MAX_NODES

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._left -= 1
        if self._left < 0:
            raise YamlError(node.start_mark.line + 1, f"more than {_MAX_NODES} values")
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(line, "a key must be a plain word")
            # As it is written: a skill called "no" or "12" stays what the operator typed.
            key = str(key_node.value)
            if key in found:
                self._document.repeated.append(Problem((*path, key), "stands twice; keep one of them"))
                continue
            # People look for a value where its key stands.
            self._document.lines[(*path, key)] = line
            found[key] = self.value(value_node, (*path, key))
        return found
