"""Structured logs on standard error, safe to keep: numbers masked, digits and secrets left out.

Bind what a line is about with structlog.contextvars (call_id, leg, queue, agent, node); it is merged into
every line, those of the standard library's loggers too.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

from acd.config import LogSection

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_NUMBER_KEYS = frozenset({"caller", "called", "number", "caller_name"})
_SECRET_KEYS = frozenset(
    {
        *("digit", "digits", "dtmf"),
        *("password", "secret", "token", "authorization", "credentials", "ha1", "ha1_md5", "ha1_sha256"),
    }
)
_HIDDEN = "[hidden]"
_DEEPEST = 4
_PHONE = re.compile(r"(?:\+|(?<=sip:)|(?<=sips:)|(?<=tel:))\d{6,}")
_DIGITS = re.compile(r"\d(?:[\d .()/-]*\d)?")

EventDict = MutableMapping[str, Any]
Processor = Callable[[Any, str, EventDict], EventDict]


def configure(section: LogSection, node: str = "", stream: TextIO | None = None) -> None:
    """Set up all logging of this process. `stream` is standard error unless a test says otherwise."""
    target = sys.stderr if stream is None else stream
    out: Any = _Stream(target)
    console = section.format == "console" or (section.format == "auto" and target.isatty())
    shared = _shared(section, node)
    rendering = _rendering(console, colors=target.isatty())
    level = _LEVELS[section.level]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Their information is about each statement and each request.
    for noisy in ("alembic", "aiohttp.access", "sqlalchemy", "aiosqlite"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def security_log(event: str, *, source: str, transport: str, method: str) -> None:
    """One line of a fixed form for tools that ban, about the peer of the socket and nothing that it said.

    The form is `acd-security event=... method=... source=... transport=...`, in this order.
    """
    words = (("event", event), ("method", method), ("source", source), ("transport", transport))
    line = " ".join(f"{key}={_word(value)}" for key, value in words)
    structlog.get_logger("acd.security").warning(f"acd-security {line}")


def mask(number: str) -> str:
    """A number of which the first three and the last two digits can be read."""
    count = sum(character.isdigit() for character in number)
    seen = 0
    masked = ""
    for character in number:
        seen += character.isdigit()
        hide = character.isdigit() and 3 < seen <= count - 2
        masked += "*" if hide else character
    return masked


def escape(text: str) -> str:
    """Text that stays on its line: what a terminal or a log reader would act on is spelled out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Stream:
    """Standard error, but a reader that went away must not end a call: what it does not take is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _shared(section: LogSection, node: str) -> list[Any]:
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _Cleaner(masking=section.mask_numbers),
    ]
    if node:
        processors.insert(0, _bind_node(node))
    return processors


def _rendering(console: bool, *, colors: bool) -> list[Any]:
    if console:
        return [_set_off_exception, structlog.dev.ConsoleRenderer(colors=colors)]
    return [structlog.processors.JSONRenderer(serializer=_json)]


def _bind_node(node: str) -> Processor:
    def bind_node(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    return bind_node


class _Cleaner:
    """Takes out of every value, however deep, what a log must not hold."""

    def __init__(self, *, masking: bool) -> None:
        self._masking = masking

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            event[key] = self._clean(key, value)
        return event

    def _clean(self, key: str, value: Any, depth: int = 0) -> Any:
        if isinstance(value, int | float | None):
            return _HIDDEN if key in _SECRET_KEYS else value
        if key in _SECRET_KEYS or depth > _DEEPEST:
            return _HIDDEN
        if isinstance(value, Mapping):
            return {escape(str(k)): self._clean(str(k), item, depth + 1) for k, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(key, item, depth + 1) for item in value]
        text = value if isinstance(value, str) else str(value)
        if self._masking:
            text = _masked(key, text)
        if key == "exception":
            return "\n".join(map(escape, text.split("\n")))
        return escape(text)


def _masked(key: str, text: str) -> str:
    if key in _NUMBER_KEYS:
        return _DIGITS.sub(lambda found: mask(found[0]), text)
    # Most values hold neither, and these two look-ups are cheaper than the expression.
    if "+" in text or ":" in text:
        return _PHONE.sub(lambda found: mask(found[0]), text)
    return text


def _set_off_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    # An exception's message may have lines of its own; none may pass for a line of the log.
    if "exception" in event:
        event["exception"] = "\n".join(f"  | {line}" for line in event["exception"].split("\n"))
    return event


def _json(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event).decode()


def _word(value: str) -> str:
    """One word, whatever it was made of."""
    return re.sub(r"[^A-Za-z0-9_.:\[\]-]", "_", value)[:64] or "-"
