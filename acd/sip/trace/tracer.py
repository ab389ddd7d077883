"""Which messages are kept, and for how long: a ring of bytes, filled only while somebody asked for it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from acd.clock import Clock
from acd.sip.core.events import Flow
from acd.sip.trace.captured import Captured, Report, numbers_in, sip_call_id, without_secrets

_OVERHEAD = 400
"""Bytes that keeping one message costs beside its own."""
_MAX_KNOWN = 10_000
_MAX_RULES = 100
_MAX_LEGS = 100
"""Legs of one call that are known: each offer makes one, and a caller may wait through many."""
_LATELY = 8
"""Of the bytes that may be kept, so many times less are for messages that may turn out to be wanted."""
_Value = TypeVar("_Value")


class Export(Protocol):
    """Where every message goes, kept or not."""

    def __call__(self, message: Captured) -> None: ...

    def report(self, report: Report) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose calls are traced from their first message on."""

    numbers: frozenset[str] = frozenset()
    """As dialled or as the caller's, with a leading plus where there is one."""
    trunks: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.numbers or self.trunks)


class Tracer:
    """`active` says whether `saw` is to be told of messages at all; nothing else costs while it is False."""

    def __init__(self, rules: Rules, max_bytes: int, clock: Clock, export: Export | None = None) -> None:
        self.rules = rules
        self._clock = clock
        self._export = export
        self._kept = _Ring(max_bytes)
        self._lately = _Ring(max_bytes // _LATELY)
        """What everybody said last, while there are rules: a leg may turn out to be of a traced call."""
        self._legs: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        """Call -> the SIP Call-IDs of its newest legs, of the newest calls."""
        self._owner: OrderedDict[str, str] = OrderedDict()
        """SIP Call-ID -> call."""
        self._sip_ids: OrderedDict[str, str] = OrderedDict()
        """Leg -> SIP Call-ID, while there is a capture server."""
        self._followed: OrderedDict[str, str] = OrderedDict()
        """SIP Call-ID -> call; "" until that is known."""
        self._traced: OrderedDict[str, str] = OrderedDict()
        """Calls that are followed, with all legs that they have and will have."""
        self.active = False
        self._settle()

    @property
    def bytes_kept(self) -> int:
        return self._kept.bytes + self._lately.bytes

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
        self._traced.clear()
        self._kept.clear()
        self._lately.clear()
        self._settle()

    def follow(self, call: str) -> None:
        """Keep what a live call says from now on, on all its legs."""
        _remember(self._traced, call, call)
        for sip_id in self._legs.get(call, ()):
            self._follow(sip_id, call)
        self._settle()

    def belongs(self, sip_id: str, call: str, *, leg: str = "", trunk: str = "") -> None:
        """A leg of a call, over a trunk where one is named; told of ours before the first word is sent."""
        if not call or not sip_id:
            return
        if leg and self._export is not None:
            _remember(self._sip_ids, leg, sip_id)
        legs = (*(leg for leg in self._legs.get(call, ()) if leg != sip_id), sip_id)
        _remember(self._legs, call, legs[-_MAX_LEGS:])
        _remember(self._owner, sip_id, call)
        if call in self._traced:
            self._follow(sip_id, call)
        elif sip_id in self._followed or trunk in self.rules.trunks:
            self.follow(call)

    def answered(self, leg: str, by: str) -> None:
        """Of several that were called as one leg, this one has the call."""
        if by != leg and (sip_id := self._sip_ids.get(by)):
            _remember(self._sip_ids, leg, sip_id)

    def report(self, leg: str, call: str, reports: Sequence[Report]) -> None:
        """Tell the capture server how a leg sounded. It finds the leg by its SIP Call-ID."""
        if self._export is not None:
            about = self._sip_ids.pop(leg, call)
            for report in reports:
                self._export.report(replace(report, correlation=about))

    def messages(self, call: str) -> Sequence[Captured]:
        """What is kept of a call, all legs, oldest first."""
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
        rules = self.rules
        if rules.numbers and sip_id not in self._followed and data.startswith(b"INVITE "):
            self._compare(data, sip_id)
        is_wanted = sip_id in self._followed
        if not is_wanted and not rules and self._export is None:
            return
        call = self._owner.get(sip_id, "")
        message = Captured(self._clock.time(), sent, flow, without_secrets(data), sip_id, call)
        if self._export is not None:
            self._export(message)
        if is_wanted:
            self._kept.add(message)
        elif rules:
            self._lately.add(message)

    def _compare(self, data: bytes, sip_id: str) -> None:
        """Follow the call whose INVITE has one of the numbers."""
        if not self.rules.numbers & numbers_in(data):
            return
        if call := self._owner.get(sip_id):
            self.follow(call)
        else:
            self._follow(sip_id, "")

    def _follow(self, sip_id: str, call: str) -> None:
        if sip_id not in self._followed:
            self._kept.merge(self._lately.take(sip_id))
        _remember(self._followed, sip_id, call)
        self._settle()

    def _settle(self) -> None:
        self.active = bool(self.rules or self._followed or self._traced or self._export is not None)


class _Ring:
    """The newest messages, within so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._messages: deque[Captured] = deque()
        self.bytes = 0

    def __iter__(self) -> Iterator[Captured]:
        return iter(self._messages)

    def add(self, message: Captured) -> None:
        self._messages.append(message)
        self.bytes += _size(message)
        while self.bytes > self._most:
            self.bytes -= _size(self._messages.popleft())

    def take(self, sip_id: str) -> Sequence[Captured]:
        """The messages of a leg, which are in here no longer."""
        taken = [message for message in self._messages if message.call_id == sip_id]
        if taken:
            self._messages = deque(message for message in self._messages if message.call_id != sip_id)
            self.bytes -= sum(map(_size, taken))
        return taken

    def merge(self, older: Sequence[Captured]) -> None:
        """Put messages in where they belong by their time."""
        if not older:
            return
        merged = sorted((*older, *self._messages), key=lambda message: message.at)
        self.clear()
        for message in merged:
            self.add(message)

    def clear(self) -> None:
        self._messages.clear()
        self.bytes = 0


def _size(message: Captured) -> int:
    return len(message.data) + _OVERHEAD


def _remember(known: OrderedDict[str, _Value], key: str, value: _Value) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)
