"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is slow, and no fault of what is tested.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
