"""A trunk at this moment, as it is shown: its hosts, our registration, its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REFUSALS = ("no-host", "trunk-full", "trunk-rate")
"""Why a call does not go out over a trunk."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One address of a trunk."""

    host: str
    transport: str
    address: tuple[str, int]
    priority: int
    weight: int
    is_up: bool
    out_seconds: float | None = None
    """How much longer it is left alone; None while it is up, or until an answer of it."""


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """Totals are since the process began; all is of this node only."""

    hosts: tuple[HostStatus, ...] = ()
    """Empty where the trunk only brings calls, or while no address of its hosts is known."""
    only_brings: bool = True
    """No hosts are configured: nothing is known of the carrier's side but the calls that come."""
    is_registered: bool | None = None
    """None where we do not register."""
    registers_over: tuple[str, int] | None = None
    """The address that was asked last to bind us."""
    calls: int = 0
    """Live, in and out."""
    calls_out: int = 0
    """Total of calls that we made."""
    answered_out: int = 0
    """Total of those, answered."""
    failovers: int = 0
    """Total of attempts that another host had to make up for."""
    refused_out: Mapping[str, int] = field(default_factory=dict)
    """Total of calls that did not go out, by a word of REFUSALS."""

    @property
    def is_up(self) -> bool:
        """Whether calls can pass: a host is up, and has bound us where we register."""
        has_host = any(host.is_up for host in self.hosts)
        return self.only_brings or (has_host and self.is_registered is not False)
