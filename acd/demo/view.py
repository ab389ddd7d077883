"""The demo's live table, from what the API says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from acd.demo.site import BILLING, ECHO, MENU, MUSIC, YOUR_EXTENSION, Site
from acd.demo.tally import Tally, mean

_STATES = ("available", "offered", "talking", "wrapup", "paused", "offline")
_COLOURS = {
    "available": "green",
    "offered": "yellow",
    "talking": "bold cyan",
    "wrapup": "magenta",
    "paused": "dim",
    "offline": "dim",
    "not-answering": "red",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the service: the items of /v1/queues, /v1/agents and /v1/calls."""

    queues: Sequence[Mapping[str, Any]] = ()
    agents: Sequence[Mapping[str, Any]] = ()
    calls: Sequence[Mapping[str, Any]] = ()
    at: float = field(default_factory=time.time)


def addresses(site: Site, token: str) -> list[str]:
    """Where everything is, and how to take part."""
    return [
        *(f"note: {note}" for note in site.notes),
        f"API      {site.http_url}/v1/queues   (page: {site.http_url}/v1/docs)",
        f"metrics  {site.http_url}/metrics",
        f"token    {token}",
        f"your own softphone: account {YOUR_EXTENSION}, password {site.passwords[YOUR_EXTENSION]}, "
        f"server {site.sip_address} (UDP or TCP); then dial",
        f"  {MENU} menu   {ECHO} echo   {MUSIC} music   {BILLING} billing queue",
        f"files    {site.dir}",
    ]


def plain(snapshot: Snapshot, tally: Tally, elapsed: float) -> str:
    """One line, for where there is no terminal."""
    waiting = sum(queue["waiting"] for queue in snapshot.queues)
    states = Counter(agent["state"] for agent in snapshot.agents)
    agents = " ".join(f"{state}={states[state]}" for state in _STATES if states[state])
    return (
        f"{elapsed:5.0f} s  live={len(snapshot.calls)} waiting={waiting} agents: {agents}  "
        f"made={tally.made} answered={tally.answered} left={tally.gave_up} lost={len(tally.lost)}"
    )


def table(snapshot: Snapshot, tally: Tally, head: Sequence[str], elapsed: float, left: float | None) -> Group:
    """The whole screen."""
    ends = "Ctrl-C ends it" if left is None else f"ends in {max(left, 0):.0f} s"
    title = f"running {elapsed:.0f} s, {ends}; " + plain(snapshot, tally, elapsed).partition("agents")[2][2:]
    return Group(
        Panel(Text("\n".join(head)), title="automatic call distributor: demo", border_style="blue"),
        _queues(snapshot),
        _agents(snapshot),
        Text(title, style="bold red" if tally.lost else "bold"),
    )


def _queues(snapshot: Snapshot) -> Table:
    shown = Table("queue", "waiting", "longest wait", *_STATES, title="queues", expand=True)
    for queue in snapshot.queues:
        agents = queue["agents"]
        longest = f"{queue['longest_wait_seconds']:.0f} s" if queue["waiting"] else "-"
        shown.add_row(
            queue["name"], str(queue["waiting"]), longest, *(str(agents.get(state, 0)) for state in _STATES)
        )
    return shown


def _agents(snapshot: Snapshot) -> Table:
    shown = Table("agent", "extension", "state", "since", "call", title="agents", expand=True)
    callers = {call["id"]: call["caller"] for call in snapshot.calls}
    for agent in snapshot.agents:
        state = agent["state"]
        since = agent.get("since")
        ago = f"{max(snapshot.at - _seconds(since), 0):.0f} s" if since else "-"
        call = callers.get(agent.get("call_id") or "", "")
        name = agent.get("name") or agent["id"]
        coloured = Text(state, style=_COLOURS.get(state, ""))
        shown.add_row(Text(name), agent.get("extension", ""), coloured, ago, Text(call))
    return shown


def _seconds(moment: str | float) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return moment if isinstance(moment, int | float) else datetime.fromisoformat(moment).timestamp()


def summary(tally: Tally, records: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> str:
    """The last words."""
    answered = [record for record in records if record["outcome"] == "answered"]
    recorded = mean([record["wait_seconds"] for record in answered])
    return "\n".join(
        [
            f"calls made           {tally.made}",
            f"  answered by agents {tally.answered}",
            f"  left by choice     {tally.gave_up}",
            f"  echo and music     {tally.endings['listened']}",
            f"  lost               {len(problems)}",
            f"call records         {len(records)}, {len(answered)} of them answered",
            f"average wait         {recorded:.1f} s in the records; {mean(tally.waits):.1f} s from the"
            " answer to the agent's voice, as the callers heard it",
            *(f"LOST  {problem}" for problem in problems),
        ]
    )
