"""What the agents' phones saw: who was rung by whom, from when to when. It asks nobody but the phones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tests.support.caller import Message

_HEAD = re.compile(r"^-{20,} (\d{4}-\d\d-\d\d[ \t]+\d\d:\d\d:\d\d\.\d+).*$", re.M)
_USER = re.compile(r"sips?:([^@;>]+)")


@dataclass(slots=True)
class Ring:
    """One INVITE to a phone: from its arrival to its end (seconds), which is infinite while it goes on."""

    agent: str
    caller: str
    begins: float
    answered: bool = False
    ends: float = float("inf")


def rings_of(notes: str) -> list[Ring]:
    """Every ring in the notes of a SIPp process (`-trace_msg`), in order."""
    found: dict[str, Ring] = {}
    for at, message in _messages(notes):
        dialog = message.get("call-id")
        ring = found.get(dialog)
        if message.first.startswith("INVITE"):
            if ring is None:
                found[dialog] = Ring(_user(message.first), _user(message.get("from")), at)
        elif ring is None:
            continue
        elif message.method == "INVITE" and message.status >= 300:
            ring.ends = min(ring.ends, at)
        elif message.method == "INVITE" and message.status >= 200:
            ring.answered = True
        elif message.method in ("BYE", "CANCEL") and not message.status:
            ring.ends = min(ring.ends, at)
    return sorted(found.values(), key=lambda ring: ring.begins)


def assert_nobody_twice(rings: list[Ring]) -> None:
    """No phone had two calls at one time, and no call rang two phones."""
    _apart(rings, lambda ring: ring.agent, "phone")
    _apart(rings, lambda ring: ring.caller, "caller")


def _apart(rings: list[Ring], whose: Callable[[Ring], str], what: str) -> None:
    for name in {whose(ring) for ring in rings}:
        own = [ring for ring in rings if whose(ring) == name]
        for before, after in pairwise(own):
            assert before.ends <= after.begins, f"{what} {name} twice at once: {before} {after}"


def _messages(notes: str) -> Iterator[tuple[float, Message]]:
    heads = list(_HEAD.finditer(notes))
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(notes)
        _, _, text = notes[head.end() : end].lstrip("\r\n").partition("\n")
        text = text.replace("\r\n", "\n").strip("\n")
        if text:
            at = datetime.strptime(" ".join(head[1].split()), "%Y-%m-%d %H:%M:%S.%f").timestamp()
            yield at, Message.parse(text.replace("\n", "\r\n").encode())


def _user(text: str) -> str:
    found = _USER.search(text)
    return found[1] if found else ""
