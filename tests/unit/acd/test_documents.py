"""What the pages refer to is there: other pages, their headings, and files of the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"))
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MENTIONED_PAGE = re.compile(r"(?<![\w/(])docs/[\w/-]+\.md(?:#[\w-]+)?")
_MENTIONED_FILE = re.compile(r"`((?:acd|routing|ivr|tools|tests|deploy|docs)/[\w./-]*)`")


def _outside_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors that a reader on GitHub has for the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", _outside_code(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def _leads_nowhere(target: Path, anchor: str) -> bool:
    return not target.exists() or bool(anchor and anchor not in _anchors(target))


def _broken(page: Path) -> list[str]:
    text = _outside_code(page.read_text(encoding="utf-8"))
    referred = [
        (link, page.parent / link.partition("#")[0] if link[0] != "#" else page)
        for link in _LINK.findall(text)
        if not re.match(r"[a-z]+:", link)
    ]
    referred += [(word, ROOT / word.partition("#")[0]) for word in _MENTIONED_PAGE.findall(text)]
    broken = [name for name, target in referred if _leads_nowhere(target, name.partition("#")[2])]
    return broken + [name for name in _MENTIONED_FILE.findall(text) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_file_that_a_page_names_is_there(page: str) -> None:
    assert _broken(ROOT / page) == []


def test_what_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[here](#a-page) [no heading](#gone) [no page](gone.md)\n"
        "See docs/gone.md and `acd/gone.py`.\n```\n[in code](gone.md)\n```\n"
    )
    assert _broken(page) == ["#gone", "gone.md", "docs/gone.md", "acd/gone.py"]


def test_the_pages_of_the_project_are_found() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/call.md"} <= set(PAGES)
