"""An agent of the directory as routing knows one."""

from __future__ import annotations

from acd.directory.model import Agent
from routing.model import AgentProfile, AgentTerms

SKILL_QUEUE = "skill"
"""Where a follow-up for whoever has a skill waits; no queue of the directory. Every agent serves it."""

_SERVED_LAST = 99


def team_skill(team: str) -> str:
    """Being in a team is a skill that no entry of the directory can name (a name has no colon)."""
    return f"team:{team}"


def lead_skill(team: str) -> str:
    """So is leading a team."""
    return f"lead:{team}"


def profile_of(agent: Agent) -> AgentProfile:
    skills = dict(agent.skills)
    if agent.team:
        skills[team_skill(agent.team)] = 1
    skills |= {lead_skill(team): 1 for team in agent.leads}
    # Who serves queues by name serves no others but this one.
    queues = {SKILL_QUEUE: _SERVED_LAST, **agent.queues} if agent.queues else {}
    by_priority = agent.takes == "by-priority"
    return AgentProfile.of(skills, queues, agent.lent, by_priority=by_priority)


def terms_of(agent: Agent) -> AgentTerms:
    return AgentTerms(agent.order, agent.weight, agent.capacity)


def call_of_entry(entry: str) -> str:
    """The call that an entry of the store belongs to: one that was transferred has several."""
    return entry.partition("~")[0]
