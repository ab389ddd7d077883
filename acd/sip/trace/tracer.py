"""Which messages are kept, and for how long: a ring of bytes, filled only while somebody asked for it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from acd.clock import Clock
from acd.sip.core.events import Flow
from acd.sip.trace.captured import Captured, numbers_in, owner_of, sip_call_id, without_secrets

_OVERHEAD = 400
"""Bytes that keeping one message costs beside its own."""
_MAX_KNOWN = 10_000
_MAX_RULES = 100


class Export(Protocol):
    """Where every message goes, kept or not."""

    def __call__(self, message: Captured) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose calls are traced from their first message on."""

    numbers: frozenset[str] = frozenset()
    """As dialled or as the caller's, with a leading plus where there is one."""
    trunks: frozenset[str] = frozenset()


class Tracer:
    """`active` says whether `saw` is to be told of messages at all; nothing else costs while it is False."""

    def __init__(
        self,
        rules: Rules,
        max_bytes: int,
        clock: Clock,
        trunk_of: Callable[[Flow], str],
        export: Export | None = None,
    ) -> None:
        self.rules = rules
        self._max_bytes = max_bytes
        self._clock = clock
        self._trunk_of = trunk_of
        self._export = export
        self._kept: deque[Captured] = deque()
        self._bytes = 0
        self._callers: OrderedDict[str, str] = OrderedDict()
        """Call -> SIP Call-ID of its caller's leg, of the newest calls."""
        self._followed: OrderedDict[str, str] = OrderedDict()
        """SIP Call-ID -> call; "" until that is known."""
        self._owners: OrderedDict[str, str] = OrderedDict()
        """Calls of which some leg is followed."""
        self.active = False
        self._settle()

    @property
    def bytes_kept(self) -> int:
        return self._bytes

    # What is asked for.

    def add(self, *, number: str = "", trunk: str = "") -> None:
        """Trace future calls of a number or a trunk. Raises ValueError where there are too many rules."""
        numbers = self.rules.numbers | ({number} if number else set())
        trunks = self.rules.trunks | ({trunk} if trunk else set())
        if len(numbers) + len(trunks) > _MAX_RULES:
            raise ValueError(f"more than {_MAX_RULES} numbers and trunks are traced; clear them first")
        self.rules = Rules(numbers, trunks)
        self._settle()

    def clear(self) -> None:
        """Trace no more, and forget what was kept."""
        self.rules = Rules()
        self._followed.clear()
        self._owners.clear()
        self._kept.clear()
        self._bytes = 0
        self._settle()

    def follow(self, call: str) -> None:
        """Keep what a live call says from now on."""
        if sip_id := self._callers.get(call):
            self._follow(sip_id, call)

    def belongs(self, sip_id: str, call: str) -> None:
        """The caller's leg of a new call."""
        if not call:
            return
        _remember(self._callers, call, sip_id)
        if sip_id in self._followed:
            self._follow(sip_id, call)

    def messages(self, call: str) -> Sequence[Captured]:
        """What is kept of a call, both legs, oldest first."""
        legs = {sip_id for sip_id, owner in self._followed.items() if owner == call}
        return [message for message in self._kept if message.call_id in legs]

    def close(self) -> None:
        """Let go of the capture server."""
        if self._export is not None:
            self._export.close()

    # What goes by.

    def saw(self, data: bytes, flow: Flow, *, sent: bool) -> None:
        """One message. Never raises for what a peer wrote."""
        sip_id = sip_call_id(data)
        if not sip_id:
            return
        wanted = sip_id in self._followed or (
            data.startswith(b"INVITE ") and self._begins(data, flow, sip_id)
        )
        if not wanted and self._export is None:
            return
        message = Captured(self._clock.time(), sent, flow, without_secrets(data), sip_id)
        if self._export is not None:
            self._export(message)
        if wanted:
            self._keep(message)

    def _begins(self, data: bytes, flow: Flow, sip_id: str) -> bool:
        """Whether an INVITE begins a leg that is to be traced."""
        owner = owner_of(data)
        if owner in self._owners:
            self._follow(sip_id, owner)
            return True
        rules = self.rules
        if (rules.trunks and self._trunk_of(flow) in rules.trunks) or (
            rules.numbers and rules.numbers & numbers_in(data)
        ):
            self._follow(sip_id, "")
            return True
        return False

    def _follow(self, sip_id: str, call: str) -> None:
        _remember(self._followed, sip_id, call)
        if call:
            _remember(self._owners, call, call)
        self._settle()

    def _keep(self, message: Captured) -> None:
        self._kept.append(message)
        self._bytes += len(message.data) + _OVERHEAD
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popleft().data) + _OVERHEAD

    def _settle(self) -> None:
        asked = self.rules.numbers or self.rules.trunks or self._followed
        self.active = bool(asked) or self._export is not None


def _remember(known: OrderedDict[str, str], key: str, value: str) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)
