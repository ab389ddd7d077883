"""Callbacks as a slow, obvious program: what their store must do, without any index."""

from __future__ import annotations

from dataclasses import dataclass

from routing.callbacks import Callback


@dataclass
class Noted:
    callback: Callback
    state: str = "waiting"
    node: str = ""
    attempts: int = 0
    due: int = 0


class CallbackModel:
    """Same operations as the store, at once and in memory. `told` is what nodes hear of others' words."""

    def __init__(self) -> None:
        self.noted: dict[str, Noted] = {}
        self.ended: dict[str, str] = {}
        self.told: list[tuple[str, str, str]] = []

    def add(self, callback: Callback, node: str, now: int) -> str:
        if callback.id in self.noted or callback.id in self.ended:
            return callback.id
        for i, other in self.noted.items():
            same = (other.callback.queue, other.callback.number) == (callback.queue, callback.number)
            if callback.number and same:
                return i
        resting = callback.due_ms > now
        self.noted[callback.id] = Noted(
            callback,
            "resting" if resting else "waiting",
            "" if resting else node,
            callback.made,
            callback.due_ms,
        )
        return callback.id

    def claim(self, node: str, most: int, now: int) -> dict[str, str]:
        free = [b for b in self.noted.values() if b.state == "waiting" and not b.node]
        for b in sorted(free, key=lambda b: (b.callback.enqueued_ms, b.callback.id))[:most]:
            b.node = node
        return {
            i: b.callback.document for i, b in self.noted.items() if (b.state, b.node) == ("waiting", node)
        }

    def hold(self, i: str, node: str, now: int) -> bool | None:
        b = self.noted.get(i)
        if b is None:
            return False if i in self.ended else None
        if b.state == "waiting" and not b.node:
            b.node = node
        return b.node == node

    def begin(self, i: str, node: str, now: int, *, said: int = 0) -> int:
        b = self.noted.get(i)
        if b is None:
            return 0
        if said:
            return said if self._stands(i, node, said) else 0
        if b.node != node:
            return 0
        if b.state == "waiting":
            b.state, b.attempts = "making", b.attempts + 1
        return b.attempts

    def _stands(self, i: str, node: str, attempt: int) -> bool:
        """Whether an attempt of which a node speaks is under way; one that was forgotten is put back."""
        b = self.noted[i]
        if b.attempts < attempt <= b.callback.attempts:
            if b.node and b.node != node:
                self.told.append((b.node, i, "taken"))
            b.state, b.node, b.attempts, b.due = "making", node, attempt, 0
        return (b.state, b.node, b.attempts) == ("making", node, attempt)

    def unreached(self, i: str, node: str, attempt: int, why: str, now: int) -> str:
        b = self.noted.get(i)
        if b is None or not self._stands(i, node, attempt):
            return ""
        if b.attempts >= b.callback.attempts:
            return self._end(i, "failed")
        if 0 < b.callback.expires_ms <= now:
            return self._end(i, "expired")
        b.state, b.node, b.due = "resting", "", now + b.callback.interval_ms
        return "resting"

    def release(self, i: str, node: str, now: int) -> None:
        if self.may_release(i, node):
            self.noted[i].node = ""

    def may_release(self, i: str, node: str) -> bool:
        """Whether this node looks after it, and has not begun."""
        b = self.noted.get(i)
        return b is not None and (b.state, b.node) == ("waiting", node)

    def done(self, i: str, node: str, now: int) -> bool:
        b = self.noted.get(i)
        if b is None:
            return self._unknown(i, node, "done")
        if b.node and (b.state, b.node) != ("making", node):
            self.told.append((b.node, i, "done"))
        self._end(i, "done")
        return True

    def cancel(self, i: str, node: str, now: int) -> bool | None:
        b = self.noted.get(i)
        if b is None:
            return self._unknown(i, node, "cancelled")
        if b.state == "making":
            return None
        if b.node and b.node != node:
            self.told.append((b.node, i, "cancelled"))
        self._end(i, "cancelled")
        return True

    def shown(self, i: str) -> list[str | int] | None:
        """Id, state, attempts, until when it rests, and document."""
        b = self.noted.get(i)
        if b is None:
            return None
        due = str(b.due) if b.state == "resting" else ""
        return [i, b.state, b.attempts, due, b.callback.document]

    def tick(self, now: int) -> None:
        for i, b in list(self.noted.items()):
            if b.state != "making" and 0 < b.callback.expires_ms <= now:
                if b.node:
                    self.told.append((b.node, i, "expired"))
                self._end(i, "expired")
            elif b.state == "resting" and b.due <= now:
                b.state = "waiting"

    def drop(self, node: str, now: int) -> None:
        for i, b in list(self.noted.items()):
            if b.node == node and b.state == "making":
                self.unreached(i, node, b.attempts, "node-died", now)
            elif b.node == node:
                b.node = ""
        self.told = [word for word in self.told if word[0] != node]

    def _unknown(self, i: str, node: str, how: str) -> bool:
        """A node ends what was lost here: it is not to be put back."""
        if node:
            self.ended.setdefault(i, how)
        return False

    def _end(self, i: str, how: str) -> str:
        del self.noted[i]
        self.ended[i] = how
        return how
