"""The prompts and flows of a node, and whether they and the directory lead to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from acd.config import Settings
from acd.directory.boxes import all_boxes, find_box, rules_of
from acd.directory.check import suggestion
from acd.directory.model import Directory
from acd.errors import ConfigError
from ivr.flow import Callback, FlowDefinition, Queue, Set, Transfer, Voicemail
from ivr.loader import SHIPPED_FLOWS, FlowError, read_flows
from ivr.prompts import SHIPPED_PROMPTS, PromptError, PromptLibrary


def load_prompts(settings: Settings) -> PromptLibrary:
    """The site's recordings before the ones that ship. Raises ConfigError."""
    own = settings.ivr.prompts_dir
    folders = [*([own] if own else []), SHIPPED_PROMPTS]
    try:
        return PromptLibrary(folders, settings.ivr.default_language)
    except PromptError as error:
        raise ConfigError(str(error)) from error


def load_flows(settings: Settings, prompts: PromptLibrary) -> Mapping[str, FlowDefinition]:
    """The flows that ship and the site's own, each checked as a whole. Raises ConfigError."""
    own = settings.ivr.flows_dir or settings.node.data_dir / "flows"
    if settings.ivr.flows_dir and not own.is_dir():
        raise ConfigError(f"ivr.flows_dir: {own} is not a folder; create it or leave the key out")
    folders = [*([own] if own.is_dir() else []), SHIPPED_FLOWS]
    try:
        return read_flows(folders, prompts)
    except FlowError as error:
        raise ConfigError(str(error)) from error


def find_loose_ends(
    directory: Directory, flows: Mapping[str, FlowDefinition], prompts: PromptLibrary
) -> list[str]:
    """What a caller would run into: a flow, queue, number, extension, box, greeting or prompt that is
    not there.

    One line each, with file, line and node where it stands in a flow, and what to do.
    """
    wanted = {number.flow: f"number {number.number}" for number in directory.numbers.values() if number.flow}
    for queue in directory.queues.values():
        if queue.callback is not None and queue.callback.digit:
            wanted.setdefault(queue.callback.flow, f"callback.digit of queue {queue.name}")
        for rule in queue.overflow:
            if rule.flow:
                wanted.setdefault(rule.flow, f"overflow of queue {queue.name}")
    absent = [
        f"{user} leads to the flow {name!r}, which is not there"
        f"{suggestion(name, flows) or '; put its file into the flow folder, or give the number another'}"
        for name, user in sorted(wanted.items())
        if name not in flows
    ]
    used = [flows[name] for name in sorted(wanted) if name in flows]
    ends = (line for flow in used for line in _ends_of(flow, directory))
    return [*absent, *_unspoken(directory, prompts), *ends, *_greetings(directory, prompts)]


def _unspoken(directory: Directory, prompts: PromptLibrary) -> Iterator[str]:
    for queue in directory.queues.values():
        for prompt in dict.fromkeys(prompt for rule in queue.rules for prompt in rule.message):
            if not prompts.has(prompt, prompts.default_language):
                hint = suggestion(prompt, prompts.names) or "; record it into ivr.prompts_dir"
                yield f"overflow of queue {queue.name}: there is no prompt {prompt!r}{hint}"


def _greetings(directory: Directory, prompts: PromptLibrary) -> Iterator[str]:
    for box in all_boxes(directory):
        rules = rules_of(directory, box)
        for prompt in rules.greeting if rules else ():
            if not prompts.has(prompt, prompts.default_language):
                hint = suggestion(prompt, prompts.names) or "; record it, or leave it out"
                yield (
                    f"box {box}: its greeting {prompt!r} is not recorded in the default language "
                    f"{prompts.default_language!r}{hint}"
                )


def _ends_of(flow: FlowDefinition, directory: Directory) -> Iterator[str]:
    extensions = directory.agent_by_extension
    for name, node in flow.nodes.items():
        where = f"{flow.file}:{flow.lines.get(name, 1)}: node {name!r}"
        match node:
            case Queue(queue) if queue not in directory.queues:
                hint = suggestion(queue, directory.queues) or "; add it to the queues of the directory"
                yield f"{where}: there is no queue {queue!r}{hint}"
            case Callback(queue) if queue and queue not in directory.queues:
                hint = suggestion(queue, directory.queues) or "; add it to the queues of the directory"
                yield f"{where}: there is no queue {queue!r}{hint}"
            case Callback(queue) if queue and directory.queues[queue].callback is None:
                yield f"{where}: queue {queue!r} calls nobody back; give it `callback` in the directory"
            case Voicemail(box) if find_box(directory, box) is None:
                hint = suggestion(box, all_boxes(directory)) or "; give it `voicemail` in the directory"
                yield f"{where}: there is no voicemail box {box!r}{hint}"
            case Set(agent=str(agent)) if agent and agent not in directory.agents:
                hint = suggestion(agent, directory.agents) or "; add it to the agents of the directory"
                yield f"{where}: there is no agent {agent!r}{hint}"
            case Transfer(to) if not _is_there(to, directory):
                kind, _, target = to.partition(":")
                known = extensions if kind == "extension" else directory.numbers
                hint = suggestion(target, known) or "; add it to the directory"
                yield f"{where}: there is no {kind} {target!r}{hint}"


def _is_there(target: str, directory: Directory) -> bool:
    kind, _, name = target.partition(":")
    return name in (directory.agent_by_extension if kind == "extension" else directory.numbers)
