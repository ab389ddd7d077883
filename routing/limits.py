"""Times and bounds of routing, in one place: the scripts get them as Lua locals of the same names."""

from __future__ import annotations

from typing import Final

RING_GRACE_MS: Final = 2_000
"""How long after a ring deadline the store waits for the owner's word before it takes the agent back."""
REFUSAL_PAUSE_MS: Final = 5_000
"""Where nothing else is said, a call is not offered again sooner to an agent who did not take it, though
nobody else could. So often it is looked again whether others still could."""
EXCLUSION_MAX_MS: Final = 60_000
"""Where nothing else is said, after this a call may come again to an agent who did not take it, even while
others could take it."""
WHOLE_WAIT_MS: Final = 10**12
"""Longer than any call waits, and short enough to be added to a time."""
EXCLUSIONS_PER_AGENT: Final = 64
"""Calls kept away from one agent at a time; bounds each search. The one that would be over next gives way."""
CANDIDATES_NOTED: Final = 8
"""Agents or calls that the reason of one decision names at most."""
RUNNERS_UP: Final = 2
"""Of them, those that were not compared any more once the best was found."""
PROBE_FIRST: Final = 8
"""How many of the best heads are looked at first: mostly one of them fits."""
FEW_FITS: Final = 24
"""Where no more classes fit a profile, or profiles a class, all those are compared, and none probed for."""
PROBE_HEADS: Final = 32
"""How many of the best heads are looked at where more fit, before all of them are compared."""
TICK_BATCH: Final = 100
"""Things due that one tick carries out before it lets others in."""
UNLEASED_MS: Final = 60_000
"""A node that puts a call in line without holding a lease must have one by then, or its calls go."""
DROP_BATCH: Final = 500
"""Calls of a dead node that one script gives up before it lets others in; of the calls of each class that
wait for one agent who goes away, also those that need not wait for their time."""
CLASSES_WARNED_OF: Final = 1_000
"""So many different needs of calls at a time are many: what a match costs grows with their number."""
SWEEP_EVERY_MS: Final = 60_000
UNUSED_AFTER_MS: Final = 600_000
"""A class or profile nobody has used for so long is forgotten; longer than any ring time."""
SWEEP_BATCH: Final = 20
FORGET_AGENT_MS: Final = 86_400_000
"""How long an agent who signed out is remembered, with the time and the reason."""
FORGET_QUEUE_MS: Final = 86_400_000
"""How long a queue that is no longer configured is remembered after its last call."""
HABITS_KEPT: Final = 1_000
"""Conversations of a queue after which what was learnt of it weighs half."""
DOUBT_MS: Final = 3_000
"""After the server began anew, how long nobody is reserved while nodes have not said their calls again."""
EVENTS_SKIPPED: Final = 1_000_000
"""Numbers of events that are left out then: more than were given to events that the store has lost."""
EVENTS_KEPT: Final = 100_000
PREFERENCES_MAX: Final = 9
"""Skills that a requirement puts in order."""
MESSAGES_KEPT: Final = 10_000
"""Messages kept for one node."""
RING_MAX_MS: Final = 300_000
RING_AGENTS_MAX: Final = 50
"""Agents who are rung together for one call."""
QUEUE_WEIGHT_MAX: Final = 10
"""So many groups of heads are compared at most for an agent who comes free."""
CAPACITY_MAX: Final = 10
"""Conversations that one agent may have at a time."""
TARGET_MAX_MS: Final = 86_400_000
TARGETS_ONCE_MISSED: Final = 2
"""A call that has missed its target counts as one with so many targets."""
CALLBACKS_REMEMBERED: Final = 10_000
"""Callbacks that ended which are known not to be noted anew."""
CALLBACK_WORDS_KEPT: Final = 2_000
CALLBACK_WORDS_KEPT_MS: Final = 60_000
"""What a node said of callbacks is kept so long, and so much of it, should the store lose what it heard."""
CALLBACK_ATTEMPTS_MAX: Final = 100
CALLBACK_DOCUMENT_MAX: Final = 16_000
STEPS_MAX: Final = 16
"""Steps that relax what one call needs."""
NAME_MAX: Final = 200
"""Longest name of a call, an agent, a queue, a node or a skill, in characters."""

FOR_SCRIPTS: Final = (
    "RING_GRACE_MS",
    "REFUSAL_PAUSE_MS",
    "EXCLUSION_MAX_MS",
    "EXCLUSIONS_PER_AGENT",
    "CANDIDATES_NOTED",
    "RUNNERS_UP",
    "PROBE_FIRST",
    "FEW_FITS",
    "PROBE_HEADS",
    "TICK_BATCH",
    "UNLEASED_MS",
    "DROP_BATCH",
    "SWEEP_EVERY_MS",
    "UNUSED_AFTER_MS",
    "SWEEP_BATCH",
    "FORGET_AGENT_MS",
    "FORGET_QUEUE_MS",
    "HABITS_KEPT",
    "DOUBT_MS",
    "EVENTS_SKIPPED",
    "EVENTS_KEPT",
    "MESSAGES_KEPT",
    "CALLBACKS_REMEMBERED",
)
