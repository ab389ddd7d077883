"""Phones as a process of their own: `python -m acd.demo.softphone --role agent|caller ...`.

Agents register and take calls; callers dial from a trunk's address. Events are JSON lines on standard output.
SIGTERM or SIGINT: callers stop dialling and finish their calls, agents hang up and unregister.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from acd.demo.phones.agent import Agent, AgentHabits
from acd.demo.phones.caller import CallerHabits, Callers, Dialled, Plan
from acd.demo.phones.report import Report

PASSWORDS_VARIABLE = "ACD_DEMO_PASSWORDS"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; 0, or 2 for arguments that make no sense."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.role == "agent":
        _run_agents(options, stop)
    else:
        _run_callers(options, stop)
    return 0


def _run_agents(options: argparse.Namespace, stop: threading.Event) -> None:
    report = Report()
    passwords = _passwords(options)
    habits = AgentHabits(
        ring_seconds=options.ring_seconds,
        talk_seconds=options.talk_seconds,
        hangs_up_first=options.hangs_up_first,
        declines=options.declines,
    )
    host, port = options.bind
    agents = [
        Agent(
            options.server,
            user,
            passwords[user],
            bind=(host, port + at if port else 0),
            habits=habits,
            report=report,
            seed=options.seed + at,
        )
        for at, user in enumerate(options.user)
    ]
    for agent in agents:
        agent.start()
    stop.wait()
    for agent in agents:
        agent.stop()


def _run_callers(options: argparse.Namespace, stop: threading.Event) -> None:
    habits = CallerHabits(
        talk_seconds=options.talk_seconds,
        patience_seconds=options.patience_seconds,
        leaves_early=options.leaves_early,
    )
    callers = Callers(
        options.server,
        bind=options.bind,
        dialled=options.dial,
        habits=habits,
        report=Report(),
        seed=options.seed,
    )
    callers.run(calls_per_minute=options.calls_per_minute, most=options.calls, stop=stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m acd.demo.softphone", description=__doc__)
    parser.add_argument("--role", choices=("agent", "caller"), required=True)
    parser.add_argument("--server", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--bind", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--talk-seconds", type=_range, default=(4.0, 10.0), metavar="A-B")
    agent = parser.add_argument_group("agents")
    agent.add_argument("--user", action="append", default=[], help="an extension; again for more phones")
    agent.add_argument(
        "--password-file", type=Path, help=f"lines of `user password`; else the variable {PASSWORDS_VARIABLE}"
    )
    agent.add_argument("--ring-seconds", type=_range, default=(0.5, 3.0), metavar="A-B")
    agent.add_argument("--hangs-up-first", type=float, default=0.3, help="share of conversations")
    agent.add_argument("--declines", type=float, default=0.05, help="share of calls")
    caller = parser.add_argument_group("callers")
    caller.add_argument(
        "--dial",
        type=_dialled,
        action="append",
        default=[],
        metavar="NUMBER[,WEIGHT[,DIGITS/DIGITS..|listen]]",
        help="a number, how often, and for each step of its menu the digits to choose from",
    )
    caller.add_argument("--calls-per-minute", type=float, default=30.0)
    caller.add_argument("--calls", type=int, help="stop after so many")
    caller.add_argument("--patience-seconds", type=float, default=90.0)
    caller.add_argument("--leaves-early", type=float, default=0.08, help="share of callers")
    return parser


def _passwords(options: argparse.Namespace) -> dict[str, str]:
    path: Path | None = options.password_file
    text = path.read_text(encoding="utf-8") if path else os.environ.get(PASSWORDS_VARIABLE, "")
    found = dict(line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    missing = [user for user in options.user if user not in found]
    if missing:
        raise SystemExit(f"no password for {', '.join(missing)}")
    return found


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 4-10") from None


def _dialled(text: str) -> Dialled:
    number, weight, how = [*text.split(","), "", ""][:3]
    try:
        share = float(weight or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{weight!r} is not a weight") from None
    if how == "listen":
        return Dialled(number, share, plan=Plan.LISTEN)
    return Dialled(number, share, digits=tuple(how.split("/")) if how else ())


if __name__ == "__main__":
    raise SystemExit(main())
