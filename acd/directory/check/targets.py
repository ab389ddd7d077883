"""Where calls are led: numbers, overflow, caller lists and voicemail boxes lead to what is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from acd.directory.check.problem import KeyPath, Problem, suggestion
from acd.directory.schema.file import DirectoryFile
from acd.directory.schema.voicemail import VoicemailEntry


def find(file: DirectoryFile, flows: Collection[str]) -> Iterator[Problem]:
    """What leads a call nowhere, or round and round."""
    yield from _numbers(file, flows)
    yield from _overflow(file, flows)
    yield from _overflow_loops(file)
    yield from _caller_lists(file)
    yield from _boxes(file)


def _numbers(file: DirectoryFile, flows: Collection[str]) -> Iterator[Problem]:
    queues = {entry.name for entry in file.queues}
    for index, entry in enumerate(file.numbers):
        path: KeyPath = ("numbers", index)
        if entry.flow is None and entry.queue is None:
            yield Problem(path, f"{entry.number} leads nowhere; give it a flow or a queue")
        elif entry.flow is not None and entry.queue is not None:
            yield Problem(path, f"{entry.number} has a flow and a queue; keep one of them")
        elif entry.queue is not None and entry.queue not in queues:
            hint = suggestion(entry.queue, queues) or "; add it to queues"
            yield Problem((*path, "queue"), f"there is no queue {entry.queue!r}{hint}")
        elif entry.flow is not None and entry.flow not in flows:
            hint = suggestion(entry.flow, flows) or f"; known are {', '.join(sorted(flows)) or 'none'}"
            yield Problem((*path, "flow"), f"there is no flow {entry.flow!r}{hint}")


def _overflow(file: DirectoryFile, flows: Collection[str]) -> Iterator[Problem]:
    """Where rules lead must be there."""
    known: Mapping[str, Collection[str]] = {
        "queue": {queue.name for queue in file.queues},
        "number": {entry.number for entry in file.numbers},
        "extension": {agent.extension for agent in file.agents},
        "flow": flows,
        "voicemail": set(_box_names(file)),
    }
    for i, queue in enumerate(file.queues):
        for j, rule in enumerate(queue.overflow):
            for kind, names in known.items():
                target = getattr(rule, kind)
                if kind == "number" and _is_outside(file, target):
                    continue
                if target is not None and target not in names:
                    hint = suggestion(target, names) or f"; known are {', '.join(sorted(names)) or 'none'}"
                    path: KeyPath = ("queues", i, "overflow", j, kind)
                    what = "voicemail box" if kind == "voicemail" else kind
                    yield Problem(path, f"there is no {what} {target!r}{hint}")


def _is_outside(file: DirectoryFile, number: str | None) -> bool:
    """Whether a route leads to the number, as it is written."""
    return number is not None and any(number.startswith(route.prefix) for route in file.routes)


def _overflow_loops(file: DirectoryFile) -> Iterator[Problem]:
    """A caller must not go round from queue to queue."""
    queue_of = {entry.number: entry.queue for entry in file.numbers}
    edges = [
        (queue.name, target, ("queues", i, "overflow", j))
        for i, queue in enumerate(file.queues)
        for j, rule in enumerate(queue.overflow)
        if (target := rule.queue or queue_of.get(rule.number or ""))
    ]
    leads_to: dict[str, set[str]] = {}
    for begin, end, _ in edges:
        leads_to.setdefault(begin, set()).add(end)
    for begin, end, path in edges:
        reached, found = {end}, [end]
        while found:
            more = leads_to.get(found.pop(), set()) - reached
            reached |= more
            found += more
        if begin in reached:
            ways = "itself" if begin == end else f"{end!r}, which leads back"
            yield Problem(path, f"callers of {begin!r} go to {ways}; end the circle with another target")


def _caller_lists(file: DirectoryFile) -> Iterator[Problem]:
    known: dict[str, Collection[str]] = {
        "preferred_agent": {agent.id for agent in file.agents},
        "queue": {queue.name for queue in file.queues},
        "priority": file.priorities,
    }
    words = {"preferred_agent": "agent", "queue": "queue", "priority": "priority"}
    for index, entry in enumerate(file.caller_lists):
        for key, names in known.items():
            value = getattr(entry, key)
            if isinstance(value, str) and value not in names:
                hint = suggestion(value, names) or "; add it to the directory"
                yield Problem(("caller_lists", index, key), f"there is no {words[key]} {value!r}{hint}")


def _boxes(file: DirectoryFile) -> Iterator[Problem]:
    """Who may listen to a box must be there, and what is dialled for one leads to it alone."""
    agents = {entry.id for entry in file.agents}
    teams = {entry.team for entry in file.agents if entry.team}
    rules: list[tuple[KeyPath, VoicemailEntry]] = [
        *(
            (("agents", i, "voicemail"), each.voicemail)
            for i, each in enumerate(file.agents)
            if each.voicemail
        ),
        *(
            (("queues", i, "voicemail"), each.voicemail)
            for i, each in enumerate(file.queues)
            if each.voicemail
        ),
        *((("boxes", i), each) for i, each in enumerate(file.boxes)),
    ]
    for path, entry in rules:
        for index, name in enumerate(entry.agents):
            if name not in agents:
                hint = suggestion(name, agents) or "; add it to agents"
                yield Problem((*path, "agents", index), f"there is no agent {name!r}{hint}")
        for index, name in enumerate(entry.teams):
            if name not in teams:
                hint = suggestion(name, teams) or "; give it as team to an agent"
                yield Problem((*path, "teams", index), f"no agent is in team {name!r}{hint}")
    yield from _box_numbers(file)


def _box_names(file: DirectoryFile) -> Iterator[str]:
    for agent in file.agents:
        if agent.voicemail is not None:
            yield from (f"agent:{agent.id}", f"extension:{agent.extension}")
    yield from (f"queue:{queue.name}" for queue in file.queues if queue.voicemail is not None)
    yield from (f"box:{box.name}" for box in file.boxes)


def _box_numbers(file: DirectoryFile) -> Iterator[Problem]:
    taken = {entry.code: f"the code {entry.code}" for entry in file.codes}
    taken |= {entry.number: f"the number {entry.number}" for entry in file.numbers}
    codes = [entry.code for entry in file.codes if entry.does == "voicemail"]
    for index, box in enumerate(file.boxes):
        for code in codes if box.number else ():
            dialled = code + box.number
            if other := taken.get(dialled):
                yield Problem(("boxes", index, "number"), f"{dialled} is {other} too; give the box another")
            taken.setdefault(dialled, f"box {box.name!r}")
