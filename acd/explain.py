"""`acd why CALL`: the reasons of one call, from the history or from the running node, as text."""

from __future__ import annotations

from urllib.parse import quote

import aiohttp
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from acd.clock import SystemClock
from acd.config import Settings
from acd.control.tokens import Role, TokenStore
from acd.control.why import Offered, Why, why_of_record
from acd.database import open_engine
from acd.errors import AcdError
from acd.history.migrate import migrate
from acd.history.reader import RecordReader
from acd.history.refusals import RefusalStore

_SECONDS = 10.0


async def find_reasons(settings: Settings, call_id: str, token: str) -> Why:
    """A call that is over is in the database; a live one is asked of the node, with a viewer's token.

    Raises AcdError that says what to do.
    """
    engine = open_engine(settings)
    try:
        await migrate(engine)
        record = await RecordReader(engine, SystemClock()).record(call_id)
        if record is not None:
            return why_of_record(record, await RefusalStore(engine).of(call_id))
        bearer = await TokenStore(engine, SystemClock()).verify(token) if token else None
    finally:
        await engine.dispose()
    if bearer is None or not bearer.role.covers(Role.VIEWER):
        raise AcdError(
            f"no record of call {call_id!r}; to see a live call, give a viewer's token: --token or ACD_TOKEN"
        )
    return await _ask_node(settings, call_id, token)


async def _ask_node(settings: Settings, call_id: str, token: str) -> Why:
    host, port = settings.http.address
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    url = f"{where}/v1/calls/{quote(call_id, safe='')}/why"
    headers, timeout = {"Authorization": f"Bearer {token}"}, aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(url, headers=headers) as answer,
        ):
            if answer.status == 404:
                raise AcdError(f"call {call_id!r} is neither in the records nor live on any node")
            answer.raise_for_status()
            return Why.model_validate_json(await answer.read())
    except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
        raise AcdError(f"the node at {where} does not tell: {error or type(error).__name__}") from error


def show(why: Why, console: Console) -> None:
    """Write it for people. Names are shown as they are, whatever is in them."""
    console.print(Text(f"call {why.id}: {why.state}" + (f", queue {why.queue}" if why.queue else "")))
    for name, value in sorted(why.attributes.items()):
        console.print(Text(f"{name}: {value}"))
    for offer in why.offers:
        _show_offer(offer, console)
    for mark in why.overflows:
        console.print(Text(f"{mark.at:%H:%M:%S} by a rule of {mark.queue}: {mark.to} ({mark.why})"))
    if why.waits_for is not None:
        console.print(Text(f"waits for: {why.waits_for}"))
        table = Table("agent", "in the way")
        for colleague in why.agents:
            table.add_row(Text(colleague.agent), Text("; ".join(colleague.obstacles) or "nothing"))
        console.print(table)
    elif not why.offers:
        console.print("no agent was rung for it")


def _show_offer(offer: Offered, console: Console) -> None:
    sought = {"agent": "best for the call", "call": "came free, and this call was first", None: "named"}
    line = f"{offer.at:%H:%M:%S} {offer.agent}: {offer.result} after {offer.ring_seconds:.1f} s"
    if offer.why:
        line += f", said: {offer.why}"
    console.print(Text(f"{line} ({sought[offer.sought]}; needed {offer.needs or 'nothing'})"))
    if offer.skipped:
        counts = ", ".join(f"{each.agents} {each.reason}" for each in offer.skipped)
        near = "; ".join(f"{each.agent}: {each.obstacle}" for each in offer.nearest)
        console.print(Text(f"  not: {counts}" + (f" (nearest: {near})" if near else "")))
    if not offer.candidates:
        return
    table = Table("candidate", "rank", "score", "")
    for each in offer.candidates:
        verdict = "chosen" if each.chosen else "passed over: just in vain" if each.passed_over else ""
        table.add_row(Text(each.name), str(each.rank), str(each.score), verdict)
    console.print(table)
