"""What a caller hears, as data: a flow is a set of named nodes, each a frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Play:
    """Play prompts one after the other, then go on. `barge_in` lets a digit end them."""

    prompts: tuple[str, ...]
    next: str
    barge_in: bool = False


@dataclass(frozen=True, slots=True)
class Menu:
    """Play prompts and wait for one digit. No or wrong input repeats it `retries` times, then `otherwise`."""

    prompts: tuple[str, ...]
    choices: Mapping[str, str]
    """Digit to node."""
    otherwise: str
    timeout_seconds: float = 5.0
    retries: int = 2
    on_timeout: tuple[str, ...] = ()
    """Prompts said before the repeat after no input."""
    on_invalid: tuple[str, ...] = ("invalid-choice",)


@dataclass(frozen=True, slots=True)
class Set:
    """Note what is now known about the call. None leaves a value as it is."""

    next: str
    language: str | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int | None = None
    agent: str | None = None
    """Who should take the call before anybody else, by the agent's id; empty: nobody in particular."""
    languages: tuple[str, ...] | None = None
    """Those that the caller speaks, the best first, which is also the `language`."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Wait for an agent; the flow ends here."""

    queue: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Go on elsewhere: `number:+372...` (a number of the directory) or `extension:1001` (an agent).

    `otherwise` is the node to go on with where that is not possible."""

    to: str
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """Note that the caller is to be called back, who then hangs up without losing the place.

    The caller confirms the number or enters another. `queue` is empty for the one that the caller waits in.
    `otherwise` is the node to go on with where no callback is noted; None goes on waiting,
    or ends the call."""

    queue: str = ""
    otherwise: str | None = None
    timeout_seconds: float = 5.0
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Voicemail:
    """Take a message for a box: `agent:`, `extension:`, `queue:` or `box:` and its name.

    It begins after the greeting (none: that of the box) and a tone, and ends with #, silence, its longest
    time or the call. After it `next`, or the end of the call; where none was left `otherwise`, or the end."""

    box: str
    greeting: tuple[str, ...] = ()
    next: str | None = None
    otherwise: str | None = None
    max_seconds: float | None = None
    """None: as long as the box says."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call after these prompts."""

    prompts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Echo:
    """Send the caller's audio back until they hang up, at most `seconds`."""

    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Music:
    """Hold music until the caller hangs up, at most `seconds`."""

    seconds: float = 300.0


Node = Play | Menu | Set | Queue | Transfer | Callback | Voicemail | HangUp | Echo | Music


@dataclass(frozen=True, slots=True)
class FlowDefinition:
    """A checked flow: every node named is there, is reachable, and has a way out."""

    name: str
    start: str
    nodes: Mapping[str, Node]
    file: str = field(default="", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Where each node is written, for messages about it."""
