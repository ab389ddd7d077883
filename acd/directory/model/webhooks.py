"""Web servers that are told what happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

WebhookEvent = Literal["call.queued", "call.answered", "call.ended"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A web server that is told what happens."""

    name: str
    url: str
    secret: str = field(default="", repr=False)
    """What its messages are signed with, as Standard Webhooks write it."""
    events: tuple[WebhookEvent, ...] = WEBHOOK_EVENTS
