"""Requests that others sent us: their transactions, who is to answer them, and those that came twice."""

from __future__ import annotations

from acd.sip.core.flows import FlowUsers
from acd.sip.core.message import Request
from acd.sip.core.transaction import ServerKey, ServerTransaction

_MergeKey = tuple[str, str, int, str]


class Servers:
    """The server transactions of one node."""

    def __init__(self, flows: FlowUsers) -> None:
        self._flows = flows
        self._by_key: dict[ServerKey, ServerTransaction] = {}
        self._asked: dict[str, ServerTransaction] = {}
        """Requests that the owner is to answer, by the name that it was given."""
        self._merged: dict[_MergeKey, ServerKey] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: ServerKey) -> ServerTransaction | None:
        return self._by_key.get(key)

    def add(self, transaction: ServerTransaction) -> None:
        self._by_key[transaction.key] = transaction
        self._flows.add(transaction)

    def forget(self, transaction: ServerTransaction) -> None:
        """It is over."""
        self._by_key.pop(transaction.key, None)
        self._asked.pop(transaction.name, None)
        self._flows.remove(transaction)
        merge = _merge_key(transaction.request)
        if self._merged.get(merge) == transaction.key:
            del self._merged[merge]

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """Whether the same request came another way (section 8.2.2.2).

        Not for REGISTER: some phones start their Call-ID and CSeq anew each time they are switched on.
        """
        if transaction.request.method == "REGISTER":
            return False
        return self._merged.setdefault(_merge_key(transaction.request), transaction.key) != transaction.key

    def leave_to_owner(self, transaction: ServerTransaction, now: float) -> None:
        """The owner answers it, by its name."""
        self._asked[transaction.name] = transaction
        transaction.expect_answer(now)

    def asked(self, name: str) -> ServerTransaction | None:
        """A request that the owner is to answer, and has not."""
        return self._asked.get(name)


def _merge_key(request: Request) -> _MergeKey:
    return request.call_id, request.from_tag, request.cseq.number, request.method
