"""The states of an agent, and which change is allowed. The routing scripts accept the same changes."""

from __future__ import annotations

from collections.abc import Mapping

from routing.model import AgentState as S

ALLOWED: Mapping[S, frozenset[S]] = {
    S.OFFLINE: frozenset({S.AVAILABLE, S.PAUSED, S.OFFERED}),
    S.AVAILABLE: frozenset({S.OFFLINE, S.PAUSED, S.NOT_ANSWERING, S.OFFERED}),
    # Signing in may find a call waiting, so that `available` is passed through within one script.
    S.OFFERED: frozenset({S.AVAILABLE, S.TALKING, S.OFFLINE, S.PAUSED, S.NOT_ANSWERING}),
    S.TALKING: frozenset({S.WRAPUP, S.AVAILABLE, S.OFFERED, S.OFFLINE, S.PAUSED, S.NOT_ANSWERING}),
    S.WRAPUP: frozenset({S.AVAILABLE, S.OFFERED, S.OFFLINE, S.PAUSED, S.NOT_ANSWERING}),
    S.PAUSED: frozenset({S.AVAILABLE, S.OFFERED, S.OFFLINE, S.NOT_ANSWERING}),
    S.NOT_ANSWERING: frozenset({S.AVAILABLE, S.OFFERED, S.OFFLINE, S.PAUSED}),
}
"""From a state to those that may follow it at once."""


def allowed(old: S, new: S) -> bool:
    """Whether an agent may go from `old` to `new`; staying is no change and always allowed."""
    return old is new or new in ALLOWED[old]
