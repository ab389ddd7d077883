"""The states of an agent, and which change is allowed: those that the routing scripts make."""

from __future__ import annotations

from collections.abc import Mapping

from routing.model import AgentState as S

_AWAY = frozenset({S.OFFLINE, S.PAUSED, S.NOT_ANSWERING})
_FREE = frozenset({S.AVAILABLE, S.OFFERED})
"""Who becomes free may find a call waiting: `available` is then passed through within one script."""
_RESTORED = frozenset({S.TALKING})
"""The node that has the call says so after the store has lost it, whatever the store believed."""

ALLOWED: Mapping[S, frozenset[S]] = {
    S.OFFLINE: _FREE | {S.PAUSED} | _RESTORED,
    S.AVAILABLE: frozenset({S.OFFERED}) | _AWAY | _RESTORED,
    # Where the word that the conversation began was lost, its end says so: it is passed through.
    S.OFFERED: frozenset({S.AVAILABLE, S.TALKING, S.WRAPUP}) | _AWAY,
    S.TALKING: _FREE | {S.WRAPUP} | _AWAY,
    S.WRAPUP: _FREE | _AWAY | _RESTORED,
    S.PAUSED: (_FREE | _AWAY | _RESTORED) - {S.PAUSED},
    S.NOT_ANSWERING: (_FREE | _AWAY | _RESTORED) - {S.NOT_ANSWERING},
}
"""From a state to those that may follow it at once. Staying is no change."""
