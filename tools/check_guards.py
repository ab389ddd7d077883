"""Takes out each guard of tests/guards.toml in a copy of this tree, and sees that its tests fail without it.

Usage: python -m tools.check_guards [WORD ...]: only the guards whose class or file has one of the words.
Exit status 1 where a guard is missed by nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_LIST = _ROOT / "tests" / "guards.toml"
_COPIED = ("acd", "routing", "ivr", "tests", "tools", "deploy", "docs", "pyproject.toml")
_SECONDS = 120.0
_TESTS_FAILED = 1
"""Exit status of pytest; others say that nothing was tested."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard: `without` is its code, `replaced` what stands there once it is out."""

    kind: str
    file: str
    without: str
    replaced: str
    tests: tuple[str, ...]

    @property
    def first_line(self) -> str:
        return self.without.strip().splitlines()[0]

    def taken_out(self, source: str) -> str:
        """The file without the guard. Raises ValueError where the code is not there exactly once."""
        if source.count(self.without) != 1:
            raise ValueError(f"{self.file} has not exactly one {self.without!r}")
        return source.replace(self.without, self.replaced)


def guards() -> tuple[Guard, ...]:
    """All guards of the list."""
    entries = tomllib.loads(_LIST.read_text())["guard"]
    return tuple(
        Guard(entry["class"], entry["file"], entry["without"], entry["with"], tuple(entry["tests"]))
        for entry in entries
    )


def is_missed(guard: Guard, folder: Path) -> bool:
    """Whether a test fails in the copy while the guard is out. The copy is whole again afterwards."""
    path = folder / guard.file
    whole = path.read_text()
    path.write_text(guard.taken_out(whole))
    try:
        return _fails(guard.tests, folder)
    finally:
        path.write_text(whole)


def _fails(tests: Sequence[str], folder: Path) -> bool:
    """Whether a test failed. A test that runs into the time limit without its guard has failed, too."""
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, _TESTS_FAILED):
        raise RuntimeError(f"{' '.join(tests)}: {done.stdout[-800:]}{done.stderr[-800:]}")
    return done.returncode == _TESTS_FAILED


def _copy(folder: Path) -> None:
    for name in _COPIED:
        source = _ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)


def main(words: Sequence[str]) -> int:
    chosen = [
        guard
        for guard in guards()
        if not words or any(word in guard.kind or word in guard.file for word in words)
    ]
    unmissed = 0
    with tempfile.TemporaryDirectory(prefix="guards-") as name:
        folder = Path(name)
        _copy(folder)
        for guard in chosen:
            missed = is_missed(guard, folder)
            unmissed += not missed
            verdict = "missed" if missed else "NOT MISSED"
            print(f"{verdict:10}  {guard.kind}: {guard.file}: {guard.first_line}", flush=True)
    print(f"{len(chosen) - unmissed} of {len(chosen)} guards are missed by their tests")
    return 1 if unmissed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
