"""Trunks: each address and name of one, routes that go out, and what headers tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from acd.directory.check.problem import KeyPath, Problem, suggestion
from acd.directory.model import CALL_WORDS
from acd.directory.schema.file import DirectoryFile


def _routes(file: DirectoryFile) -> Iterator[Problem]:
    """A route leads over trunks that calls can go out over."""
    trunks = {trunk.name: trunk for trunk in file.trunks}
    for index, route in enumerate(file.routes):
        for position, name in enumerate(route.trunks):
            path: KeyPath = ("routes", index, "trunks", position)
            if name not in trunks:
                hint = suggestion(name, trunks) or "; add it to trunks"
                yield Problem(path, f"there is no trunk {name!r}{hint}")
            elif not trunks[name].hosts:
                yield Problem(path, f"no call goes out over trunk {name!r}; give it hosts")
            elif name in route.trunks[:position]:
                yield Problem(path, f"{name!r} stands here twice; keep it once")


def find(file: DirectoryFile) -> Iterator[Problem]:
    """What trunks and routes owe each other."""
    yield from _shared_names(file)
    yield from _overlaps(file)
    yield from _routes(file)
    yield from _sent_words(file)


def _shared_names(file: DirectoryFile) -> Iterator[Problem]:
    """A certificate's name has to belong to one trunk."""
    owners: dict[str, str] = {}
    for index, trunk in enumerate(file.trunks):
        for position, name in enumerate(trunk.tls_names):
            owner = owners.setdefault(name, trunk.name)
            if owner != trunk.name:
                path: KeyPath = ("trunks", index, "tls_names", position)
                yield Problem(path, f"{name!r} is a name of trunk {owner!r} too; keep it at one of them")


def _sent_words(file: DirectoryFile) -> Iterator[Problem]:
    """What a header says must be something that a call can know."""
    attributes = {name for trunk in file.trunks for name in trunk.headers.values()}
    for index, trunk in enumerate(file.trunks):
        for header, word in trunk.send_headers.items():
            if word not in attributes and word not in CALL_WORDS:
                hint = suggestion(word, {*attributes, *CALL_WORDS})
                message = (
                    f"no trunk has {word!r} among its headers, and it is none of {', '.join(CALL_WORDS)}"
                )
                yield Problem(("trunks", index, "send_headers", header), message + hint)


def _overlaps(file: DirectoryFile) -> Iterator[Problem]:
    """A source address has to belong to one trunk.

    Networks nest or are apart. In order of address, those open at a point are a stack.
    """
    places = [
        _Place(network, ("trunks", i, "match", j), trunk.name)
        for i, trunk in enumerate(file.trunks)
        for j, network in enumerate(trunk.networks)
    ]
    around: list[_Place] = []
    for place in sorted(places, key=_Place.order):
        while around and not _contains(around[-1].network, place.network):
            around.pop()
        if around:
            outer = around[-1]
            whose = "this trunk" if outer.trunk == place.trunk else f"trunk {outer.trunk!r}"
            message = f"{place.network} overlaps {outer.network} of {whose}; an address must match once"
            yield Problem(place.path, message)
        around.append(place)


@dataclass(frozen=True, slots=True)
class _Place:
    network: IPv4Network | IPv6Network
    path: KeyPath
    trunk: str

    def order(self) -> tuple[int, int, int]:
        return self.network.version, int(self.network.network_address), self.network.prefixlen


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return outer.version == inner.version and int(outer.broadcast_address) >= int(inner.network_address)
