"""Where a page of something begins that is sorted by time and id, as text for a URL."""

from __future__ import annotations

import base64

import msgspec


def make_cursor(at: float, key: str) -> str:
    data = msgspec.json.encode((at, key))
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def open_cursor(cursor: str) -> tuple[float, str]:
    """Raises ValueError for a cursor that is none of ours."""
    try:
        data = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(data, type=tuple[float, str])
    except (ValueError, msgspec.DecodeError) as error:
        raise ValueError("the cursor is none of ours") from error
