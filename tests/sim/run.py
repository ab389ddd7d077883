"""One run of the simulation, and what is said of one that fails."""

from __future__ import annotations

import gc
import logging
import os
from itertools import count

import structlog

from tests.sim.stores import ModelStore, RedisStore
from tests.sim.weather import STORM, Faults
from tests.sim.world import NODES, Outcome, World
from tests.support.redis_server import running_redis

CALLS_A_ROUND = 2_500
_SITES = count(1)


def simulate_apart(seed: int, calls: int) -> Outcome:
    """In a process of its own: there is nothing to collect, since whatever lives stays to the end."""
    gc.disable()
    return simulate(seed, calls)


def simulate_on_redis(seed: int, calls: int) -> Outcome:
    """The same, on a server that nobody else asks."""
    gc.disable()
    with running_redis() as server:
        return simulate(seed, calls, redis_url=server.url)


class SimulationFailed(AssertionError):
    """An invariant does not hold, or something broke. Says how to see it again, and what went before."""


def simulate(seed: int, calls: int, *, faults: Faults = STORM, redis_url: str | None = None) -> Outcome:
    """Run it on the model, or on a real Redis beside the model. Raises SimulationFailed."""
    # What the real code tells operators would be a million lines.
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    store = RedisStore(redis_url, f"sim{os.getpid()}-{next(_SITES)}", NODES) if redis_url else ModelStore()
    world = World(seed, store, faults)
    try:
        return world.run(calls, max(1, calls // CALLS_A_ROUND))
    except Exception as error:
        story = "\n".join(" ".join(map(str, entry)) for entry in world.last)
        again = f"make sim SEED={seed} CALLS={calls}"
        raise SimulationFailed(f"{error!r}\n{story}\nseed {seed}; again: {again}") from error
    finally:
        store.close()
        structlog.configure(**before)
