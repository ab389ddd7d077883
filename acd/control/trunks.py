"""/v1/trunks: whether each is up, who has bound us, and what goes over it. Of this node."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from acd.control.ports import ControlContext
from acd.control.problems import not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import Seconds
from acd.directory.model import Trunk as Configured
from acd.sip.core.uri import format_host
from acd.sip.trunk_status import HostStatus, TrunkStatus


class Host(BaseModel):
    """One address that a host of the trunk stands for."""

    host: str
    transport: Literal["udp", "tcp", "tls"]
    address: str = Field(examples=["192.0.2.7:5060"])
    priority: int
    weight: int
    up: bool
    out_seconds: Seconds | None = Field(
        description="How much longer it is left alone; null while it is up, or until it answers a probe."
    )


class Registration(BaseModel):
    username: str
    realm: str
    registered: bool = Field(description="Whether the trunk has bound us.")
    over: str | None = Field(description="The address that was asked last; null where none is known yet.")


class Trunk(BaseModel):
    name: str
    up: bool = Field(
        description="A host is up and has bound us where we register; true where the trunk only brings calls."
    )
    hosts: list[Host] = Field(description="Empty where the trunk only brings calls, or none is known yet.")
    registration: Registration | None = Field(description="null where we do not register.")
    calls: int = Field(description="Live, in and out.")
    max_calls: int
    calls_per_second: float | None = Field(description="New calls to the trunk; null for no limit.")
    calls_per_second_in: float | None = Field(description="New calls from the trunk; null for no limit.")
    calls_out: int = Field(description="Made since the node started.")
    answered_out: int
    failovers: int = Field(description="Attempts that another host had to make up for.")
    refused_out: dict[str, int] = Field(
        description="Calls that did not go out: `no-host`, `trunk-full`, `trunk-rate`."
    )


class Trunks(BaseModel):
    items: list[Trunk]


def trunk_of(trunk: Configured, status: TrunkStatus) -> Trunk:
    registration = None
    if status.is_registered is not None:
        registration = Registration(
            username=trunk.username,
            realm=trunk.realm,
            registered=status.is_registered,
            over=format_host(*status.registers_over) if status.registers_over else None,
        )
    return Trunk(
        name=trunk.name,
        up=status.is_up,
        hosts=[_host(host) for host in status.hosts],
        registration=registration,
        calls=status.calls,
        max_calls=trunk.max_calls,
        calls_per_second=trunk.calls_per_second or None,
        calls_per_second_in=trunk.calls_per_second_in or None,
        calls_out=status.calls_out,
        answered_out=status.answered_out,
        failovers=status.failovers,
        refused_out=dict(status.refused_out),
    )


def _host(host: HostStatus) -> Host:
    return Host(
        host=host.host,
        transport=host.transport,
        address=format_host(*host.address),
        priority=host.priority,
        weight=host.weight,
        up=host.is_up,
        out_seconds=host.out_seconds,
    )


def _all(context: ControlContext) -> dict[str, Trunk]:
    known = context.trunks()
    return {
        name: trunk_of(trunk, known.get(name) or TrunkStatus(only_brings=not trunk.hosts))
        for name, trunk in context.directory().trunks.items()
    }


async def list_trunks(ask: Ask) -> Trunks:
    return Trunks(items=list(_all(ask.context).values()))


async def show_trunk(ask: Ask) -> Trunk:
    found = _all(ask.context).get(ask.name("name"))
    if found is None:
        raise not_found("trunk")
    return found


ROUTES = (
    Route("GET", "/v1/trunks", list_trunks, Role.VIEWER, "trunks", "All trunks", answer=Trunks),
    Route(
        "GET",
        "/v1/trunks/{name}",
        show_trunk,
        Role.VIEWER,
        "trunks",
        "One trunk",
        answer=Trunk,
        errors=(404,),
    ),
)
