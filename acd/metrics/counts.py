"""What the parts of a node count by themselves; read once a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acd.sip.trunk_status import TrunkStatus
from routing.outages import Trouble


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """Gauges are of this moment, totals since the process began. All of this node only."""

    calls: Mapping[str, int] = field(default_factory=dict)
    """Live calls by state."""
    trunks: Mapping[str, TrunkStatus] = field(default_factory=dict)
    """By name; a trunk that is not among them has no calls, and nothing is known of it."""
    sip_responses: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Total of responses sent, by method and status."""
    sip_rejected: Mapping[str, int] = field(default_factory=dict)
    """Total of requests turned away, by a short fixed reason."""
    sip_dropped: int = 0
    """Total of datagrams and messages dropped unread, since their source was over its limit."""
    sip_retransmissions: int = 0
    """Total of messages that we said again, since nobody had answered."""
    sip_connections: Mapping[str, int] = field(default_factory=dict)
    """Open connections by transport."""
    sip_connections_broken: Mapping[str, int] = field(default_factory=dict)
    """Total of connections refused or broken off by us, by a short fixed reason."""
    sip_registrations: int = 0
    """Contacts bound now."""
    sip_subscriptions: int = 0
    """Lamps and message waiting lights that are subscribed to."""
    webhook_outcomes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(webhook, outcome) -> how often."""
    webhook_waiting: Mapping[str, int] = field(default_factory=dict)
    """Messages that wait to be sent, by webhook."""
    sip_passed: int = 0
    """Total of messages passed on between phones of this node and other nodes."""
    nodes_up: int = 0
    """Other nodes that live, as this one sees it."""
    clock_ahead: float = 0.0
    """By how much the machine's clock is before the store's, in seconds."""
    redis_outages: Mapping[Trouble, int] = field(default_factory=dict)
    """Total of outages of the store that are over, by what had happened to it."""
    redis_scripts_reloaded: int = 0
    """How often the store had lost its scripts."""
    said_again: Mapping[str, int] = field(default_factory=dict)
    """Total of what was said again to a store that may have lost it, by routing.outages.SAID_AGAIN."""
    media_legs: int = 0
    media_ports_free: int = 0
    media_ports: int = 0
    """All RTP ports of this node, free or not."""
    media_worker_restarts: int = 0
    """Total of media workers that died and were started again."""
    messages: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Voice messages kept, by kind of box (agent, queue, box) and state (new, heard)."""
    messages_taken: Mapping[str, int] = field(default_factory=dict)
    """Total of messages taken, by kind of box."""
    messages_lost: Mapping[str, int] = field(default_factory=dict)
    """Total of callers who could leave none, by a short fixed reason."""
    draining: bool = False
    overloaded: bool = False
