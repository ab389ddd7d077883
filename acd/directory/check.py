"""What the entries of a directory owe each other: unique names, references that lead somewhere. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network

from acd.directory.model import CALL_WORDS
from acd.directory.schema.agents import AgentEntry
from acd.directory.schema.file import DirectoryFile
from acd.directory.schema.voicemail import VoicemailEntry

KeyPath = tuple[str | int, ...]
"""The way to a value in the file: ("queues", 0, "requires")."""


@dataclass(frozen=True, slots=True)
class Problem:
    path: KeyPath
    message: str


def find_problems(file: DirectoryFile, flows: Collection[str]) -> list[Problem]:
    """Everything that is wrong between the entries. `flows` are the names of the flows that exist."""
    return [
        *_unique(file),
        *_skills(file),
        *_served(file),
        *_leads(file),
        *_numbers(file, flows),
        *_overflow(file, flows),
        *_overflow_loops(file),
        *_codes(file),
        *_devices(file),
        *_caller_lists(file),
        *_boxes(file),
        *_overlaps(file),
        *_routes(file),
        *_sent_words(file),
    ]


def find_warnings(file: DirectoryFile) -> list[str]:
    """What is allowed but can hardly be meant."""
    return [*_unstaffed(file), *_unreachable(file), *_without_time(file)]


def _without_time(file: DirectoryFile) -> list[str]:
    """Notes that are required where nobody has the time to write them."""
    return [
        f"queue {queue.name}: a note is required, but there is no wrap-up to write it in; set wrapup_seconds"
        for queue in file.queues
        if queue.build().note_required and queue.wrapup_mode == "fixed" and queue.wrapup_seconds == 0
    ]


def _unreachable(file: DirectoryFile) -> list[str]:
    """Calls to the outside that no route leads to."""
    if file.routes:
        return []
    warnings = [
        f"queue {queue.name}: callers are to be called back, but there are no routes to call over"
        for queue in file.queues
        if queue.callback
    ]
    if any(agent.dialling for agent in file.agents) or any(team.dialling for team in file.teams):
        warnings.append("agents may call outside, but there are no routes to call over")
    return warnings


def _unstaffed(file: DirectoryFile) -> list[str]:
    return [
        f"queue {queue.name}: no agent has all the skills that it requires, so nobody can be rung for it"
        for queue in file.queues
        if not any(
            all(agent.skills.get(skill, 0) >= level for skill, level in queue.requires.items())
            for agent in file.agents
        )
    ]


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint at the name that was perhaps meant, or "" where none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _unique(file: DirectoryFile) -> Iterator[Problem]:
    yield from _repeated("trunks", "name", [entry.name for entry in file.trunks])
    yield from _shared_names(file)
    yield from _repeated("numbers", "number", [entry.number for entry in file.numbers])
    yield from _repeated("skills", None, file.skills)
    yield from _repeated("queues", "name", [entry.name for entry in file.queues])
    yield from _repeated("agents", "id", [entry.id for entry in file.agents])
    yield from _repeated("agents", "extension", [entry.extension for entry in file.agents])
    yield from _repeated("codes", "code", [entry.code for entry in file.codes])
    yield from _repeated("devices", "name", [entry.name for entry in file.devices])
    yield from _repeated("boxes", "name", [entry.name for entry in file.boxes])
    yield from _repeated("teams", "name", [entry.name for entry in file.teams])
    yield from _repeated("routes", "prefix", [entry.prefix for entry in file.routes])
    yield from _repeated("webhooks", "name", [entry.name for entry in file.webhooks])
    yield from _repeated("caller_lists", "name", [entry.name for entry in file.caller_lists])
    numbers = {entry.number for entry in file.numbers}
    for index, agent in enumerate(file.agents):
        if agent.extension in numbers:
            yield Problem(
                ("agents", index, "extension"), f"{agent.extension!r} is a number too; give one another name"
            )


def _repeated(section: str, key: str | None, values: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        earlier = first.setdefault(value, index)
        if earlier != index:
            path: KeyPath = (section, index) if key is None else (section, index, key)
            yield Problem(path, f"{value!r} stands already in {section}[{earlier}]; each must be unique")


def _skills(file: DirectoryFile) -> Iterator[Problem]:
    known = set(file.skills)
    used: list[tuple[KeyPath, Mapping[str, int]]] = [
        *((("queues", i, "requires"), entry.requires) for i, entry in enumerate(file.queues)),
        *((("agents", i, "skills"), entry.skills) for i, entry in enumerate(file.agents)),
        *((("numbers", i, "skills"), entry.skills) for i, entry in enumerate(file.numbers)),
        *((("caller_lists", i, "skills"), entry.skills) for i, entry in enumerate(file.caller_lists)),
        *_more_skills(file),
    ]
    for path, skills in used:
        for skill in skills:
            if skill not in known:
                hint = suggestion(skill, known)
                yield Problem((*path, skill), f"{skill!r} is not among the skills{hint or '; add it there'}")


def _more_skills(file: DirectoryFile) -> Iterator[tuple[KeyPath, Mapping[str, int]]]:
    for i, queue in enumerate(file.queues):
        for j, group in enumerate(queue.any_of):
            yield ("queues", i, "any_of", j), group
        for j, step in enumerate(queue.relax):
            yield ("queues", i, "relax", j, "requires"), step.requires


def _served(file: DirectoryFile) -> Iterator[Problem]:
    """Queues that agents serve, and teams that serve queues, must exist."""
    queues = {queue.name for queue in file.queues}
    teams = {agent.team for agent in file.agents if agent.team}
    lending = {queue.name for queue in file.queues if queue.lends_while}
    for i, agent in enumerate(file.agents):
        for name in agent.queues:
            if name not in queues:
                hint = suggestion(name, queues) or "; add it to queues"
                yield Problem(("agents", i, "queues", name), f"there is no queue {name!r}{hint}")
        yield from _lenders(("agents", i, "queues"), agent, lending)
        if agent.takes == "by-priority" and not agent.queues:
            message = "without queues there are no priorities to go by; give the agent queues"
            yield Problem(("agents", i, "takes"), message)
    for i, queue in enumerate(file.queues):
        asked: list[tuple[KeyPath, list[str]]] = [(("queues", i, "teams"), queue.teams)]
        asked += [(("queues", i, "relax", j, "teams"), step.teams) for j, step in enumerate(queue.relax)]
        for path, names in asked:
            for name in names:
                if name not in teams:
                    hint = suggestion(name, teams) or "; give it as team to an agent"
                    yield Problem(path, f"no agent is in team {name!r}{hint}")


def _leads(file: DirectoryFile) -> Iterator[Problem]:
    """Who leads a team leads one that is there, and rules lead to teams that somebody leads."""
    teams = {agent.team for agent in file.agents if agent.team} | {team.name for team in file.teams}
    led = {team for agent in file.agents for team in agent.leads}
    for i, agent in enumerate(file.agents):
        for j, name in enumerate(agent.leads):
            if name not in teams:
                hint = suggestion(name, teams) or "; give it as team to an agent"
                yield Problem(("agents", i, "leads", j), f"there is no team {name!r}{hint}")
    for i, queue in enumerate(file.queues):
        for j, rule in enumerate(queue.overflow):
            path: KeyPath = ("queues", i, "overflow", j, "leads")
            if rule.leads is None or rule.leads in led:
                continue
            if rule.leads in teams:
                mend = "write it among the leads of an agent"
                yield Problem(path, f"nobody leads team {rule.leads!r}; {mend}")
            else:
                hint = suggestion(rule.leads, teams) or "; give it as team to an agent"
                yield Problem(path, f"there is no team {rule.leads!r}{hint}")


def _lenders(path: KeyPath, agent: AgentEntry, lending: Collection[str]) -> Iterator[Problem]:
    """Who is lent has a queue of their own that says on what terms."""
    for name, lender in agent.lenders.items():
        where = (*path, name, "lent_by")
        if lender not in agent.queues or lender in agent.lenders:
            yield Problem(where, f"{lender!r} is no queue of this agent's own; add it to the agent's queues")
        elif lender not in lending:
            yield Problem(where, f"queue {lender!r} does not say when it lends; give it lends_while")


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


def _codes(file: DirectoryFile) -> Iterator[Problem]:
    numbers = {entry.number for entry in file.numbers}
    codes = {entry.code for entry in file.codes}
    for index, entry in enumerate(file.codes):
        path: KeyPath = ("codes", index)
        if entry.code in numbers:
            yield Problem((*path, "code"), f"{entry.code!r} is a number too; change one of them")
        if entry.reasons and entry.does != "pause":
            yield Problem((*path, "reasons"), "only a code that pauses has reasons; leave them out")
        if entry.does in ("wrapup-code", "refusal-reason"):
            longer = [code for code in codes if code.startswith(entry.code)]
            for code in sorted(code for code in longer if code[len(entry.code) :].isdigit()):
                yield Problem(path, f"{code} picks something here and is a code itself")
        for digit in range(1, len(entry.reasons) + 1):
            if f"{entry.code}{digit % 10}" in codes:
                yield Problem(path, f"{entry.code}{digit % 10} picks a reason here and is a code itself")


def _devices(file: DirectoryFile) -> Iterator[Problem]:
    known = {entry.name for entry in file.devices}
    for index, agent in enumerate(file.agents):
        if agent.device and agent.device not in known:
            hint = suggestion(agent.device, known) or "; add it to devices"
            yield Problem(("agents", index, "device"), f"there is no device {agent.device!r}{hint}")


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


def _routes(file: DirectoryFile) -> Iterator[Problem]:
    """A route leads over trunks that calls can go out over."""
    trunks = {trunk.name: trunk for trunk in file.trunks}
    for index, route in enumerate(file.routes):
        for position, name in enumerate(route.trunks):
            path: KeyPath = ("routes", index, "trunks", position)
            if name not in trunks:
                hint = suggestion(name, trunks) or "; add it to trunks"
                yield Problem(path, f"there is no trunk {name!r}{hint}")
            elif not trunks[name].hosts:
                yield Problem(path, f"no call goes out over trunk {name!r}; give it hosts")
            elif name in route.trunks[:position]:
                yield Problem(path, f"{name!r} stands here twice; keep it once")


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


def _shared_names(file: DirectoryFile) -> Iterator[Problem]:
    """A certificate's name has to belong to one trunk."""
    owners: dict[str, str] = {}
    for index, trunk in enumerate(file.trunks):
        for position, name in enumerate(trunk.tls_names):
            owner = owners.setdefault(name, trunk.name)
            if owner != trunk.name:
                path: KeyPath = ("trunks", index, "tls_names", position)
                yield Problem(path, f"{name!r} is a name of trunk {owner!r} too; keep it at one of them")


def _sent_words(file: DirectoryFile) -> Iterator[Problem]:
    """What a header says must be something that a call can know."""
    attributes = {name for trunk in file.trunks for name in trunk.headers.values()}
    for index, trunk in enumerate(file.trunks):
        for header, word in trunk.send_headers.items():
            if word not in attributes and word not in CALL_WORDS:
                hint = suggestion(word, {*attributes, *CALL_WORDS})
                message = (
                    f"no trunk has {word!r} among its headers, and it is none of {', '.join(CALL_WORDS)}"
                )
                yield Problem(("trunks", index, "send_headers", header), message + hint)


def _overlaps(file: DirectoryFile) -> Iterator[Problem]:
    """A source address has to belong to one trunk.

    Networks nest or are apart. In order of address, those open at a point are a stack.
    """
    places = [
        _Place(network, ("trunks", i, "match", j), trunk.name)
        for i, trunk in enumerate(file.trunks)
        for j, network in enumerate(trunk.networks)
    ]
    around: list[_Place] = []
    for place in sorted(places, key=_Place.order):
        while around and not _contains(around[-1].network, place.network):
            around.pop()
        if around:
            outer = around[-1]
            whose = "this trunk" if outer.trunk == place.trunk else f"trunk {outer.trunk!r}"
            message = f"{place.network} overlaps {outer.network} of {whose}; an address must match once"
            yield Problem(place.path, message)
        around.append(place)


@dataclass(frozen=True, slots=True)
class _Place:
    network: IPv4Network | IPv6Network
    path: KeyPath
    trunk: str

    def order(self) -> tuple[int, int, int]:
        return self.network.version, int(self.network.network_address), self.network.prefixlen


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return outer.version == inner.version and int(outer.broadcast_address) >= int(inner.network_address)
