"""A number outside: what it is, the ways to it, and what is so of the call to it. Plain data."""

from __future__ import annotations

import msgspec

from acd.directory.model import DialClass


class Way(msgspec.Struct, frozen=True):
    """Over this trunk, by dialling this."""

    trunk: str
    digits: str


class Outside(msgspec.Struct, frozen=True):
    """One number that is called, or on the line."""

    number: str
    """As E.164, or just as it was dialled where a route takes it so."""
    kind: DialClass
    ways: tuple[Way, ...]
    """In the order in which they are tried."""
    shown: str
    """The number that is shown there."""
    by: str = ""
    """The agent whose right it is; empty: the centre's own, or the API's."""
    limit: int = 0
    """Calls to the outside that this agent may have at a time."""
    tried: int = 0
    """Ways that did not lead there."""
    rang: bool = False
    """Somebody's phone rings there: no other way is tried."""
    answered: bool = False

    @property
    def way(self) -> Way | None:
        """The way that is taken now; None where all were tried."""
        return self.ways[self.tried] if self.tried < len(self.ways) else None
