"""The command line: what it prints, what it asks, and how it says what is wrong."""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from acd import __version__
from acd.cli import main
from acd.clock import SystemClock
from acd.config import load_settings
from acd.control.tokens import Bearer, Role, TokenStore
from acd.database import open_engine
from acd.directory.model import Directory
from acd.directory.store import DirectoryStore
from tests.support.database import fill
from tests.support.directories import FILE, changed


@dataclass
class Answer:
    code: int
    out: str
    err: str


Run = Callable[..., Answer]


class Keyboard(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with a directory file."""
    monkeypatch.chdir(tmp_path)
    for name in ("ACD_CONFIG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "site.yaml").write_text(FILE)
    fill(tmp_path / "var" / "acd.sqlite3")
    return tmp_path


@pytest.fixture
def acd(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str, typed: str | None = None) -> Answer:
        monkeypatch.setattr(sys, "argv", ["acd", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Keyboard(typed))
        code: object = 0
        try:
            main()
        except SystemExit as done:
            code = done.code
        captured = capsys.readouterr()
        return Answer(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


def in_force() -> Directory:
    async def load() -> Directory:
        engine = open_engine(load_settings())
        try:
            return await DirectoryStore(engine, SystemClock()).load()
        finally:
            await engine.dispose()

    return asyncio.run(load())


def bearer_of(token: str) -> Bearer | None:
    async def verify() -> Bearer | None:
        engine = open_engine(load_settings())
        try:
            return await TokenStore(engine, SystemClock()).verify(token)
        finally:
            await engine.dispose()

    return asyncio.run(verify())


# apply


def test_apply_works_before_the_first_start_and_shows_every_entry(acd: Run, site: Path) -> None:
    shutil.rmtree(site / "var")
    answer = acd("apply", "site.yaml")
    assert answer.code == 0
    assert {"+ trunk carrier", "+ queue billing", "+ agent anna", "+ number +3726000200"} <= set(
        answer.out.splitlines()
    )
    assert answer.out.splitlines()[-1].endswith("changes; the directory is at revision 1")
    assert "secret-1" not in answer.out
    assert set(in_force().agents) == {"anna", "bert"}


def test_apply_shows_the_difference_only(acd: Run, site: Path) -> None:
    acd("apply", "site.yaml")
    (site / "site.yaml").write_text(changed(("ring_seconds: 12", "ring_seconds: 30")))
    assert acd("apply", "site.yaml").out.splitlines() == [
        "~ queue billing  (ring_seconds: 12 -> 30)",
        "1 change; the directory is at revision 2",
    ]
    assert acd("apply", "site.yaml").out == "0 changes; the directory is at revision 2\n"


def test_apply_of_a_file_with_errors_names_all_of_them_and_changes_nothing(acd: Run, site: Path) -> None:
    acd("apply", "site.yaml")
    (site / "site.yaml").write_text(changed(("max_calls: 50", "max_calls: x")))
    answer = acd("apply", "site.yaml", "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert "acd: site.yaml:2: trunks[0].max_calls: must be a whole number" in answer.err
    (site / "site.yaml").write_text(changed(("queue: billing", "queue: bilin"), ("name: Anna", "name: Ann")))
    assert "acd: site.yaml:5: numbers[1].queue: there is no queue 'bilin'" in acd("apply", "site.yaml").err
    assert (in_force().revision, in_force().agents["anna"].name) == (1, "Anna")


def test_apply_refuses_a_flow_that_leads_to_a_queue_that_is_not_there(acd: Run, site: Path) -> None:
    (site / "var" / "flows").mkdir(parents=True)
    (site / "var" / "flows" / "desk.yaml").write_text(
        "name: desk\nstart: wait\nnodes:\n  wait: {queue: biling}\n"
    )
    acd("apply", "site.yaml")
    (site / "site.yaml").write_text(changed(("flow: echo", "flow: desk")))
    answer = acd("apply", "site.yaml")
    assert answer.code == 2
    assert answer.err == (
        "acd: var/flows/desk.yaml:4: node 'wait': there is no queue 'biling'; did you mean 'billing'?\n"
    )
    assert in_force().revision == 1


def test_apply_warns_of_a_queue_that_nobody_can_serve(acd: Run, site: Path) -> None:
    (site / "site.yaml").write_text(changed(("requires: {billing: 1}", "requires: {billing: 9}")))
    answer = acd("apply", "site.yaml")
    assert (answer.code, "warning: queue billing: no agent has all the skills" in answer.out) == (0, True)


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, {"anna"}), ("n\n", 1, {"anna", "bert"})])
def test_apply_asks_at_a_terminal_before_it_removes(
    acd: Run, site: Path, typed: str, code: int, left: set[str]
) -> None:
    acd("apply", "site.yaml")
    (site / "site.yaml").write_text("\n".join(FILE.splitlines()[:-1]))
    answer = acd("apply", "site.yaml", typed=typed)
    assert answer.code == code
    assert "- agent bert" in answer.out
    assert "Remove 1 entries?" in answer.out
    assert set(in_force().agents) == left


def test_a_dry_run_checks_and_shows_and_changes_nothing(acd: Run, site: Path) -> None:
    first = acd("apply", "site.yaml", "--dry-run")
    assert first.code == 0
    assert "+ agent anna" in first.out
    assert "not made; the directory is at revision 0" in first.out
    assert acd("apply", "site.yaml").out == first.out.replace(" not made", "").replace(
        "revision 0", "revision 1"
    )
    (site / "site.yaml").write_text(FILE.replace("+3726000100", "+372 what"))
    assert acd("apply", "site.yaml", "--dry-run").code == 2


def test_the_version_is_that_of_the_package(acd: Run) -> None:
    assert acd("--version").out == f"acd {__version__}\n"


def test_apply_in_a_script_removes_only_with_yes(acd: Run, site: Path) -> None:
    acd("apply", "site.yaml")
    (site / "site.yaml").write_text("skills: [billing]")
    refused = acd("apply", "site.yaml")
    assert (refused.code, "say --yes" in refused.err) == (1, True)
    assert set(in_force().agents) == {"anna", "bert"}
    assert acd("apply", "site.yaml", "--yes").code == 0
    assert not in_force().agents


# tokens


def test_the_token_is_the_last_word_and_opens_what_its_role_is_for(acd: Run) -> None:
    answer = acd("token", "create", "--role", "supervisor", "--name", "ops")
    assert answer.code == 0
    assert bearer_of(answer.out.split()[-1]) == Bearer(Role.SUPERVISOR)


def test_an_agents_token_is_for_somebody_of_the_directory(acd: Run) -> None:
    words = ("token", "create", "--role", "agent", "--name", "desk", "--agent")
    answer = acd(*words, "anna")
    assert (answer.code, "--agent: there is no agent 'anna' in the directory" in answer.err) == (2, True)
    acd("apply", "site.yaml")
    answer = acd(*words, "anna")
    assert answer.out.startswith("token desk (agent anna): acd_")
    assert bearer_of(answer.out.split()[-1]) == Bearer(Role.AGENT, "anna")
    answer = acd("token", "create", "--role", "agent", "--name", "other")
    assert (answer.code, "name the agent" in answer.err) == (2, True)


def test_tokens_are_listed_and_revoked_by_name(acd: Run) -> None:
    token = acd("token", "create", "--role", "viewer", "--name", "ops").out.split()[-1]
    assert acd("token", "revoke", "--name", "ops").out == "token ops is revoked\n"
    assert bearer_of(token) is None
    listed = acd("token", "list").out
    assert "ops" in listed
    assert token not in listed
    again = acd("token", "revoke", "--name", "ops")
    assert (again.code, "no token named 'ops' in force" in again.err) == (2, True)


def test_a_role_that_there_is_not_is_a_wrong_command_line(acd: Run) -> None:
    answer = acd("token", "create", "--role", "king", "--name", "ops")
    assert (answer.code, answer.out) == (2, "")


# Where the configuration comes from.


def test_the_option_wins_over_the_environment_and_that_over_the_folder(
    acd: Run, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acd", "environment", "option"):
        (site / f"{name}.toml").write_text(f'[node]\ndata_dir = "data-{name}"\n')
    for words, environment, used in (
        ((), None, "data-acd"),
        ((), "environment.toml", "data-environment"),
        (("--config", "option.toml"), "environment.toml", "data-option"),
    ):
        if environment:
            monkeypatch.setenv("ACD_CONFIG", environment)
        assert acd("token", "list", *words).code == 0
        assert (site / used / "acd.sqlite3").is_file()


def test_without_any_configuration_the_defaults_work(acd: Run, site: Path) -> None:
    assert acd("apply", "site.yaml").code == 0
    assert (site / "var" / "acd.sqlite3").stat().st_mode & 0o777 == 0o600


def test_a_key_may_come_from_the_environment(acd: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACD_NODE__DATA_DIR", "elsewhere")
    acd("token", "list")
    assert (site / "elsewhere" / "acd.sqlite3").is_file()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sip", "acd: acd.toml: not valid TOML"),
        (
            "[sip]\nlisten = ['sctp:1.2.3.4:5060']",
            "acd: acd.toml: sip.listen: 'sctp:1.2.3.4:5060' is not like",
        ),
        ("[sip]\nport = 5060", "acd: acd.toml: sip.port: no such key; check its spelling and section"),
        ("[media]\nports = '30000-20000'", "media.ports: '30000-20000' is not a range like"),
        (
            "[security]\nfailures_per_second = 0",
            "security.failures_per_second: Input should be greater than 0",
        ),
        (
            "[database]\nurl = 'mysql://x/y'",
            "acd: database.url: mysql is not served; use sqlite or postgresql",
        ),
        ("[ivr]\nflows_dir = 'nowhere'", "acd: ivr.flows_dir: nowhere is not a folder"),
    ],
)
def test_a_wrong_key_is_one_line_that_names_it(acd: Run, site: Path, text: str, told: str) -> None:
    (site / "acd.toml").write_text(text)
    answer = acd("apply", "site.yaml")
    assert answer.code == 2
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_wrong_key_of_the_environment_is_named_as_such(acd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACD_SIP__MIN_EXPIRES_SECONDS", "soon")
    answer = acd("token", "list")
    assert answer.code == 2
    assert answer.err.startswith("acd: environment: sip.min_expires_seconds: ")


def test_a_configuration_that_is_not_there_is_said(acd: Run) -> None:
    answer = acd("serve", "--config", "gone.toml")
    assert (answer.code, "gone.toml: no such configuration file" in answer.err) == (2, True)


def test_a_data_folder_that_cannot_be_made_is_said(acd: Run, site: Path) -> None:
    shutil.rmtree(site / "var")
    (site / "var").write_text("a file")
    answer = acd("token", "list")
    assert (answer.code, "node.data_dir: cannot keep the database in var" in answer.err) == (2, True)


def test_a_broken_database_file_is_said(acd: Run, site: Path) -> None:
    (site / "var" / "acd.sqlite3").write_bytes(b"no database" * 1000)
    answer = acd("token", "list")
    assert (answer.code, "cannot be used: file is not a database" in answer.err) == (2, True)


def test_every_command_is_in_the_help(acd: Run) -> None:
    out = acd("--help").out
    assert all(command in out for command in ("serve", "apply", "doctor", "demo", "token"))


# doctor


@pytest.mark.parametrize("broken", [False, True])
def test_doctor_tells_what_it_found_and_fails_where_something_is_wrong(
    acd: Run, site: Path, broken: bool
) -> None:
    ports = "[sip]\nlisten = ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0']\n[http]\nlisten = '127.0.0.1:0'\n"
    (site / "acd.toml").write_text(ports + ("[redis]\nurl = 'redis://127.0.0.1:1/0'\n" if broken else ""))
    answer = acd("doctor")
    assert answer.code == (1 if broken else 0)
    found = {
        words[1]: words for line in answer.out.splitlines() if (words := line.split("│")) and len(words) > 3
    }
    named = {name.strip(): row for name, row in found.items()}
    assert {"redis", "database", "directory", "prompts", "sip", "http", "media"} <= set(named)
    assert named["redis"][2].strip() == ("FAILED" if broken else "ok")
    assert named["media"][2].strip() == "ok"
