"""What is configured, as one frozen snapshot. A change makes a new one; a call keeps its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from acd.directory.model.agents import (
    STANDARD_CODES,
    STANDARD_DEVICE,
    Agent,
    AutoAnswer,
    CodeAction,
    Device,
    Display,
    FeatureCode,
    Takes,
    language_skill,
)
from acd.directory.model.callers import CallerList, Gives, Lookup, PriorityClass
from acd.directory.model.dialling import DIAL_CLASSES, DialClass, Dialling, Route, Team
from acd.directory.model.overflow import (
    NOBODY_THERE,
    OVERFLOW_KINDS,
    QUEUE_FULL,
    AbsentState,
    OverflowKind,
    OverflowRule,
)
from acd.directory.model.queues import (
    OWN_QUEUES,
    AnnounceWait,
    CallbackRules,
    FormField,
    LastAgent,
    LendsWhile,
    Queue,
    RefusalRule,
    Refusals,
    Relaxation,
    WrapupMode,
)
from acd.directory.model.trunks import (
    CALL_WORDS,
    Diversion,
    FromUser,
    Number,
    Redirects,
    Srtp,
    Trunk,
    TrunkHost,
)
from acd.directory.model.voicemail import Box, VoicemailRules
from acd.directory.model.webhooks import WEBHOOK_EVENTS, Webhook, WebhookEvent

__all__ = [
    "CALL_WORDS",
    "DIAL_CLASSES",
    "NOBODY_THERE",
    "OVERFLOW_KINDS",
    "OWN_QUEUES",
    "QUEUE_FULL",
    "STANDARD_CODES",
    "STANDARD_DEVICE",
    "WEBHOOK_EVENTS",
    "AbsentState",
    "Agent",
    "AnnounceWait",
    "AutoAnswer",
    "Box",
    "CallbackRules",
    "CallerList",
    "CodeAction",
    "Device",
    "DialClass",
    "Dialling",
    "Directory",
    "Display",
    "Diversion",
    "FeatureCode",
    "FormField",
    "FromUser",
    "Gives",
    "LastAgent",
    "LendsWhile",
    "Lookup",
    "Number",
    "OverflowKind",
    "OverflowRule",
    "PriorityClass",
    "Queue",
    "Redirects",
    "RefusalRule",
    "Refusals",
    "Relaxation",
    "Route",
    "Srtp",
    "Takes",
    "Team",
    "Trunk",
    "TrunkHost",
    "VoicemailRules",
    "Webhook",
    "WebhookEvent",
    "WrapupMode",
    "language_skill",
]


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything configured, by name. `revision` rises with each change applied."""

    revision: int = 0
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    skills: frozenset[str] = frozenset()
    queues: Mapping[str, Queue] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    agent_by_extension: Mapping[str, Agent] = field(default_factory=dict)
    codes: Mapping[str, FeatureCode] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    boxes: Mapping[str, Box] = field(default_factory=dict)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    priorities: Mapping[str, PriorityClass] = field(default_factory=dict)
    caller_lists: Mapping[str, CallerList] = field(default_factory=dict)
    """By name, in the order in which they count."""
    teams: Mapping[str, Team] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    dialling: Dialling = field(default_factory=Dialling)
