"""What went over the wire, for calls that somebody wants to look at."""

from __future__ import annotations

from acd.clock import Clock
from acd.config import TraceSection
from acd.sip.trace.hep import HepExport
from acd.sip.trace.tracer import Rules, Tracer


def open_tracer(settings: TraceSection, clock: Clock) -> Tracer:
    """The tracer of a node, with its export. Raises OSError where no socket can be had for that."""
    target = settings.hep_target
    return Tracer(
        Rules(frozenset(settings.numbers), frozenset(settings.trunks)),
        settings.max_bytes,
        clock,
        None if target is None else HepExport(target, settings.hep_agent),
    )
