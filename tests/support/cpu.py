"""CPU that a process and all of its children have used, and a core of their own for measuring."""

from __future__ import annotations

import contextlib
import os

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and everything that it started."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def cpu_seconds(pid: int) -> dict[str, float]:
    """User and system time by program, and in sum as `all`."""
    used: dict[str, float] = {}
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            words = " ".join(process.cmdline())
            name = "media" if "worker" in words else "redis" if "redis" in words else "service"
            used[name] = used.get(name, 0.0) + times.user + times.system
    used["all"] = sum(used.values())
    return used


def resident_bytes(pid: int) -> int:
    """Memory of the whole family; pages that they share count once for each."""
    return sum(process.memory_info().rss for process in family(pid))


def pin(pid: int, core: int) -> None:
    """Keep the family on one core, where there are several."""
    if (os.cpu_count() or 1) < 2:
        return
    for process in family(pid):
        for thread in process.threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, {core})
