"""/v1/calls/{id}/why: why the call went to whom it went to, or why it still waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from acd.agents.notes import RefusedCall
from acd.agents.staffing import offline
from acd.agents.terms import profile_of
from acd.calls.model import call_of_entry
from acd.calls.record import Attempt, CallRecord, Segment
from acd.calls.view import Reasons
from acd.control.calls import unseen
from acd.control.ports import ControlContext
from acd.control.problems import not_found
from acd.control.records import words_by_attempt
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Seconds, Time, time_of
from acd.directory.model import Queue
from acd.history.elsewhere import CallsUnseen
from routing.model import AgentState, RejectReason, Requirement
from routing.requirement import in_words, missing


class Candidate(BaseModel):
    name: str = Field(description="An agent, or a waiting call where an agent came free.")
    rank: int = Field(description="By the agents' priority for the queue and the strategy; less is better.")
    score: int = Field(description="Among equals of rank, by the order of the strategy; less is better.")
    chosen: bool
    passed_over: bool = Field(description="The two have just been brought together in vain.")


class SkippedFor(BaseModel):
    reason: str = Field(
        description="offline, paused, not-answering, offered (rung for another call), talking, wrapup, lent"
        " (to the queue, and not now), queue (does not serve it) or skill (lacks one, or its level)."
    )
    agents: int


class Near(BaseModel):
    agent: str
    obstacle: str


class Offered(BaseModel):
    """An agent who was rung."""

    at: Time
    queue: str
    agent: str
    needs: str = Field(description="What the call asked of its agent at that moment.")
    result: str = Field(
        description="answered, rejected, busy, no-answer, unreachable, withdrawn, elsewhere (rung together"
        " with the one who answered), or ended (the call was)."
    )
    ring_seconds: Seconds
    why: str | None = Field(default=None, description="What the agent said, who did not take it.")
    sought: Literal["agent", "call"] | None = Field(
        description="`agent`: the best for this call. `call`: the agent came free, and this one was first."
    )
    candidates: list[Candidate] = Field(
        description="Who was looked at before the choice was sure and the next few; not everybody."
    )
    skipped: list[SkippedFor] = Field(
        default=[],
        description="How many agents could not take the call, by what was in the way, as seen by the node"
        " a few seconds before at most.",
    )
    nearest: list[Near] = Field(default=[], description="Up to three of them who come next.")


class Colleague(BaseModel):
    """One agent, as the waiting call sees them."""

    agent: str
    state: AgentState
    obstacles: list[str] = Field(description="Why not this one; empty for one who is being sought right now.")


class Overflow(BaseModel):
    """A rule of a queue that was carried out for the caller."""

    at: Time
    queue: str
    to: str = Field(description="The kind of target and its name.")
    why: str = Field(description="`waited`, `waiting` (the line was long), `expected-wait` or `no-agent`.")


class Why(BaseModel):
    id: str
    queue: str | None
    state: str = Field(description="Of the call; `ended` for one that is over.")
    attributes: dict[str, str] = Field(
        description="What is known of the call: from the trunk, `caller_lists`, look-ups, and "
        "`preferred_agent` or `last_agent` where it was for one agent first."
    )
    offers: list[Offered]
    overflows: list[Overflow]
    waits_for: str | None = Field(description="What it asks of an agent now; null where it does not wait.")
    agents: list[Colleague] = Field(description="While it waits: every agent and what is in the way.")


def offered(attempt: Attempt, call_id: str, word: RefusedCall | None = None) -> Offered:
    decision = attempt.decision
    skipped = decision.skipped if decision else None
    chosen = {attempt.agent} if decision is None or decision.sought == "agent" else {call_id}
    return Offered(
        at=time_of(attempt.at),
        queue=attempt.queue,
        agent=attempt.agent,
        needs=attempt.needs,
        result=attempt.result,
        ring_seconds=attempt.ring_seconds,
        why=word.reason if word else None,
        sought=decision.sought if decision else None,
        candidates=[
            Candidate(
                name=each.name,
                rank=each.rank,
                score=each.score,
                chosen=call_of_entry(each.name) in chosen and not each.passed_over,
                passed_over=each.passed_over,
            )
            for each in (decision.candidates if decision else ())
        ],
        skipped=[SkippedFor(reason=reason, agents=n) for reason, n in (skipped.counts if skipped else ())],
        nearest=[Near(agent=name, obstacle=words) for name, words in (skipped.nearest if skipped else ())],
    )


def overflows(segments: Sequence[Segment]) -> list[Overflow]:
    """Those of a call, in order."""
    return [
        Overflow(at=time_of(mark.at), queue=mark.queue, to=mark.to, why=mark.why)
        for mark in segments
        if mark.state == "overflow"
    ]


async def colleagues(
    context: ControlContext, needs: Requirement, attempts: tuple[Attempt, ...]
) -> list[Colleague]:
    """Every agent of the directory with what keeps them from a call that needs this."""
    directory, now = context.directory(), context.clock.time()
    statuses = await context.store.agents(list(directory.agents))
    rules = directory.queues.get(needs.queue, Queue(needs.queue))
    refused = {
        attempt.agent
        for attempt in attempts
        if attempt.result in set(RejectReason)
        and now - attempt.at - attempt.ring_seconds < rules.refusals.retry_seconds
    }
    found = []
    for agent in directory.agents.values():
        status = statuses.get(agent.id) or offline(agent.id)
        obstacles = [*missing(needs, profile_of(agent))]
        if needs.agent not in (None, agent.id):
            obstacles.append(f"the call is for {needs.agent}")
        if status.state is not AgentState.AVAILABLE:
            obstacles.append(status.state.value + (f" ({status.reason})" if status.reason else ""))
        if agent.id in refused:
            obstacles.append("has just not taken this call")
        found.append(Colleague(agent=agent.id, state=status.state, obstacles=obstacles))
    return sorted(found, key=lambda colleague: (len(colleague.obstacles), colleague.agent))


def _offers(attempts: Sequence[Attempt], call_id: str, words: Mapping[str, RefusedCall]) -> list[Offered]:
    said = words_by_attempt(attempts, words)
    return [offered(attempt, call_id, said.get(n)) for n, attempt in enumerate(attempts)]


async def why_of(context: ControlContext, reasons: Reasons) -> Why:
    view, needs = reasons.view, reasons.needs
    return Why(
        id=view.id,
        queue=view.queue or None,
        state=view.state,
        attributes=dict(reasons.attributes),
        offers=_offers(reasons.attempts, view.id, await context.refusals.of(view.id)),
        overflows=overflows(reasons.segments),
        waits_for=None if needs is None else in_words(needs),
        agents=[] if needs is None else await colleagues(context, needs, reasons.attempts),
    )


def why_of_record(record: CallRecord, words: Mapping[str, RefusedCall]) -> Why:
    """Of a call that is over."""
    return Why(
        id=record.id,
        queue=record.queue or None,
        state="ended",
        attributes=record.attributes,
        offers=_offers(record.attempts, record.id, words),
        overflows=overflows(record.segments),
        waits_for=None,
        agents=[],
    )


async def show_why(ask: Ask) -> Why:
    context, call_id = ask.context, ask.name("id")
    if (reasons := context.calls.why(call_id)) is not None:
        return await why_of(context, reasons)
    record = await context.records.record(call_id)
    if record is not None:
        return why_of_record(record, await context.refusals.of(call_id))
    try:
        elsewhere = await context.calls_elsewhere.why(call_id)
    except CallsUnseen:
        raise unseen() from None
    if elsewhere is None:
        raise not_found("call")
    return await why_of(context, elsewhere)


ROUTES = (
    Route(
        "GET",
        "/v1/calls/{id}/why",
        show_why,
        Role.VIEWER,
        "calls",
        "Why the call went where it went, or still waits",
        answer=Why,
        errors=(404,),
    ),
)
