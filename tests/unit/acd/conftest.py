"""Fixtures of the tests of the service: its database and its HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient

from tests.support.control import Centre, serving
from tests.support.database import engine

__all__ = ["engine"]


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
async def client(centre: Centre) -> AsyncIterator[TestClient]:
    """Over the HTTP interface of `centre`."""
    async with serving(centre) as client:
        yield client
