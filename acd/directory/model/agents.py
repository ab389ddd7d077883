"""Agents, their phones, and what they dial to be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from acd.directory.model.dialling import DialClass
from acd.directory.model.trunks import Srtp
from acd.directory.model.voicemail import VoicemailRules
from routing.model import Lending

AutoAnswer = Literal["off", "answer-after", "alert-info", "answer-mode"]
Display = Literal["caller-queue", "queue-caller", "caller"]


@dataclass(frozen=True, slots=True)
class Device:
    """What a kind of phones understands, and how it is rung."""

    name: str
    user_agent: str = ""
    """Pattern of what these phones call themselves, with * and ?; empty: only for agents that name it."""
    auto_answer: AutoAnswer = "off"
    """How they are asked to take calls by themselves."""
    srtp: Srtp = "off"
    display: Display = "caller-queue"
    call_info: str = ""
    """The page that they may open with a call; {number}, {queue} and {call} are filled in."""


STANDARD_DEVICE = Device("")
Takes = Literal["most-urgent", "by-priority"]


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    extension: str
    name: str = ""
    ha1_md5: str = ""
    ha1_sha256: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    sign_in: Literal["on-register", "api"] = "on-register"
    team: str = ""
    leads: tuple[str, ...] = ()
    """Teams that the agent leads: calls may be sent to their leads."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Queues that the agent serves, with the priority (1 is asked first); without any, by skills alone."""
    takes: Takes = "most-urgent"
    """Which waiting call first: that of the order of calls, or of the queue that comes first in `queues`."""
    lent: Mapping[str, Lending] = field(default_factory=dict)
    """Those of them that the agent serves only while another is well."""
    order: int = 0
    weight: int = 1
    capacity: int = 1
    """Conversations at a time. Above 1 the phone must take a call while there is another (call waiting)."""
    device: str = ""
    """The profile of the agent's phones; empty: of each phone the one that fits its User-Agent."""
    voicemail: VoicemailRules | None = None
    """None: no messages are taken for the agent."""
    dialling: tuple[DialClass, ...] | None = None
    """What the agent may call outside; None: what the team may, and without that nothing."""
    caller_id: str = ""
    outside_calls: int | None = None


def language_skill(language: str) -> str:
    """The skill that tells agents apart by a language."""
    return f"lang-{language}"


CodeAction = Literal[
    "sign-in",
    "sign-out",
    "pause",
    "resume",
    "end-wrapup",
    "extend-wrapup",
    "wrapup-code",
    "refusal-reason",
    "echo",
    "voicemail",
]


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """What an agent's phone asks for by dialling. A digit after a pausing code picks one of `reasons`, and a
    number after one for wrap-up codes or for refusals one of the queue's codes or reasons."""

    code: str
    does: CodeAction
    reasons: tuple[str, ...] = ()


STANDARD_CODES = (
    FeatureCode("*11", "sign-in"),
    FeatureCode("*12", "sign-out"),
    FeatureCode("*13", "pause", ("break", "lunch", "meeting", "training")),
    FeatureCode("*14", "resume"),
    FeatureCode("*15", "end-wrapup"),
    FeatureCode("*16", "extend-wrapup"),
    FeatureCode("*17", "wrapup-code"),
    FeatureCode("*18", "refusal-reason"),
    FeatureCode("*43", "echo"),
    FeatureCode("*97", "voicemail"),
)
