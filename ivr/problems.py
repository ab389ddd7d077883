"""What is wrong with a flow file, said so that it can be found and put right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Problem(NamedTuple):
    """One fault. `line` counts from 1 (0: the file as a whole); `node` is empty outside of a node."""

    file: Path
    line: int
    node: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{where}: node {self.node!r}: {self.message}" if self.node else f"{where}: {self.message}"


class FlowError(Exception):
    """Flow files that cannot be used, with everything that is wrong in them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
