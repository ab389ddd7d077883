"""The `acd` command: one function a command, and one clear line for whatever an operator can mend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from acd import app as service
from acd import doctor as checks
from acd.clock import SystemClock
from acd.config import Settings, load_settings
from acd.control.tokens import Role, TokenStore
from acd.database import open_engine
from acd.directory.check import find_warnings
from acd.directory.diff import compare
from acd.directory.loader import load_directory
from acd.directory.store import DirectoryStore
from acd.errors import AcdError
from acd.history.migrate import migrate

_T = TypeVar("_T")

cli = typer.Typer(
    help="An automatic call distributor for SIP.", no_args_is_help=True, pretty_exceptions_enable=False
)
token = typer.Typer(help="Tokens for the HTTP API.", no_args_is_help=True)
cli.add_typer(token, name="token")

Config = Annotated[
    Path | None, typer.Option("--config", help="acd.toml; default: ACD_CONFIG, then ./acd.toml")
]


def main() -> None:
    """Run the command line; AcdError and OSError end as one line and exit code 1."""
    try:
        cli()
    except (AcdError, OSError) as error:
        sys.stderr.write(f"acd: {error}\n")
        sys.exit(1)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(settings)
    try:
        await migrate(engine)
        yield engine
    finally:
        await engine.dispose()


@cli.command()
def serve(config: Config = None) -> None:
    """Run one node until SIGTERM or Ctrl-C, which let live calls end first."""
    _run(service.serve(load_settings(config)))


@cli.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The directory as YAML")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing anything")] = False,
    config: Config = None,
) -> None:
    """Make the directory equal to a file: all of it, or on an error nothing."""
    _run(_apply(load_settings(config), file, _confirm if not yes else lambda count: True))


def _confirm(count: int) -> bool:
    if not sys.stdin.isatty():
        raise AcdError(f"{count} entries would be removed; say --yes to do so without being asked")
    return typer.confirm(f"Remove {count} entries?")


async def _apply(settings: Settings, file: Path, confirm: Callable[[int], bool]) -> None:
    flows = service.load_all_flows(settings, service.load_prompts(settings))
    wanted = load_directory(file, list(flows))
    async with _database(settings) as engine:
        store = DirectoryStore(engine, SystemClock())
        current = await store.load()
        changes = compare(current, wanted.build(settings.sip.realm))
        for line in (*map(str, changes), *(f"warning: {text}" for text in find_warnings(wanted))):
            typer.echo(line)
        removed = sum(change.action == "remove" for change in changes)
        if removed and not confirm(removed):
            raise AcdError("nothing was changed")
        revision = await store.apply(
            wanted.build(settings.sip.realm), realm=settings.sip.realm, expected=current.revision
        )
    typer.echo(f"{len(changes)} changes; the directory is at revision {revision}")


@token.command("create")
def token_create(
    role: Annotated[Role, typer.Option("--role")],
    name: Annotated[str, typer.Option("--name")],
    config: Config = None,
) -> None:
    """Make a token; it is printed once, as the last word."""

    async def create(tokens: TokenStore) -> str:
        return await tokens.create(name, role)

    typer.echo(f"token {name} ({role.value}): {_run(_with_tokens(load_settings(config), create))}")


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Option("--name")], config: Config = None) -> None:
    """End a token."""
    _run(_with_tokens(load_settings(config), lambda tokens: tokens.revoke(name)))
    typer.echo(f"token {name} is revoked")


@token.command("list")
def token_list(config: Config = None) -> None:
    """All tokens ever made, without their secrets."""
    table = Table("name", "role", "in force")
    for info in _run(_with_tokens(load_settings(config), lambda tokens: tokens.list())):
        table.add_row(info.name, info.role.value, "no" if info.revoked_at else "yes")
    Console().print(table)


async def _with_tokens(settings: Settings, use: Callable[[TokenStore], Awaitable[_T]]) -> _T:
    async with _database(settings) as engine:
        return await use(TokenStore(engine, SystemClock()))


@cli.command()
def doctor(config: Config = None) -> None:
    """Check ports, Redis, database, audio and prompts; exit code 1 where something is missing."""
    findings = _run(checks.examine(load_settings(config)))
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
    from acd.demo.run import run  # the only command that needs the phones

    code = _run(run(load_settings(config), duration=duration, calls_per_minute=calls_per_minute))
    raise typer.Exit(code)
