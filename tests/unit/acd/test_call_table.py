"""The page about the call shows the machine as it is, and walks through functions that there are."""

import ast
import re
from pathlib import Path

from tools.make_call_table import PAGE, page_with_table

_ROOT = PAGE.parent.parent
_ROW = re.compile(r"^\| .* \| `(\S+\.py)` \| (.+) \|$", re.MULTILINE)


def functions_in(file: Path) -> set[str]:
    """Of a module and its classes, as `f` and `C.f`."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        name = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {name + f.name for f in inner if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)}
    return found


def test_the_page_holds_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run: python tools/make_call_table.py"


def test_every_function_that_the_page_walks_through_is_in_its_file() -> None:
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) > 30
    for file, names in rows:
        missing = set(re.findall(r"`([\w.]+)`", names)) - functions_in(_ROOT / file)
        assert not missing, f"{file} has no {missing}"
