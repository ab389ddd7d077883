"""/v1/trace: whose calls are traced. /v1/calls/{id}/trace: what went over the wire, in three forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field, model_validator

from acd.control import ladder, orders
from acd.control.calls import at_any_node, find_call
from acd.control.problems import Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Time, time_of
from acd.sip.trace.captured import Captured
from acd.sip.trace.pcap import pcap

_PCAP_TYPE = "application/vnd.tcpdump.pcap"


class TraceRules(BaseModel):
    numbers: list[str]
    trunks: list[str]
    bytes_kept: int


class TraceOrder(BaseModel):
    """Exactly one of the two."""

    number: str | None = Field(None, pattern=r"^\+?[0-9*#]{2,32}$")
    trunk: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")

    @model_validator(mode="after")
    def _one(self) -> TraceOrder:
        if (self.number is None) == (self.trunk is None):
            raise ValueError("give either number or trunk")
        return self


class TracedMessage(BaseModel):
    at: Time
    direction: Literal["in", "out"]
    transport: str
    source: str
    target: str
    text: str = Field(description="Credentials and keys are crossed out.")


class Trace(BaseModel):
    items: list[TracedMessage]


async def show_rules(ask: Ask) -> TraceRules:
    tracer = ask.context.tracer
    rules = tracer.rules
    return TraceRules(
        numbers=sorted(rules.numbers), trunks=sorted(rules.trunks), bytes_kept=tracer.bytes_kept
    )


async def add_rule(ask: Ask) -> None:
    order = await ask.body(TraceOrder)
    try:
        ask.context.tracer.add(number=order.number or "", trunk=order.trunk or "")
    except ValueError as error:
        raise Problem(409, "too-many-rules", str(error)) from error


async def clear_rules(ask: Ask) -> None:
    ask.context.tracer.clear()


async def follow_call(ask: Ask) -> None:
    view = await find_call(ask)
    await ask.context.orders.give(view.node, orders.Trace(view.id))


async def show_trace(ask: Ask) -> Trace:
    return Trace(items=[_message(message) for message in await _kept(ask)])


async def show_ladder(ask: Ask) -> web.Response:
    return web.Response(
        text=ladder.render(ask.name("id"), await _kept(ask)),
        content_type="text/html",
        headers={"Content-Security-Policy": ladder.CONTENT_SECURITY_POLICY},
    )


async def show_pcap(ask: Ask) -> web.Response:
    return web.Response(
        body=pcap(await _kept(ask)),
        content_type=_PCAP_TYPE,
        headers={"Content-Disposition": 'attachment; filename="call.pcap"'},
    )


async def _kept(ask: Ask) -> Sequence[Captured]:
    """Raises Problem 404 where nothing of the call is kept, 409 where another node has the call."""
    messages = ask.context.tracer.messages(ask.name("id"))
    if messages:
        return messages
    view = await at_any_node(ask, ask.name("id"))
    if view is not None and ask.context.calls.find(view.id) is None:
        where = f"The call is at node {view.node!r}, and so is what is kept of it; ask that one."
        raise Problem(409, "trace-elsewhere", where)
    raise not_found("trace of this call")


def _message(message: Captured) -> TracedMessage:
    return TracedMessage(
        at=time_of(message.at),
        direction="out" if message.sent else "in",
        transport=message.flow.transport,
        source=f"{message.source[0]} {message.source[1]}",
        target=f"{message.target[0]} {message.target[1]}",
        text=message.data.decode("utf-8", "replace"),
    )


_CALL = "/v1/calls/{id}/trace"
_LEAST = Role.SUPERVISOR
ROUTES = (
    Route("GET", "/v1/trace", show_rules, _LEAST, "trace", "Whose calls are traced", answer=TraceRules),
    Route(
        "POST",
        "/v1/trace",
        add_rule,
        _LEAST,
        "trace",
        "Trace future calls of a number or a trunk",
        body=TraceOrder,
        errors=(409,),
    ),
    Route("DELETE", "/v1/trace", clear_rules, _LEAST, "trace", "Trace no more and forget what was kept"),
    Route("POST", _CALL, follow_call, _LEAST, "trace", "Trace a live call from now on", errors=(404, 504)),
    Route(
        "GET", _CALL, show_trace, _LEAST, "trace", "The messages of a call", answer=Trace, errors=(404, 409)
    ),
    Route(
        "GET",
        f"{_CALL}.html",
        show_ladder,
        _LEAST,
        "trace",
        "The messages of a call as a ladder",
        media_type="text/html",
        errors=(404, 409),
    ),
    Route(
        "GET",
        f"{_CALL}.pcap",
        show_pcap,
        _LEAST,
        "trace",
        "The messages of a call as a capture file",
        media_type=_PCAP_TYPE,
        errors=(404, 409),
    ),
)
