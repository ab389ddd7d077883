"""Which transactions use which flow: what to tell when a connection breaks or opens."""

from __future__ import annotations

from acd.sip.core.events import Flow
from acd.sip.core.transaction import ClientTransaction, ServerTransaction

Transaction = ClientTransaction | ServerTransaction


class FlowUsers:
    """Adding, removing and finding cost O(1), however many flows there are."""

    def __init__(self) -> None:
        self._users: dict[Flow, set[Transaction]] = {}

    def __len__(self) -> int:
        return len(self._users)

    def add(self, transaction: Transaction) -> None:
        self._users.setdefault(transaction.flow, set()).add(transaction)

    def remove(self, transaction: Transaction) -> None:
        users = self._users.get(transaction.flow)
        if users is not None:
            users.discard(transaction)
            if not users:
                del self._users[transaction.flow]

    def shift(self, transaction: Transaction, flow: Flow) -> None:
        """One transaction goes on over another flow."""
        self.remove(transaction)
        transaction.flow = flow
        self.add(transaction)

    def fail(self, flow: Flow, now: float) -> None:
        """Nothing can be sent on this flow any more."""
        for transaction in list(self._users.get(flow, ())):
            transaction.fail(now)

    def move(self, wanted: Flow, opened: Flow) -> None:
        """What waited for a connection goes on over it."""
        for transaction in self._users.pop(wanted, set()):
            transaction.flow = opened
            self.add(transaction)
