"""Name servers that know what a test tells them."""

from __future__ import annotations

from collections.abc import Sequence

from acd.sip.resolving import Service


class FakeDns:
    """Satisfies acd.sip.resolving.Dns; notes what it was asked."""

    def __init__(self) -> None:
        self.naptrs: dict[str, list[tuple[int, str, str]]] = {}
        self.srvs: dict[str, list[Service]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.asked: list[str] = []

    async def naptr(self, name: str) -> Sequence[tuple[int, str, str]]:
        self.asked.append(f"naptr {name}")
        return self.naptrs.get(name, [])

    async def srv(self, name: str) -> Sequence[Service]:
        self.asked.append(f"srv {name}")
        return self.srvs.get(name, [])

    async def addresses(self, name: str) -> Sequence[str]:
        self.asked.append(f"a {name}")
        return self.hosts.get(name, [])
