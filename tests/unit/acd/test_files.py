"""Files that run short are told of once, and that they are enough again."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from acd.files import FileWatch


def limit(monkeypatch: pytest.MonkeyPatch, soft: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))


def test_files_that_run_short_are_told_of_once_until_they_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = FileWatch(tmp_path)
    for n in range(9):
        (tmp_path / str(n)).touch()
    told = []
    for soft in (100, 10, 10, 11, 100, 100, 9):
        limit(monkeypatch, soft)
        with capture_logs() as lines:
            watch.look()
        told.append([line["event"] for line in lines])
    low, enough = ["file-descriptors-low"], ["file-descriptors-enough"]
    assert told == [[], low, [], [], enough, [], low]


def test_where_none_is_left_to_look_with_that_is_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "listdir", fail)
    with capture_logs() as lines:
        FileWatch(tmp_path).look()
    assert [line["event"] for line in lines] == ["file-descriptors-low"]


def test_a_system_that_does_not_show_them_is_let_be(tmp_path: Path) -> None:
    with capture_logs() as lines:
        FileWatch(tmp_path / "nowhere").look()
    assert lines == []
