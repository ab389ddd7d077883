"""A small directory that has one of everything, as its file and built."""

from __future__ import annotations

from acd.directory.loader import parse_directory
from acd.directory.model import Directory

FLOWS = ("main", "echo")

FILE = """\
trunks:
  - {name: carrier, match: ["192.0.2.0/24", "2001:db8::7"], max_calls: 50}
numbers:
  - {number: "+3726000100", flow: echo}
  - {number: "+3726000200", queue: billing, priority: 5, language: et, skills: {lang-et: 2}}
skills: [billing, lang-et]
queues:
  - {name: billing, requires: {billing: 1}, ring_seconds: 12, wrapup_seconds: 5}
agents:
  - {id: anna, extension: "1001", password: "secret-1", name: Anna, skills: {billing: 5}}
  - {id: bert, extension: "1002", password: "secret-2", skills: {lang-et: 1}}
"""


def directory(text: str = FILE, realm: str = "acd") -> Directory:
    """What a file describes."""
    return parse_directory(text, "site.yaml", FLOWS).build(realm)


def changed(*edits: tuple[str, str]) -> str:
    """The file with texts of it replaced; each must be there."""
    text = FILE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text
