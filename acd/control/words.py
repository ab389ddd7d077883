"""How values look in the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, PlainSerializer

from acd.control.auth import Role

Time = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), return_type=str
    ),
    Field(description="RFC 3339, UTC.", examples=["2026-01-31T12:00:00.000Z"]),
]
Seconds = Annotated[float, Field(ge=0)]
Masked = Annotated[str, Field(description="A viewer sees the middle masked; a supervisor all of it.")]


def time_of(seconds: float) -> datetime:
    """From seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def caller_for(role: Role, number: str) -> str:
    """A caller's number as this role may see it: the first three and last two characters, or all."""
    if role >= Role.SUPERVISOR:
        return number
    if len(number) <= 5:
        return "*" * len(number)
    return number[:3] + "*" * (len(number) - 5) + number[-2:]
