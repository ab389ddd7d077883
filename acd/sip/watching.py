"""What a SUBSCRIBE asks for, and what its watcher is told (RFC 4235, 3842, 6665). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import quoteattr

from acd.directory.boxes import box_dialled, box_of_agent, may_listen
from acd.directory.model import Agent, Directory
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request

Package = Literal["dialog", "message-summary"]

PACKAGES: dict[str, Package] = {"dialog": "dialog", "message-summary": "message-summary"}
CONTENT_TYPES: dict[Package, str] = {
    "dialog": "application/dialog-info+xml",
    "message-summary": "application/simple-message-summary",
}
ALLOW_EVENTS = ("Allow-Events", ", ".join(PACKAGES))

_DEFAULT_SECONDS = 3600
_MAX_DIGITS = 10

LampState = Literal["trying", "early", "confirmed", "terminated"]


@dataclass(frozen=True, slots=True)
class PhoneState:
    """One call on an agent's phones; `is_caller` where the agent dialled."""

    agent: str
    state: LampState
    is_caller: bool


@dataclass(frozen=True, slots=True)
class MessageCount:
    """Voice messages of a box."""

    new: int = 0
    old: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription that may be made. `entity` is the watched address as the phone wrote it."""

    package: Package
    watched: str
    """An agent, or for messages a box."""
    seconds: int
    entity: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The final answer to a SUBSCRIBE that makes nothing."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExpiryBounds:
    """Seconds that a subscription lives at least and at most."""

    least: int
    most: int


def wanted_of(
    request: Request, watcher: Agent, directory: Directory, bounds: ExpiryBounds
) -> Wanted | Unwanted:
    """Decide on an authenticated SUBSCRIBE: any agent's lamp, one's own messages, those of a shared box."""
    package = PACKAGES.get((request.header("Event") or "").partition(";")[0].strip(" \t").lower())
    if package is None:
        return Unwanted(489, (ALLOW_EVENTS,))
    if not _accepts(request, CONTENT_TYPES[package]):
        return Unwanted(406)
    try:
        seconds = seconds_of(request, bounds)
        uri = request.uri
    except SipSyntaxError:
        return Unwanted(400)
    if isinstance(seconds, Unwanted):
        return seconds
    agent = directory.agent_by_extension.get(uri.user) or directory.agents.get(uri.user)
    box = box_of_agent(agent.id) if agent else box_dialled(directory, uri.user)
    watched = box if package == "message-summary" else agent.id if agent else None
    if watched is None:
        return Unwanted(404)
    is_own = agent is not None and agent.id == watcher.id
    if package == "message-summary" and not (is_own or may_listen(directory, watched, watcher)):
        return Unwanted(403)
    return Wanted(package, watched, seconds, f"{uri.scheme}:{uri.user}@{uri.host}")


def seconds_of(request: Request, bounds: ExpiryBounds) -> int | Unwanted:
    """How long a SUBSCRIBE is to live; 0 is its end (RFC 6665 section 3.1.1)."""
    text = (request.header("Expires") or "").strip(" \t")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    seconds = int(text) if is_number else _DEFAULT_SECONDS
    if 0 < seconds < bounds.least:
        return Unwanted(423, (("Min-Expires", str(bounds.least)),))
    return min(seconds, bounds.most)


def _accepts(request: Request, content_type: str) -> bool:
    accepted = {value.partition(";")[0].strip(" \t").lower() for value in request.values("Accept")}
    kind = content_type.partition("/")[0]
    return not accepted or bool(accepted & {content_type, f"{kind}/*", "*/*"})


def dialog_info(entity: str, version: int, phones: Iterable[tuple[str, PhoneState]]) -> bytes:
    """The full state of an agent's calls (RFC 4235 section 4), without the numbers of those who call."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"'
        f' version="{version}" state="full" entity={quoteattr(entity)}>',
    ]
    for call_id, phone in phones:
        direction = "initiator" if phone.is_caller else "recipient"
        lines.append(
            f"<dialog id={quoteattr(call_id)} direction={quoteattr(direction)}>"
            f"<state>{phone.state}</state></dialog>"
        )
    return "\n".join([*lines, "</dialog-info>", ""]).encode()


def message_summary(entity: str, count: MessageCount) -> bytes:
    """RFC 3842 section 5.2."""
    waiting = "yes" if count.new else "no"
    return (
        f"Messages-Waiting: {waiting}\r\nMessage-Account: {entity}\r\n"
        f"Voice-Message: {count.new}/{count.old} (0/0)\r\n"
    ).encode()
