"""What the answer of a look-up gives to a caller. Others wrote it: what it may not say is left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from acd.calls.model import Found
from acd.directory.model import Directory, Gives
from acd.directory.schema.callers import DECLINE
from routing.limits import PREFERENCES_MAX

LARGEST_BODY = 16_384
_MOST_ATTRIBUTES = 20
_LONGEST_VALUE = 256
_VIP = "vip"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", re.ASCII)


class NotUnderstood(Exception):
    """The body is no answer."""


class _Answer(msgspec.Struct):
    priority: int | str | None = None
    vip: bool = False
    skills: dict[str, int] = {}
    language: str | None = None
    languages: list[str] = []
    preferred_agent: str | None = None
    queue: str | None = None
    reject: bool | int = False
    attributes: dict[str, str | int | float | bool | None] = {}


def read_answer(body: bytes, name: str, directory: Directory) -> tuple[Found, tuple[str, ...]]:
    """What list `name` gives, and the keys of what was left out. Raises NotUnderstood."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstood(str(error)[:200]) from error
    left_out: list[str] = []

    def keep(key: str, value: str | None, good: bool) -> str:
        if value and not good:
            left_out.append(key)
        return value if value and good else ""

    agent, queue, language = answer.preferred_agent, answer.queue, answer.language
    skills = {
        skill: level
        for skill, level in answer.skills.items()
        if skill in directory.skills and 1 <= level <= 10
    }
    if len(skills) < len(answer.skills):
        left_out.append("skills")
    priority = _priority(answer, directory)
    if priority is None and answer.priority is not None:
        left_out.append("priority")
    languages = [each for each in answer.languages if _LANGUAGE.fullmatch(each)][:PREFERENCES_MAX]
    if len(languages) < len(answer.languages):
        left_out.append("languages")
    gives = Gives(
        priority=priority,
        skills=MappingProxyType(skills),
        language=keep("language", language, bool(language and _LANGUAGE.fullmatch(language)))
        or next(iter(languages), ""),
        languages=tuple(languages),
        preferred_agent=keep("preferred_agent", agent, agent in directory.agents),
        queue=keep("queue", queue, queue in directory.queues),
        reject=_status(answer.reject),
    )
    attributes = _attributes(answer.attributes)
    if len(attributes) < len(answer.attributes):
        left_out.append("attributes")
    return Found(name, gives, attributes), tuple(left_out)


def _priority(answer: _Answer, directory: Directory) -> int | None:
    wanted = _VIP if answer.vip and answer.priority is None else answer.priority
    if isinstance(wanted, str):
        known = directory.priorities.get(wanted)
        return known.priority if known else None
    return wanted if wanted is not None and 0 <= wanted <= 99 else None


def _status(reject: bool | int) -> int:
    if reject is True:
        return DECLINE
    return reject if 400 <= reject <= 699 else DECLINE if reject else 0


def _attributes(given: Mapping[str, str | int | float | bool | None]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in given.items():
        text = msgspec.json.encode(value).decode() if isinstance(value, bool | int | float) else value or ""
        if len(kept) < _MOST_ATTRIBUTES and _NAME.fullmatch(name) and text and text.isprintable():
            kept[name] = text[:_LONGEST_VALUE]
    return kept
