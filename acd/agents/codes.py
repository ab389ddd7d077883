"""Feature codes: what an agent's phone asks for by dialling."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from acd.directory.model import CodeAction, Directory, FeatureCode
from acd.errors import AcdError
from routing.model import AgentState, AgentStatus
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)

NOT_POSSIBLE = "not-possible"
"""The prompt of a wish that could not be fulfilled."""

_STORE_SECONDS = 5.0


class Desk(Protocol):
    """The part of acd.agents.desk.AgentDesk that codes use."""

    async def set_state(self, agent_id: str, state: AgentState, reason: str = "") -> AgentStatus: ...

    async def status(self, agent_id: str) -> AgentStatus: ...


def find_code(directory: Directory, dialled: str) -> tuple[FeatureCode, str] | None:
    """The code dialled, and the reason that its last digit picked: 1 is the first, 0 the tenth."""
    if code := directory.codes.get(dialled):
        return code, ""
    code = directory.codes.get(dialled[:-1])
    if code is None or dialled[-1] not in "0123456789":
        return None
    index = (int(dialled[-1]) - 1) % 10
    return (code, code.reasons[index]) if index < len(code.reasons) else None


async def obey(desk: Desk, agent_id: str, action: CodeAction, reason: str) -> str:
    """Do what a code asks for; the prompt that confirms it, or NOT_POSSIBLE."""
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await _obey(desk, agent_id, action, reason)
    except (AcdError, StoreUnavailable, TimeoutError) as error:
        log.info("feature-code-refused", agent=agent_id, action=action, error=type(error).__name__)
        return NOT_POSSIBLE


async def _obey(desk: Desk, agent_id: str, action: CodeAction, reason: str) -> str:
    if action == "sign-out":
        await desk.set_state(agent_id, AgentState.OFFLINE, "signed-out")
        return "signed-out"
    if action == "pause":
        await desk.set_state(agent_id, AgentState.PAUSED, reason)
        return "paused"
    if action == "sign-in":
        await desk.set_state(agent_id, AgentState.AVAILABLE)
        return "signed-in"
    state = (await desk.status(agent_id)).state
    if state is AgentState.OFFLINE or (action == "end-wrapup" and state is AgentState.PAUSED):
        return NOT_POSSIBLE
    await desk.set_state(agent_id, AgentState.AVAILABLE)
    return "resumed"
