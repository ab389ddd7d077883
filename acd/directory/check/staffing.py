"""Who serves what: skills, queues, teams, leads and devices that are there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from acd.directory.check.problem import KeyPath, Problem, suggestion
from acd.directory.model import language_skill
from acd.directory.schema.agents import AgentEntry
from acd.directory.schema.file import DirectoryFile


def find(file: DirectoryFile) -> Iterator[Problem]:
    """What agents and queues name in each other."""
    yield from _skills(file)
    yield from _served(file)
    yield from _leads(file)
    yield from _devices(file)


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
                yield _unknown((*path, skill), skill, known)
    for path, languages in _languages(file):
        for language in languages:
            if (skill := language_skill(language)) not in known:
                yield _unknown((*path, language), skill, known)


def _unknown(path: KeyPath, skill: str, known: Collection[str]) -> Problem:
    return Problem(path, f"{skill!r} is not among the skills{suggestion(skill, known) or '; add it there'}")


def _languages(file: DirectoryFile) -> Iterator[tuple[KeyPath, Collection[str]]]:
    """Those that agents speak, and that queues ask with a level."""
    for i, agent in enumerate(file.agents):
        yield ("agents", i, "languages"), agent.languages
    for i, queue in enumerate(file.queues):
        yield ("queues", i, "languages"), queue.languages if isinstance(queue.languages, dict) else ()


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


def _devices(file: DirectoryFile) -> Iterator[Problem]:
    known = {entry.name for entry in file.devices}
    for index, agent in enumerate(file.agents):
        if agent.device and agent.device not in known:
            hint = suggestion(agent.device, known) or "; add it to devices"
            yield Problem(("agents", index, "device"), f"there is no device {agent.device!r}{hint}")
