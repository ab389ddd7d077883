"""The running service for the end-to-end tests, and its log beside every failure.

A module may name its own DIRECTORY (as the YAML file, before it is YAML), SETTINGS (sections of acd.toml) and
SERVICE (the class of the running service).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.support.interop import Matrix, carry_marks
from tests.support.service import RunningService, standard_directory

_PROGRAMS = ("sipp", "baresip")
_PAGE = "ACD_INTEROP_PAGE"
"""Where the environment names a page, the run writes what worked with which program."""
_MATRIX = Matrix()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _MATRIX.note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    one_of_several = hasattr(session.config, "workerinput")
    if (page := os.environ.get(_PAGE)) and not one_of_several:
        _MATRIX.write(Path(page))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            carry_marks(item)


@pytest.fixture(scope="module")
def running_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """`acd serve` as a process, one a test module. It must stop in order, in time, with status 0."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    service = getattr(request.module, "SERVICE", RunningService)(
        tmp_path_factory.mktemp("acd"),
        getattr(request.module, "DIRECTORY", None) or standard_directory(),
        getattr(request.module, "SETTINGS", {}),
    )
    with service.running_to_the_end():
        yield service


@pytest.fixture
async def service(running_service: RunningService) -> AsyncIterator[RunningService]:
    """The running service, with no call and nobody signed in before and after the test."""
    names = list(await running_service.agents())
    await running_service.quiet(names)
    yield running_service
    if running_service.running:
        await running_service.quiet(names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        given = getattr(item, "funcargs", {})
        for service in (given.get("running_service"), *given.get("running_nodes", ())):
            if isinstance(service, RunningService):
                report.sections.append((f"service log {service.log_file.parent.name}", service.log_tail()))
    return report
