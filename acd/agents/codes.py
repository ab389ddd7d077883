"""Feature codes: what an agent's phone asks for by dialling."""

from __future__ import annotations

import asyncio
import re
from typing import Protocol

import structlog

from acd.agents.notes import NoteMissing
from acd.directory.boxes import box_by_number
from acd.directory.model import CodeAction, Directory, FeatureCode
from acd.errors import AcdError
from routing.model import AgentState, AgentStatus
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)

NOTE_MISSING = "note-missing"
"""The prompt of who is to note something first."""

NOT_POSSIBLE = "not-possible"
"""The prompt of a wish that could not be fulfilled."""

MORE_SECONDS = 60.0
"""How long a wrap-up goes on that a phone extends, from then."""

NUMBERED = ("wrapup-code", "refusal-reason")
"""Actions whose codes have a number after them."""
_INDEX = re.compile(r"[0-9]{1,3}", re.ASCII)
_STORE_SECONDS = 5.0
_NOW = {AgentState.PAUSED: "paused", AgentState.OFFLINE: "signed-out"}


class Desk(Protocol):
    """The part of acd.agents.desk.AgentDesk that codes use."""

    async def set_state(self, agent_id: str, state: AgentState, reason: str = "") -> AgentStatus: ...

    async def status(self, agent_id: str) -> AgentStatus: ...

    async def give_code(self, agent_id: str, number: str) -> None: ...

    async def give_reason(self, agent_id: str, number: str) -> None: ...

    async def end_wrapup(self, agent_id: str) -> AgentStatus: ...

    async def extend_wrapup(self, agent_id: str, seconds: float) -> AgentStatus: ...


def find_code(directory: Directory, dialled: str) -> tuple[FeatureCode, str] | None:
    """The code dialled, and the reason that its last digit picked: 1 is the first, 0 the tenth.

    After the code for voicemail it is the number of a shared box, after those for wrap-up codes and for
    refusals the number of one.
    """
    if code := directory.codes.get(dialled):
        return code, ""
    for code in directory.codes.values():
        number = dialled.removeprefix(code.code)
        if code.does == "voicemail" and number != dialled and box_by_number(directory, number):
            return code, number
        if code.does in NUMBERED and number != dialled and _INDEX.fullmatch(number):
            return code, number
    code = directory.codes.get(dialled[:-1])
    if code is None or dialled[-1] not in "0123456789":
        return None
    index = (int(dialled[-1]) - 1) % 10
    return (code, code.reasons[index]) if index < len(code.reasons) else None


async def obey(desk: Desk, agent_id: str, action: CodeAction, reason: str) -> str:
    """Do what a code asks for; the prompt that confirms it, or NOTE_MISSING or NOT_POSSIBLE."""
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await _obey(desk, agent_id, action, reason)
    except NoteMissing:
        return NOTE_MISSING
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
    if action == "extend-wrapup":
        await desk.extend_wrapup(agent_id, MORE_SECONDS)
        return "wrapup-extended"
    if action == "wrapup-code":
        await desk.give_code(agent_id, reason)
        return "noted"
    if action == "refusal-reason":
        await desk.give_reason(agent_id, reason)
        return "noted"
    state = (await desk.status(agent_id)).state
    if action == "end-wrapup":
        # What was asked for during the call comes now.
        ended = await desk.end_wrapup(agent_id) if state is AgentState.WRAPUP else None
        available = ended is None and state in (AgentState.AVAILABLE, AgentState.OFFERED)
        return _NOW.get(ended.state, "resumed") if ended else "resumed" if available else NOT_POSSIBLE
    if state is AgentState.OFFLINE:
        return NOT_POSSIBLE
    await desk.set_state(agent_id, AgentState.AVAILABLE)
    return "resumed"
