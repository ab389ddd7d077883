"""Writes the records of calls whose node is gone, so that they need not wait until it starts again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import structlog
from redis.exceptions import RedisError

from acd.clock import Clock
from acd.history.journal import Journal
from acd.polling import Poll

log = structlog.get_logger(__name__)


class Heir:
    """Looks once a lease, and inherits from a node that was not up at two looks in a row.

    All living nodes do so: the history keeps one record a call. A node that only hung tells of its calls
    itself when they end, and that record then takes the place of the inherited one.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        lease_seconds: float,
        is_up: Callable[[str], bool],
        recover: Callable[[Mapping[str, bytes], float], Collection[str]],
    ) -> None:
        """`recover` hands in the records of calls that ended then, and returns ids that it cannot read."""
        self._journal = journal
        self._clock = clock
        self._lease = lease_seconds
        self._is_up = is_up
        self._recover = recover
        self._suspects: frozenset[str] = frozenset()
        self._unreadable: set[str] = set()
        self._poll = Poll(
            self.look,
            self._lease,
            "heir-blind",
            expected=(RedisError, OSError, TimeoutError),
            told_elsewhere=True,
            blind=self._suspect_nobody,
        )

    def start(self) -> None:
        self._poll.start()

    async def stop(self) -> None:
        await self._poll.stop()

    async def look(self) -> None:
        """Inherit from whoever was suspected at the last look and is still not up. Raises RedisError."""
        down = frozenset(node for node in await self._journal.left_behind() if not self._is_up(node))
        suspects, self._suspects = self._suspects, down
        for node in sorted(down & suspects):
            await self._inherit(node)

    async def _inherit(self, node: str) -> None:
        found = await self._journal.recover(node)
        fresh = {call: document for call, document in found.items() if call not in self._unreadable}
        if fresh:
            log.warning("calls-inherited", of=node, calls=len(fresh))
            self._unreadable.update(self._recover(fresh, self._clock.time() - self._lease))
        if not found:
            await self._journal.strike(node)

    def _suspect_nobody(self) -> None:
        """Who cannot be seen is not known to be gone."""
        self._suspects = frozenset()
