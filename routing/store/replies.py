"""What the scripts and streams answer, turned into types. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from routing.model import (
    AgentState,
    AgentStatus,
    CallbackOver,
    Candidate,
    Decision,
    NodeMessage,
    Offer,
    OfferWithdrawn,
    QueueStatus,
    Wrapup,
    WrapupTaken,
)

AGENT_FIELDS = ("st", "since", "why", "c", "n", "un", "ld", "wc", "wq", "wu", "wx")
_COUNTERS = (
    "entered",
    "offers",
    "rejected",
    "withdrawn",
    "let-go",
    "answered",
    "abandoned",
    "completed",
    "lost",
    "released",
    "overflowed",
    "relaxed",
    *(f"callback-{what}" for what in ("added", "attempts", "done", "failed", "cancelled", "expired")),
)
_ENDS = ("abandoned", "completed", "lost", "released", "overflowed")


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A flat list of names and values, as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def node_message(fields: Sequence[str]) -> NodeMessage:
    """One entry of a node's stream: an offer has a deadline, a wrap-up took time, a withdrawal neither; a
    callback has an id of its own."""
    found = pairs(fields)
    if "b" in found:
        return CallbackOver(found["b"], found["how"])
    if "w" in found:
        return WrapupTaken(found["a"], found["q"], int(found["w"]), int(found["t"]))
    call_id, agent_id, token = found["c"], found["a"], int(found["t"])
    if "d" not in found:
        return OfferWithdrawn(call_id, agent_id, token)
    decision = _decision(found) if "y" in found else None
    times = int(found["d"]), int(found["u"])
    return Offer(call_id, agent_id, found["q"], token, *times, decision, int(found.get("g", 0)))


def _decision(found: Mapping[str, str]) -> Decision:
    """What includes/reserve.lua wrote: what was sought, and each that was seen (includes/match.lua)."""
    sought, class_name = found["y"].split(" ")
    candidates = (
        Candidate(name, int(rank), int(float(score)), bool(passed_over))
        for name, rank, score, passed_over in json.loads(found.get("s", "[]"))
    )
    return Decision("agent" if sought == "agent" else "call", class_name, tuple(candidates))


def agent_status(agent_id: str, values: Sequence[str | None]) -> AgentStatus:
    """An agent's hash, as AGENT_FIELDS. One that the store does not know is offline since 0."""
    state, since, why, call_id, node, unanswered, talks, *wrapup = values
    if state is None:
        return AgentStatus(agent_id, AgentState.OFFLINE, 0)
    return AgentStatus(
        agent_id,
        AgentState(state),
        int(since or 0),
        why or "",
        call_id,
        node or "",
        int(unanswered or 0),
        _wrapup(*wrapup),
        int(talks) if talks is not None else int(state == AgentState.TALKING),
    )


def _wrapup(call_id: str | None, queue: str | None, until: str | None, limit: str | None) -> Wrapup | None:
    if call_id is None or queue is None or until is None or limit is None:
        return None
    return Wrapup(call_id, queue, int(until), int(limit))


def queue_status(
    queue: str, waiting: int, oldest: str, flat_counters: Sequence[str], callbacks: int
) -> QueueStatus:
    """A queue's line and counters. Who is offered or talking follows from what was counted."""
    raw = {name: int(value) for name, value in pairs(flat_counters).items()}
    counters = {name: raw.get(name, 0) for name in _COUNTERS}
    counters["ended"] = sum(counters[name] for name in _ENDS)
    talking = counters["answered"] - counters["completed"] - raw.get("lost_talking", 0)
    return QueueStatus(
        queue=queue,
        waiting=waiting,
        offered=counters["entered"] - waiting - talking - counters["ended"],
        oldest_ms=int(oldest) if oldest else None,
        counters=counters,
        talking=talking,
        callbacks=callbacks,
    )
