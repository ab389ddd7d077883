"""Reads flow files and checks them as a whole: all can be used, or FlowError says all that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ivr.flow import FlowDefinition, Node
from ivr.graph import check_graph, spot
from ivr.problems import FlowError, Problem
from ivr.prompts import PromptLibrary
from ivr.reader import NAME, Reader, line_of
from ivr.schema import NodeReader, Site

__all__ = ["SHIPPED_FLOWS", "FlowError", "Problem", "read_flows"]

SHIPPED_FLOWS = Path(__file__).parent / "flows"
"""The flows that come with this package: main, echo, music."""

_LARGEST_FILE_BYTES = 1_000_000
_MOST_NODES = 1000


def read_flows(dirs: Sequence[Path], prompts: PromptLibrary) -> Mapping[str, FlowDefinition]:
    """Read every *.yaml and *.yml of the directories; one that is not there holds no flows.

    A flow in an earlier directory replaces one of the same name in a later one, which is then not checked.
    Raises FlowError with all problems of all files.
    """
    problems: list[Problem] = []
    sources: dict[str, _Source] = {}
    for directory in dirs:
        here: dict[str, _Source] = {}
        for source in _sources(directory, problems):
            if source.name in here:
                message = f"flow {source.name!r} is also in {here[source.name].file.name}"
                problems.append(Problem(source.file, 1, "", message))
            here.setdefault(source.name, source)
        sources = here | sources
    flows = {name: _read(source, prompts, problems) for name, source in sources.items()}
    if problems:
        raise FlowError(problems)
    return flows


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that is YAML and says which flow it is."""

    file: Path
    root: yaml.Node
    name: str


def _sources(directory: Path, problems: list[Problem]) -> Iterator[_Source]:
    files = sorted(directory.iterdir()) if directory.is_dir() else []
    for file in files:
        if file.suffix not in (".yaml", ".yml"):
            continue
        root = _compose(file, problems)
        if root is None:
            continue
        name = _flow_name(root)
        if name is None:
            problems.append(Problem(file, 1, "", "a flow file begins with 'name:' and the name of the flow"))
        else:
            yield _Source(file, root, name)


def _compose(file: Path, problems: list[Problem]) -> yaml.Node | None:
    """The file as a tree that knows its lines, or None and a problem."""
    line, message = 0, "is empty"
    try:
        data = file.read_bytes()
        if len(data) <= _LARGEST_FILE_BYTES:
            root: yaml.Node | None = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
            if root is not None:
                return root
        else:
            message = f"is larger than {_LARGEST_FILE_BYTES} bytes"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        message = f"not valid YAML: {error.problem or error.context}"
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"not valid YAML in UTF-8: {str(error).splitlines()[0]}"
    except RecursionError:
        message = "not valid YAML: nested too deeply"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    problems.append(Problem(file, line, "", message))
    return None


def _flow_name(root: yaml.Node) -> str | None:
    """What the file is called, read before anything is checked."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode) and NAME.fullmatch(value.value):
                return str(value.value)
    return None


def _read(source: _Source, prompts: PromptLibrary, problems: list[Problem]) -> FlowDefinition:
    """One flow. Where it adds problems, the result is not to be used."""
    reader = Reader(source.file)
    fields = reader.fields(source.root, "a flow file")
    languages = _languages(reader, fields, prompts)
    nodes = NodeReader(reader, Site(prompts, languages))
    nodes.check_keys(source.root, fields, ("name", "start", "nodes"), ("languages",), "a flow file")
    start = reader.name(fields["start"], "start") if "start" in fields else ""
    listed = reader.fields(fields["nodes"], "nodes") if "nodes" in fields else {}
    if len(listed) > _MOST_NODES:
        reader.fault(fields["nodes"], f"more than {_MOST_NODES} nodes")
        listed = {}
    built = dict(_nodes(reader, nodes, listed))
    if listed:
        spots = {name: spot(at, _loose_fields(at)) for name, at in listed.items()}
        check_graph(reader, spots, start, fields.get("start", source.root))
    problems.extend(reader.problems)
    lines = {name: line_of(at) for name, at in listed.items()}
    return FlowDefinition(source.name, start, built, str(source.file), lines)


def _nodes(reader: Reader, nodes: NodeReader, listed: Mapping[str, yaml.Node]) -> Iterator[tuple[str, Node]]:
    for name, at in listed.items():
        reader.node = name
        if not NAME.fullmatch(name):
            reader.fault(at, "a node's name is 1-64 letters, digits or any of _+.:- without spaces")
        node = nodes.build(at)
        if node is not None:
            yield name, node
    reader.node = ""


def _loose_fields(at: yaml.Node) -> dict[str, yaml.Node]:
    """The keys of a node; its faults have been noted already."""
    if not isinstance(at, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in at.value if isinstance(key, yaml.ScalarNode)}


def _languages(reader: Reader, fields: Mapping[str, yaml.Node], prompts: PromptLibrary) -> frozenset[str]:
    """The languages that a flow says it is heard in; all of the library where it says nothing."""
    if "languages" not in fields:
        return prompts.languages
    listed = reader.items(fields["languages"], "languages")
    if isinstance(fields["languages"], yaml.SequenceNode) and not listed:
        reader.fault(fields["languages"], "languages needs at least one language")
    return (
        frozenset(reader.one_of(item, "language", prompts.languages) for item in listed) & prompts.languages
    )
