"""What holds for every test."""

from __future__ import annotations

import gc

from hypothesis import settings

# A busy machine is slow, and no fault of what is tested.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# What is imported and collected stays to the end: there is nothing in it to look for.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
