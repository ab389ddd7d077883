"""The call machine as a specification: every state x event, and what must hold on any path."""

from __future__ import annotations

from collections import Counter

import pytest

from acd.calls import model as m
from acd.calls.machine import IGNORED, STEPS, UnexpectedEvent, key_of, step
from acd.calls.model import State
from tests.support.call_cases import CALLS, CONTEXT, EVENTS, NOW

N, A, I, Q, O, C, T, F, D, K, W, E = (state.value for state in State)  # noqa: E741
X = "unexpected"
# Rows: events. Columns: NEW, ANSWERING, IVR, QUEUED, OFFERED, CONNECTING, TALKING, CODE,
# DIALLING, CALLING, FORWARDING, ENDED.
NEXT: dict[str, tuple[str, ...]] = {
    "arrived": (N, X, X, X, X, X, X, X, X, X, X, E),
    "media-opened": (A, X, X, X, X, X, X, X, X, X, X, E),
    "media-refused": (E, X, X, X, X, X, X, X, X, X, X, E),
    "caller-known": (N, X, X, X, X, X, X, X, X, X, X, E),
    "confirmed": (X, Q, I, Q, O, C, T, F, D, K, W, E),
    "caller-gone": (E, E, E, E, E, E, E, E, E, E, E, E),
    "agent-gone": (E, X, I, Q, Q, E, E, X, E, E, T, E),
    "caller-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "agent-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "reoffer-answered": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "bad-reoffer": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "caller-digit": (X, A, I, Q, O, C, T, F, D, K, W, E),
    "agent-digit": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "playback-over": (X, X, I, Q, O, C, T, E, D, K, W, E),
    "caller-silent": (E, E, E, E, E, E, E, E, E, K, E, E),
    "agent-silent": (N, X, I, Q, O, E, E, X, E, K, E, E),
    "ivr-timer": (X, X, I, Q, O, C, T, F, D, X, W, E),
    "announce-timer": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "longest-wait": (X, X, I, E, O, C, T, X, D, X, W, E),
    "overflow-timer": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "situation": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "ring-timer": (X, X, I, Q, Q, C, T, X, E, E, T, E),
    "offer": (X, X, I, O, O, C, T, X, D, K, W, E),
    "offer-taken-back": (X, X, I, Q, Q, Q, T, X, D, K, W, E),
    "offer-confirmed": (X, X, I, Q, O, T, T, X, D, K, W, E),
    "offer-stale": (X, X, I, Q, O, Q, T, X, D, K, W, E),
    "agent-answered": (X, X, I, Q, C, C, T, X, D, K, W, E),
    "agent-unavailable": (X, X, I, Q, Q, C, T, X, D, E, W, E),
    "rival-answered": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "rival-over": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "position": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "clear": (E, E, E, E, E, E, E, E, E, E, E, E),
    "refer": (N, A, I, Q, O, C, Q, F, D, K, W, E),
    "move": (N, A, Q, Q, O, C, Q, F, D, K, W, E),
    "join": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "hand-over": (E, E, E, E, E, E, E, E, E, E, E, E),
    "hand-over-refused": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "target-joined": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "phone-moved": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "transferor-gone": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "transferor-silent": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "transferor-digit": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "desk-answered": (X, X, X, X, X, X, X, F, X, X, X, E),
    "recording-over": (X, X, I, Q, O, C, T, X, D, X, W, E),
    "mailbox-opened": (X, X, X, X, X, X, X, F, X, X, X, E),
    "callback-due": (N, X, X, X, X, X, X, X, X, X, X, E),
    "callback-answered": (X, X, I, Q, O, C, T, X, X, X, W, E),
    "attempt-allowed": (X, X, X, Q, O, C, T, X, D, X, W, E),
    "agent-confirmed": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "maker-reserved": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "maker-lost": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "dial-requested": (N, X, X, X, X, X, X, X, X, X, X, E),
    "dial-allowed": (N, X, I, Q, O, C, T, X, X, K, W, E),
    "dial-forbidden": (E, X, I, Q, O, C, T, X, X, K, T, E),
    "number-rings": (X, X, I, Q, O, C, T, X, D, K, W, E),
    "number-answered": (X, X, I, Q, O, C, T, X, T, T, T, E),
    "number-unreachable": (X, X, I, Q, O, C, T, X, E, E, T, E),
    "outside-joined": (N, A, I, Q, O, C, T, F, D, K, W, E),
    "callback-gone": (X, X, X, Q, O, C, T, X, E, K, W, E),
}


def test_the_table_names_every_event_type() -> None:
    assert {type(event) for event in EVENTS.values()} == set(m.Event.__args__)
    assert set(NEXT) == set(EVENTS)


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.value)
@pytest.mark.parametrize("name", list(EVENTS))
def test_every_state_and_event(state: State, name: str) -> None:
    expected = NEXT[name][list(State).index(state)]
    call = CALLS[state]
    if expected == X:
        with pytest.raises(UnexpectedEvent):
            step(CONTEXT, call, EVENTS[name], NOW + 1)
        return
    after, effects = step(CONTEXT, call, EVENTS[name], NOW + 1)
    assert after.state.value == expected
    if state is State.ENDED:
        assert effects == ()
        assert after is call
    elif after.state is State.ENDED:
        assert_leaves_nothing_behind(state, list(effects))


def assert_leaves_nothing_behind(state: State, effects: list[m.Effect]) -> None:
    kinds = Counter(type(effect) for effect in effects)
    assert kinds[m.Close] == 1
    assert kinds[m.HangUp] == 1
    assert isinstance(effects[-1], m.Close)
    given = kinds[m.HandOver]
    with_agent = CALLS[state].has_agent_leg
    assert (kinds[m.ReleaseAgentLeg] + given == 1) == with_agent
    assert (kinds[m.LeaveQueue] == 1) == (state in (State.QUEUED, State.OFFERED, State.CONNECTING))
    talks = state in (State.TALKING, State.DIALLING, State.CALLING) or CALLS[state].transferor is not None
    assert (kinds[m.FinishConversation] + given == 1) == talks


def test_no_pair_is_both_a_step_and_ignored() -> None:
    for state, keys in IGNORED.items():
        assert not keys & set(STEPS[state])
        assert keys | set(STEPS[state]) >= {key_of(m.ClearRequested("x"))}
