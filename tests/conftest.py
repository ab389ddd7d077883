"""What holds for every test."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import settings

_HERE = Path(__file__).parent

# A busy machine is slow, and no fault of what is tested.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# What is imported and collected stays to the end: there is nothing in it to look for.
gc.disable()


_FIRST = ("e2e", "store")
"""Folders of what takes long: what comes last is short, so that none who works beside has to wait for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = {item.path: item.path.relative_to(_HERE).parts[0] for item in items}
    items.sort(key=lambda item: (*_FIRST, folders[item.path]).index(folders[item.path]))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests say they have `measured` (`record_property`), beside what is asked: it decides nothing."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [line for report in reports if report.when == "call" for line in report.user_properties]
    figures = [figure for name, figure in told if name == "measured"]
    if figures:
        terminalreporter.section("measured")
    for figure in figures:
        terminalreporter.write_line(str(figure))
