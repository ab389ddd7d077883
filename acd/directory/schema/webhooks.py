"""Webhooks of the directory file."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Annotated

from pydantic import AfterValidator, Field

from acd.directory.model import WEBHOOK_EVENTS, Webhook, WebhookEvent
from acd.directory.schema.words import Entry, Name

_URL = re.compile(r"https://[A-Za-z0-9.\-\[\]:]{1,255}(/[!-~]{0,1500})?", re.ASCII)
_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64


def _url(value: str) -> str:
    if not _URL.fullmatch(value) or "#" in value:
        raise ValueError(
            f"{value!r} is not like 'https://crm.example/hooks/acd': https only, "
            "without user name and password"
        )
    return value


def _secret(value: str) -> str:
    """Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. The value itself is not said again."""
    try:
        size = len(base64.b64decode(value.removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not value.startswith(_PREFIX) or not _LEAST_BYTES <= size <= _MOST_BYTES:
        fresh = _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        raise ValueError(
            f"is not '{_PREFIX}' and {_LEAST_BYTES} to {_MOST_BYTES} bytes in base64; "
            f"here is a new one: {fresh}"
        )
    return value


class WebhookEntry(Entry):
    name: Name
    url: Annotated[str, AfterValidator(_url)]
    secret: Annotated[str, Field(repr=False), AfterValidator(_secret)]
    events: Annotated[list[WebhookEvent], Field(min_length=1)] = list(WEBHOOK_EVENTS)

    def build(self) -> Webhook:
        return Webhook(self.name, self.url, self.secret, tuple(dict.fromkeys(self.events)))
