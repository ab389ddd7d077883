"""What is allowed but can hardly be meant."""

from __future__ import annotations

from acd.directory.schema.file import DirectoryFile


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
