"""The `acd` command: one function a command, and one clear line for whatever an operator can mend.

Exit codes: 0 done, 1 it did not work, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from acd import __version__
from acd.clock import SystemClock
from acd.config import Settings, find_settings, load_settings
from acd.control.tokens import Role, TokenStore
from acd.errors import AcdError, ConfigError
from acd.history.migrate import migrated

if TYPE_CHECKING:
    pass

# What only one command needs is imported in it: half of the service would else be loaded to make a token.

_T = TypeVar("_T")

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
token = typer.Typer(help="Tokens for the HTTP API.", no_args_is_help=True)
cli.add_typer(token, name="token")

Config = Annotated[
    Path | None, typer.Option("--config", help="acd.toml; default: ACD_CONFIG, then ./acd.toml")
]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"acd {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version")
    ] = False,
) -> None:
    """An automatic call distributor for SIP."""


def main() -> None:
    """Run the command line. What an operator can mend ends as a line for each problem, and no traceback."""
    try:
        cli()
    except ConfigError as error:
        _fail(str(error), 2)
    except (AcdError, OSError) as error:
        _fail(str(error) or type(error).__name__, 1)
    except SQLAlchemyError as error:
        _fail(f"the database does not do it: {getattr(error, 'orig', None) or error}", 1)


def _fail(text: str, code: int) -> None:
    sys.stderr.write("".join(f"acd: {line}\n" for line in text.splitlines()))
    sys.exit(code)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@cli.command()
def serve(config: Config = None) -> None:
    """Run one node until SIGTERM or Ctrl-C, which let live calls end first."""
    settings = load_settings(config)
    from acd.serve import serve as run

    _run(run(settings, find_settings(config)))


@cli.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The directory as YAML")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing anything")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show; change nothing")] = False,
    config: Config = None,
) -> None:
    """Make the directory equal to a file: all of it, or on an error nothing."""
    confirm = _confirm if not yes else lambda count: True
    _run(_apply(load_settings(config), file, None if dry_run else confirm))


def _confirm(count: int) -> bool:
    if not sys.stdin.isatty():
        raise AcdError(f"{count} entries would be removed; say --yes to do so without being asked")
    return typer.confirm(f"Remove {count} entries?")


async def _apply(settings: Settings, file: Path, confirm: Callable[[int], bool] | None) -> None:
    """`confirm` is asked how many entries may go; None: nothing is to be changed."""
    from acd.directory.check import find_warnings
    from acd.directory.diff import compare
    from acd.directory.loader import DirectoryError, load_directory
    from acd.directory.store import DirectoryStore
    from acd.flows import find_loose_ends, load_flows, load_prompts

    prompts = load_prompts(settings)
    flows = load_flows(settings, prompts)
    content = load_directory(file, flows)
    wanted = content.build(settings.sip.realm)
    if loose_ends := find_loose_ends(wanted, flows, prompts):
        raise DirectoryError(loose_ends)
    async with migrated(settings) as engine:
        store = DirectoryStore(engine, SystemClock())
        current = await store.load()
        changes = compare(current, wanted)
        for line in (*map(str, changes), *(f"warning: {text}" for text in find_warnings(content))):
            typer.echo(line)
        counted = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
        if confirm is None:
            typer.echo(f"{counted} not made; the directory is at revision {current.revision}")
            return
        removed = sum(change.action == "remove" for change in changes)
        if removed and not confirm(removed):
            raise AcdError("nothing was changed")
        revision = await store.apply(wanted, realm=settings.sip.realm, expected=current.revision)
    typer.echo(f"{counted}; the directory is at revision {revision}")


@token.command("create")
def token_create(
    role: Annotated[Role, typer.Option("--role")],
    name: Annotated[str, typer.Option("--name")],
    agent: Annotated[str, typer.Option("--agent", help="Whom a token of the role agent is for, by id")] = "",
    config: Config = None,
) -> None:
    """Make a token; it is printed once, as the last word."""
    plain = _run(_create_token(load_settings(config), name, role, agent))
    typer.echo(f"token {name} ({role.value}{' ' + agent if agent else ''}): {plain}")


async def _create_token(settings: Settings, name: str, role: Role, agent: str) -> str:
    from acd.directory.store import DirectoryStore

    async with migrated(settings) as engine:
        if agent and agent not in (await DirectoryStore(engine, SystemClock()).load()).agents:
            raise ConfigError(f"--agent: there is no agent {agent!r} in the directory; see `acd apply`")
        return await TokenStore(engine, SystemClock()).create(name, role, agent)


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Option("--name")], config: Config = None) -> None:
    """End a token."""
    _run(_with_tokens(load_settings(config), lambda tokens: tokens.revoke(name)))
    typer.echo(f"token {name} is revoked")


@token.command("list")
def token_list(config: Config = None) -> None:
    """All tokens ever made, without their secrets."""
    table = Table("name", "role", "agent", "made", "revoked")
    for info in _run(_with_tokens(load_settings(config), lambda tokens: tokens.list())):
        table.add_row(
            info.name, info.role.value, info.agent, _moment(info.created_at), _moment(info.revoked_at)
        )
    Console().print(table)


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


async def _with_tokens(settings: Settings, use: Callable[[TokenStore], Awaitable[_T]]) -> _T:
    async with migrated(settings) as engine:
        return await use(TokenStore(engine, SystemClock()))


@cli.command()
def why(
    call: Annotated[str, typer.Argument(help="The id of a call, live or over")],
    token: Annotated[str, typer.Option(envvar="ACD_TOKEN", help="Needed for a live call only")] = "",
    config: Config = None,
) -> None:
    """Tell whom a call was offered to and for what reason, or why it still waits."""
    from acd.explain import find_reasons, show

    show(_run(find_reasons(load_settings(config), call, token)), Console())


@cli.command()
def doctor(config: Config = None) -> None:
    """Check clock, Redis, database, prompts, ports and audio; exit code 1 where something is wrong."""
    settings = load_settings(config)
    from acd.doctor import examine

    findings = _run(examine(settings))
    table = Table("check", "", "what was found")
    for finding in findings:
        table.add_row(finding.name, "ok" if finding.good else "FAILED", finding.text)
    Console().print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@cli.command()
def demo(
    duration: Annotated[float | None, typer.Option(help="Seconds; default: until Ctrl-C")] = None,
    calls_per_minute: Annotated[float, typer.Option(min=0.1, max=600)] = 30.0,
    config: Config = None,
) -> None:
    """A call centre on this machine: the service, six agents and a stream of callers."""
    settings = load_settings(config)
    from acd.demo.run import run

    raise typer.Exit(_run(run(settings, duration=duration, calls_per_minute=calls_per_minute)))
