"""The page about security names tests that there are."""

from __future__ import annotations

import re

from tests.support.prometheus import ROOT


def test_every_test_on_the_page_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 15
    assert named <= set(re.findall(r"def (test_\w+)", sources))
    for path in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (ROOT / path).exists(), path
