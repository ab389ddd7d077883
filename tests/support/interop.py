"""The matrix of programs that nobody here wrote and what works with them, written by the run itself."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

_DEBIAN = {
    "SIPp": "sip-tester",
    "baresip": "baresip",
    "sipsak": "sipsak",
    "Chromium": "chromium",
    "linphone": "linphone-cli",
    "Kamailio": "kamailio",
    "Dnsmasq": "dnsmasq-base",
}
_PYTHON = {"pyVoIP": "pyVoIP", "SIPVicious": "sipvicious", "pjsua2": "pjsua2-python"}
_NPM = {"JsSIP": "jssip", "SIP.js": "sip.js"}
_HEAD = """# Interoperability

What `make interop` saw on its last run, with programs that nobody here wrote. A feature is listed where a
test of `tests/e2e` names it; it works where every such test passed.

| program | version | feature | result | tests |
|---|---|---|---|---|
"""


_PROPERTY = "interop"


def carry_marks(item: pytest.Item) -> None:
    """Its reports say what the test is about, also to the process that gathers them from others."""
    item.user_properties += [(_PROPERTY, mark.args) for mark in item.iter_markers(_PROPERTY)]


@dataclass(slots=True)
class Matrix:
    """Gathers results of tests that are marked `interop(program, feature, ...)`."""

    _seen: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """Of each feature the outcomes, by test."""

    def note(self, report: pytest.TestReport) -> None:
        """Take the result of one test, or of its set-up where that failed."""
        if report.when != "call" and report.passed:
            return
        for name, value in report.user_properties:
            if name == _PROPERTY:
                program, *features = value
                for feature in features:
                    self._seen.setdefault((program, feature), {})[report.nodeid] = report.outcome

    def write(self, page: Path) -> None:
        """Make the page anew."""
        rows = [
            f"| {program} | {version_of(program)} | {feature} "
            f"| {_verdict(found.values())} | {_tests(found)} |\n"
            for (program, feature), found in sorted(self._seen.items())
        ]
        page.write_text(_HEAD + "".join(rows))


def _tests(found: Iterable[str]) -> str:
    """The files and names of the tests, each once, whatever cases it has."""
    names = {name.rpartition("/")[2].partition("[")[0].replace(".py::", ": ") for name in found}
    return ", ".join(sorted(names))


def _verdict(outcomes: Collection[str]) -> str:
    if "failed" in outcomes:
        return "fails"
    return "works" if "passed" in outcomes else "not run"


def version_of(program: str) -> str:
    """As its package says, "" where it is not installed as one."""
    if program in _PYTHON:
        try:
            return version(_PYTHON[program])
        except PackageNotFoundError:
            return ""
    if program in _NPM:
        return _npm_version(_NPM[program])
    command = ("dpkg-query", "-W", "-f", "${Version}", _DEBIAN.get(program, program))
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _npm_version(name: str) -> str:
    package = Path(f".venv/browser/node_modules/{name}/package.json")
    return package.read_text().partition('"version": "')[2].partition('"')[0] if package.exists() else ""
