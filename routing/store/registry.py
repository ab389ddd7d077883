"""Makes classes and profiles known to the store, with who fits what computed here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from routing.model import AgentProfile, Requirement
from routing.ports import StoreUnavailable
from routing.requirement import (
    check_profile,
    class_definition,
    class_name,
    eligible,
    eligible_while,
    lending_terms,
    profile_definition,
    read_class,
    read_profile,
    signature,
)
from routing.store.replies import pairs
from routing.store.scripts import RACED
from routing.strategy import STRATEGIES, rank

_ATTEMPTS = 20
BY_PRIORITY = ">"

Run = Callable[..., Awaitable[Any]]


@lru_cache(maxsize=10_000)
def profile_name(profile: AgentProfile) -> str:
    """The short name of a profile. Raises ValueError for one that cannot be kept.

    It begins with BY_PRIORITY where the scripts are to look for calls so (includes/own_order.lua).
    """
    check_profile(profile)
    name = signature(profile_definition(profile))
    return BY_PRIORITY + name if profile.by_priority else name


def _fit(other: str, requirement: Requirement, profile: AgentProfile) -> tuple[str | int, ...]:
    """The arguments that say how a class and a profile fit, of which `other` is the one that is known."""
    if eligible(requirement, profile):
        return other, rank(requirement, profile), ""
    if lending := eligible_while(requirement, profile):
        return other, rank(requirement, profile), lending_terms(lending)
    return ()


class Registry:
    """A copy of the store's classes and profiles, brought up to date only where it proves to be behind.

    The fit of a new class with every profile (or the reverse) is computed from the copy and written
    under the version of the copy: the store refuses it if another node has changed anything since.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = asyncio.Lock()
        self._version = ""
        self._classes: dict[str, Requirement] = {}
        self._profiles: dict[str, AgentProfile] = {}

    async def define_class(self, requirement: Requirement, now_ms: int) -> None:
        """Make a class known. Known already: nothing changes."""
        name = class_name(requirement)

        order = STRATEGIES[requirement.strategy].order

        def fits() -> list[str | int]:
            found: list[str | int] = [order, requirement.weight]
            for other, profile in self._profiles.items():
                found += _fit(other, requirement, profile)
            return found

        async with self._lock:
            if await self._define("define_class", now_ms, name, class_definition(requirement), fits):
                self._classes[name] = requirement

    async def define_profile(self, profile: AgentProfile, now_ms: int) -> None:
        """Make a profile known. Known already: nothing changes."""
        name = profile_name(profile)

        def fits() -> list[str | int]:
            found: list[str | int] = []
            for other, requirement in self._classes.items():
                found += _fit(other, requirement, profile)
            return found

        async with self._lock:
            if await self._define("define_profile", now_ms, name, profile_definition(profile), fits):
                self._profiles[name] = profile

    async def _define(
        self, script: str, now_ms: int, name: str, definition: str, fits: Callable[[], list[str | int]]
    ) -> bool:
        """Whether the copy is to take it over: not where another had made it known before."""
        for _ in range(_ATTEMPTS):
            reply = await self._run(script, now_ms, self._version, name, definition, *fits())
            if isinstance(reply, str):
                self._version = reply
                return True
            if reply != RACED:
                return False
            await self._read()
        raise StoreUnavailable("classes and profiles keep changing under our hands")

    async def _read(self) -> None:
        version, classes, profiles = await self._run("registry")
        self._version = version
        self._classes = {name: read_class(text) for name, text in pairs(classes).items()}
        self._profiles = {name: read_profile(text) for name, text in pairs(profiles).items()}
