"""How values look in the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from acd.control.tokens import Role
from acd.log import mask

Time = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), return_type=str
    ),
    Field(description="RFC 3339, UTC.", examples=["2026-01-31T12:00:00.000Z"]),
]
Seconds = Annotated[float, Field(ge=0)]
Masked = Annotated[str, Field(description="A viewer sees the middle masked; others all of it.")]


class PageQuery(BaseModel):
    """What every list that comes in pages is asked with."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(
        default=None,
        max_length=256,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="`next_cursor` of the page before.",
    )
    limit: int = Field(default=50, ge=1, le=500)


def time_of(seconds: float) -> datetime:
    """From seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def caller_for(role: Role | None, number: str) -> str:
    """A caller's number as this role may see it: masked as in the logs, or all of it.

    Agents are shown their own calls only, whose numbers their phones show them too.
    """
    return number if role is not None and role is not Role.VIEWER else mask(number)
