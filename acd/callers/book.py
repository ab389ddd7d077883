"""What is known of a caller: lists, look-ups, and who talked to them before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from acd.callers.lookup import Lookups
from acd.calls.model import AskCaller, CallerKnown, Found, Spoken
from acd.directory.model import CallerList, Directory
from acd.history.contacts import ContactReader


class CallerBook:
    """The acd.calls.ports.CallerPort of a node. `members` of a list were put on it while the service runs."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        members: Callable[[str], Collection[str]],
        contacts: ContactReader,
        lookups: Lookups,
    ) -> None:
        self._directory = directory
        self._members = members
        self._contacts = contacts
        self._lookups = lookups

    def lists_of(self, number: str) -> tuple[str, ...]:
        """The lists that the caller is on, in the order in which they count."""
        return tuple(
            entry.name
            for entry in self._directory().caller_lists.values()
            if entry.lookup is None and self._is_on(entry, number)
        )

    def _is_on(self, entry: CallerList, number: str) -> bool:
        return number in entry.numbers or number in self._members(entry.name) or entry.begins_like(number)

    async def ask(self, question: AskCaller) -> CallerKnown:
        """All at once; what fails or is late is as if nothing were known."""
        spoke_with, found = await asyncio.gather(self._spoke_with(question), self._found(question))
        return CallerKnown(spoke_with, found)

    async def _found(self, question: AskCaller) -> tuple[Found, ...]:
        directory = self._directory()
        lists = [directory.caller_lists[name] for name in question.lookups if name in directory.caller_lists]
        found = await asyncio.gather(
            *(self._lookups.ask(entry, directory, question.number, question.called) for entry in lists)
        )
        return tuple(each for each in found if each is not None)

    async def _spoke_with(self, question: AskCaller) -> tuple[Spoken, ...]:
        if question.since is None:
            return ()
        return await self._contacts.spoke_with(question.number, question.since)
