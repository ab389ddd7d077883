"""The list of guards is true of the code: `make guards` can take out each one and run its tests."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.prometheus import ROOT
from tools.check_guards import Guard, guards

GUARDS = guards()


def defined(path: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.file}: {guard.first_line}"[:90])
def test_a_guard_stands_once_in_its_file_and_its_tests_exist(guard: Guard) -> None:
    source = (ROOT / guard.file).read_text()
    assert guard.taken_out(source) != source
    assert guard.tests
    for test in guard.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), path
        assert not name or name.partition("[")[0] in defined(path), test


def test_each_class_of_the_list_has_its_row_on_the_page_about_security() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    table = page.partition("## Classes of attack")[2]
    rows = set(re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)) - {"class", "---"}
    assert {guard.kind for guard in GUARDS} == rows
