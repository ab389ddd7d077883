"""Device profiles of the directory file."""

from __future__ import annotations

import re
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, Field

from acd.directory.model import Device, Display
from acd.directory.schema.words import AutoAnswerChoice, Entry, Name, SrtpChoice, Text

_PAGE = re.compile(r"https?://[!#-;=?-~]{1,500}", re.ASCII)
_WORDS = ("number", "queue", "call")


def _page(value: str) -> str:
    """A URL with words in braces."""
    if value and not _PAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not a page like 'https://crm.example/?number={{number}}'")
    try:
        parts = list(Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}; write a brace itself as '{{{{' or '}}}}'") from None
    for _, word, form, conversion in parts:
        if word is not None and (word not in _WORDS or form or conversion):
            known = ", ".join(f"{{{name}}}" for name in _WORDS)
            raise ValueError(f"'{{{word}}}' is not known here; there are {known}")
    return value


class DeviceEntry(Entry):
    name: Name
    user_agent: Text = ""
    auto_answer: AutoAnswerChoice = "off"
    srtp: SrtpChoice = "off"
    display: Display = "caller-queue"
    call_info: Annotated[str, Field(max_length=500), AfterValidator(_page)] = ""

    def build(self) -> Device:
        return Device(**self.model_dump())
