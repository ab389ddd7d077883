"""Runs simulations by hand: python -m tests.sim --seed 7 --calls 10000 [--store model]."""

from __future__ import annotations

import argparse
import time

from tests.sim.run import simulate
from tests.support.redis_server import running_redis


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--calls", type=int, default=10_000)
    words.add_argument("--store", choices=("redis", "model"), default="redis")
    asked = words.parse_args()
    began = time.monotonic()
    if asked.store == "model":
        found = simulate(asked.seed, asked.calls)
    else:
        with running_redis() as server:
            found = simulate(asked.seed, asked.calls, redis_url=server.url)
    print(f"seed {asked.seed}: {found.calls} calls, {found.events} events, digest {found.digest}")
    print(", ".join(f"{what} {count}" for what, count in sorted(found.counts.items())))
    print(f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
