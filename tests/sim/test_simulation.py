"""Centres that live through faults in virtual time: safe at every step, whole again when the faults end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import get_args

import msgspec
import pytest

from acd.calls import beginning
from acd.calls.record import Outcome
from acd.directory.model import OVERFLOW_KINDS
from acd.site_clock import SiteTime
from routing import limits
from routing.callbacks import Callback
from routing.overflow import Why
from tests.sim import node, run
from tests.sim.run import SimulationFailed, simulate_apart, simulate_on_redis
from tests.sim.weather import CALM, STORM, Faults
from tests.sim.world import Outcome as Ran
from tests.support.callback_model import CallbackModel
from tests.support.queue_matching import Matching
from tests.support.redis_server import redis_url

pytestmark = [pytest.mark.background, pytest.mark.timeout(1800)]

__all__ = ["redis_url"]

SEEDS = (1, 2, 3, 4)
CALLS_A_SEED = 22_000
SEEDS_ON_REDIS = (5, 9)
CALLS_ON_REDIS = 6_000
"""On the model and on Redis together, 100,000 in each run of the suite."""
OUTCOMES = get_args(Outcome)


def apart() -> ProcessPoolExecutor:
    """Processes that leave the machine to whoever else wants it: the time it takes decides nothing here."""
    few = min(2, os.cpu_count() or 1)
    return ProcessPoolExecutor(few, get_context("fork"), initializer=os.nice, initargs=(10,))


def simulate(seed: int, calls: int, *, faults: Faults = STORM, redis_url: str | None = None) -> Ran:
    with apart() as pool:
        return pool.submit(run.simulate, seed, calls, faults=faults, redis_url=redis_url).result()


def test_a_hundred_thousand_calls_are_safe_in_faults_and_all_end_after_them() -> None:
    with apart() as pool:
        found = list(pool.map(simulate_apart, SEEDS, [CALLS_A_SEED] * len(SEEDS)))
    assert sum(outcome.calls for outcome in found) == 100_000 - len(SEEDS_ON_REDIS) * CALLS_ON_REDIS
    for outcome in found:
        assert sum(outcome.counts[how] for how in OUTCOMES) == outcome.calls
        assert outcome.counts["answered"] > 0.6 * outcome.calls
        assert (
            min(outcome.counts[what] for what in ("stale", "crash", "cut", "freeze", "late", "node-died")) > 0
        )
    everywhere = sum((Counter(outcome.counts) for outcome in found), Counter())
    assert min(everywhere[what] for what in ("went-back", "emptied", "in doubt", "clock")) > 0
    assert everywhere["rung-together"] > 0
    for how in ("done", "failed", "expired", "talks"):
        assert everywhere[f"callback-{how}"] > 0, how
    assert min(everywhere[what] for what in ("callback known", "callback call failed")) > 0
    # Every kind of target, nowhere, and every reason.
    for kind in (*OVERFLOW_KINDS, "message-then-wait", "nowhere", *(f"by-{why}" for why in get_args(Why))):
        assert everywhere[f"overflow-{kind}"] > 0, kind


def test_a_store_that_goes_back_or_is_emptied_rings_no_phone_twice_and_cuts_nobody_off() -> None:
    outcome = simulate(15, 2_500, faults=Faults(loss_every_ms=60_000))
    assert min(outcome.counts["went-back"], outcome.counts["emptied"]) > 0
    assert outcome.counts["busy"] == 0, "a phone that rings or talks was rung once more"
    assert outcome.counts["customer rung twice"] == outcome.counts["customer talked twice"] == 0
    assert outcome.counts["talks"] == outcome.counts["answered"]


_CLOCKS = Faults(
    clock_every_ms=40_000, wrong_clocks=True, slow=0.03, freeze_every_ms=600_000, cut_every_ms=300_000
)


def test_clocks_that_are_wrong_and_one_that_is_set_upset_nobody() -> None:
    outcome = simulate(16, 1_500, faults=_CLOCKS)
    assert min(outcome.counts["clock"], outcome.counts["freeze"], outcome.counts["cut"]) > 0
    assert outcome.counts["talks"] == outcome.counts["answered"]


def test_nodes_that_trust_their_own_clocks_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SiteTime, "hear", lambda self, mono, store, others: 0.0)
    assert any(_fails(seed) for seed in range(21, 29))


def _fails(seed: int) -> bool:
    try:
        simulate(seed, 1_000, faults=Faults(wrong_clocks=True))
    except SimulationFailed:
        return True
    return False


@pytest.mark.store
def test_the_real_store_tells_the_same_story_as_the_model() -> None:
    with apart() as pool:
        on_redis = pool.map(simulate_on_redis, SEEDS_ON_REDIS, [CALLS_ON_REDIS] * len(SEEDS_ON_REDIS))
        again = pool.submit(simulate_apart, SEEDS_ON_REDIS[0], CALLS_ON_REDIS)
        found = list(on_redis)
    assert sum(outcome.calls for outcome in found) == 12_000
    everywhere = sum((Counter(outcome.counts) for outcome in found), Counter())
    reasons = (f"overflow-by-{why}" for why in get_args(Why))
    for what in ("stale", "crash", "cut", "late", "rung-together", *reasons):
        assert everywhere[what] > 0, what
    assert everywhere["went-back"] + everywhere["emptied"] > 0
    assert found[0] == again.result()


@pytest.mark.store
@pytest.mark.parametrize("few", [0, 1_000])
def test_however_few_heads_are_probed_the_choice_is_that_of_the_model(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(limits, "PROBE_FIRST", 1)
    monkeypatch.setattr(limits, "PROBE_HEADS", 2)
    monkeypatch.setattr(limits, "FEW_FITS", few)
    assert simulate(10, 300, redis_url=redis_url).calls == 300


def test_a_seed_replays_a_run_in_any_process() -> None:
    once = simulate(6, 400)
    again = subprocess.run(
        [sys.executable, "-m", "tests.sim", "--seed", "6", "--calls", "400", "--store", "model"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    assert once.digest in again.stdout
    assert simulate(7, 400).digest != once.digest


def test_without_faults_nothing_is_said_in_vain() -> None:
    outcome = simulate(8, 1_500, faults=CALM)
    # The only ones to give up are those who called for one agent by name, who was busy, who came to a full
    # line, or who were sent to a box; and nobody did who asked to be called back.
    ends = ("answered", "completed", "voicemail", "callback")
    assert sum(outcome.counts[how] for how in ends) == outcome.calls
    assert outcome.counts["callback-done"] > 0
    assert outcome.counts["callback-done"] == outcome.counts["callback-talks"] == outcome.counts["attempts"]
    ends = ("callback-done", "callback-expired", "callback known")
    assert sum(outcome.counts[how] for how in ends) == outcome.counts["callback"]
    assert outcome.counts["completed"] < 0.03 * outcome.calls
    assert outcome.counts["stale"] == outcome.counts["busy"] == 0


def test_a_number_that_is_called_back_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    add = CallbackModel.add

    def add_without_looking(self: CallbackModel, callback: Callback, node: str, now: int) -> str:
        in_force = add(self, replace(callback, number=""), node, now)
        if in_force in self.noted:
            self.noted[in_force].callback = callback
        return in_force

    monkeypatch.setattr(CallbackModel, "add", add_without_looking)
    with pytest.raises(SimulationFailed, match="more than one callback"):
        simulate(13, 2_000)


def test_a_callback_that_loses_its_place_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = beginning.call_back
    monkeypatch.setattr(
        node, "call_back", lambda order, *rest: msgspec.structs.replace(begun(order, *rest), ranked_at=None)
    )
    with pytest.raises(SimulationFailed, match="loses the place"):
        simulate(14, 2_000)


def test_a_run_that_fails_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lets a call go before one that came earlier is found out, and the story of it told."""
    first = Matching.best_call
    monkeypatch.setattr(
        Matching,
        "best_call",
        lambda self, agent, calls, centre: first(self, agent, reversed([*calls][2:]), centre),
    )
    with pytest.raises(
        SimulationFailed, match=re.compile(r"make sim SEED=12 CALLS=1500", re.DOTALL)
    ) as failure:
        simulate(12, 1_500)
    assert "waits beside" in str(failure.value) or "goes before" in str(failure.value)
    assert len(str(failure.value).splitlines()) > 20
