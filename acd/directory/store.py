"""The directory in SQL: read as one snapshot, changed in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping, Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from acd.clock import Clock
from acd.database import reading, writing
from acd.directory import tables
from acd.directory.diff import Kind, compare
from acd.directory.model import (
    Agent,
    Box,
    CallbackRules,
    CallerList,
    Device,
    Dialling,
    Directory,
    FeatureCode,
    FormField,
    Gives,
    LastAgent,
    LendsWhile,
    Lookup,
    Number,
    OverflowRule,
    PriorityClass,
    Queue,
    Refusals,
    Relaxation,
    Route,
    Team,
    Trunk,
    TrunkHost,
    VoicemailRules,
    Webhook,
)
from acd.errors import ConfigError
from routing.model import Lending
from routing.overflow import Conditions

_TABLES: Mapping[Kind, Table] = {
    "trunk": tables.trunks,
    "number": tables.numbers,
    "skill": tables.skills,
    "queue": tables.queues,
    "agent": tables.agents,
    "code": tables.codes,
    "device": tables.devices,
    "box": tables.boxes,
    "webhook": tables.webhooks,
    "priority": tables.priorities,
    "caller-list": tables.caller_lists,
    "team": tables.teams,
    "route": tables.routes,
    "dialling": tables.dialling,
}


class DirectoryStore:
    """Every method raises sqlalchemy.exc.SQLAlchemyError where the database does."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def revision(self) -> int:
        """The number of the newest change; 0 before the first. Cheap: one row."""
        async with reading(self._engine) as connection:
            return (await _state(connection))[0]

    async def realm(self) -> str | None:
        """The realm that the passwords were hashed for; None before the first change."""
        async with reading(self._engine) as connection:
            return (await _state(connection))[1]

    async def load(self) -> Directory:
        """The whole directory as it was at one moment."""
        async with reading(self._engine) as connection:
            return await _load(connection)

    async def apply(self, wanted: Directory, *, realm: str, expected: int | None = None) -> int:
        """Make the directory equal to `wanted`; all of it or, on an error, nothing. Returns the revision.

        Without a difference nothing is written and the revision stays. `expected` is the revision that the
        change was looked at against; raises ConfigError where another change came in between.
        """
        async with writing(self._engine) as connection:
            current = await _load(connection)
            if expected is not None and current.revision != expected:
                raise ConfigError("the directory was changed by someone else meanwhile; apply it again")
            revision, applied_realm = await _state(connection)
            if not await _write(connection, current, wanted) and applied_realm in (realm, None):
                return revision
            state = {"revision": revision + 1, "realm": realm, "applied_at": self._clock.time()}
            done = await connection.execute(
                update(tables.state).where(tables.state.c.id == 1).values(**state)
            )
            if done.rowcount == 0:
                await connection.execute(insert(tables.state).values(id=1, **state))
            return revision + 1


async def _state(connection: AsyncConnection) -> tuple[int, str | None]:
    query = select(tables.state.c.revision, tables.state.c.realm).where(tables.state.c.id == 1)
    row = (await connection.execute(query)).one_or_none()
    return (row.revision, row.realm) if row else (0, None)


async def _load(connection: AsyncConnection) -> Directory:
    revision, _ = await _state(connection)
    trunks = [_trunk(row) for row in await _rows_of(connection, tables.trunks)]
    numbers = [Number(**_frozen(row, "skills")) for row in await _rows_of(connection, tables.numbers)]
    skills = [row["name"] for row in await _rows_of(connection, tables.skills)]
    queues = [_queue(row) for row in await _rows_of(connection, tables.queues)]
    agents = [_agent(row) for row in await _rows_of(connection, tables.agents)]
    codes = [_code(row) for row in await _rows_of(connection, tables.codes)]
    devices = [Device(**row) for row in await _rows_of(connection, tables.devices)]
    boxes = [
        Box(row["name"], row["number"], _voicemail_rules(row["rules"]))
        for row in await _rows_of(connection, tables.boxes)
    ]
    webhooks = [
        Webhook(**{**row, "events": tuple(row["events"])})
        for row in await _rows_of(connection, tables.webhooks)
    ]
    priorities = [PriorityClass(**row) for row in await _rows_of(connection, tables.priorities)]
    lists = [_caller_list(row) for row in await _rows_of(connection, tables.caller_lists)]
    teams = [Team(**_listed(row, "dialling")) for row in await _rows_of(connection, tables.teams)]
    routes = [Route(**_listed(row, "trunks")) for row in await _rows_of(connection, tables.routes)]
    centre = [_dialling(row) for row in await _rows_of(connection, tables.dialling)]
    return Directory(
        revision=revision,
        trunks=MappingProxyType({trunk.name: trunk for trunk in trunks}),
        numbers=MappingProxyType({number.number: number for number in numbers}),
        skills=frozenset(skills),
        queues=MappingProxyType({queue.name: queue for queue in queues}),
        agents=MappingProxyType({agent.id: agent for agent in agents}),
        agent_by_extension=MappingProxyType({agent.extension: agent for agent in agents}),
        codes=MappingProxyType({code.code: code for code in codes}),
        devices=MappingProxyType({device.name: device for device in devices}),
        boxes=MappingProxyType({box.name: box for box in boxes}),
        webhooks=MappingProxyType({webhook.name: webhook for webhook in webhooks}),
        priorities=MappingProxyType({priority.name: priority for priority in priorities}),
        caller_lists=MappingProxyType(
            {entry.name: entry for entry in sorted(lists, key=lambda entry: entry.order)}
        ),
        teams=MappingProxyType({team.name: team for team in teams}),
        routes=MappingProxyType({route.prefix: route for route in routes}),
        dialling=centre[0] if centre else Dialling(),
    )


async def _write(connection: AsyncConnection, current: Directory, wanted: Directory) -> bool:
    """Write the difference; whether there was one."""
    changes = compare(current, wanted)
    for kind, table in _TABLES.items():
        key = next(iter(table.primary_key.columns))
        # A changed row goes and comes again, so that two agents may swap their extensions.
        gone = [change.name for change in changes if change.kind == kind and change.action != "add"]
        new = {change.name for change in changes if change.kind == kind and change.action != "remove"}
        if gone:
            await connection.execute(
                delete(table).where(key == bindparam("gone")), [{"gone": name} for name in gone]
            )
        if new:
            rows = [row for row in _ROWS[kind](wanted) if row[key.name] in new]
            await connection.execute(insert(table), rows)
    return bool(changes)


async def _rows_of(connection: AsyncConnection, table: Table) -> Sequence[RowMapping]:
    return (await connection.execute(select(table))).mappings().all()


def _trunk(row: RowMapping) -> Trunk:
    networks = tuple(ip_network(network) for network in row["match"])
    return Trunk(
        **{
            **_frozen(row, "headers", "send_headers"),
            "match": networks,
            "tls_names": tuple(row["tls_names"]),
            "hosts": tuple(TrunkHost(**host) for host in row["hosts"]),
        }
    )


def _agent(row: RowMapping) -> Agent:
    dialling = row["dialling"]
    own = {
        "leads": tuple(row["leads"]),
        "dialling": None if dialling is None else tuple(dialling),
        "voicemail": _voicemail_rules(row["voicemail"]) if row["voicemail"] else None,
        "lent": MappingProxyType({name: Lending(**terms) for name, terms in row["lent"].items()}),
    }
    return Agent(**{**_frozen(row, "skills", "queues"), **own})


def _dialling(row: RowMapping) -> Dialling:
    values = _listed(row, "operators")
    del values["name"]
    return Dialling(**values)


def _listed(row: RowMapping, *lists: str) -> dict[str, Any]:
    return {**row, **{name: tuple(row[name]) for name in lists}}


def _voicemail_rules(rules: Mapping[str, Any]) -> VoicemailRules:
    lists = {name: tuple(rules[name]) for name in _VOICEMAIL_LISTS}
    return VoicemailRules(**{**rules, **lists})


def _code(row: RowMapping) -> FeatureCode:
    return FeatureCode(row["code"], row["does"], tuple(row["reasons"]))


def _queue(row: RowMapping) -> Queue:
    return Queue(
        **{
            **_frozen(row, "requires"),
            "any_of": tuple(MappingProxyType(group) for group in row["any_of"]),
            "teams": tuple(row["teams"]),
            "languages": tuple(row["languages"]),
            "relax": tuple(_relaxation(step) for step in row["relax"]),
            "wrapup_codes": tuple(row["wrapup_codes"]),
            "refusal_reasons": tuple(row["refusal_reasons"]),
            "wrapup_form": tuple(_form_field(field) for field in row["wrapup_form"]),
            "callback": _callback_rules(row["callback"]) if row["callback"] else None,
            "overflow": tuple(_overflow_rule(rule) for rule in row["overflow"]),
            "agents_count_as_absent": tuple(row["agents_count_as_absent"]),
            "voicemail": _voicemail_rules(row["voicemail"]) if row["voicemail"] else None,
            "refusals": _refusals(row["refusals"]),
            "last_agent": LastAgent(**row["last_agent"]) if row["last_agent"] else None,
            "lends_while": LendsWhile(**row["lends_while"]) if row["lends_while"] else None,
        }
    )


def _relaxation(step: Mapping[str, Any]) -> Relaxation:
    requires, teams = MappingProxyType(step["requires"]), tuple(step["teams"])
    # What came later is not in rows of before.
    languages, any_of = step.get("languages", 0), MappingProxyType(step.get("any_of", {}))
    return Relaxation(step["after_seconds"], requires, teams, step["any_language"], languages, any_of)


def _callback_rules(rules: Mapping[str, Any]) -> CallbackRules:
    lists = {name: tuple(rules[name]) for name in ("numbers", "dialling") if name in rules}
    return CallbackRules(**{**rules, **lists})


def _overflow_rule(rule: Mapping[str, Any]) -> OverflowRule:
    when = Conditions(**rule["when"])
    return OverflowRule(**{**rule, "when": when, "message": tuple(rule["message"])})


def _refusals(kept: Mapping[str, Any]) -> Refusals:
    """What is not kept is as it is without a rule."""
    standard = Refusals()
    given = {
        name: replace(getattr(standard, name), **value) if isinstance(value, dict) else value
        for name, value in kept.items()
    }
    return replace(standard, **given)


def _caller_list(row: RowMapping) -> CallerList:
    lookup, gives = row["lookup"], row["gives"]
    return CallerList(
        row["name"],
        row["order"],
        frozenset(row["numbers"]),
        frozenset(row["prefixes"]),
        Gives(
            **{
                **gives,
                "skills": MappingProxyType(gives["skills"]),
                "languages": tuple(gives.get("languages", ())),
            }
        ),
        Lookup(**lookup) if lookup else None,
    )


def _caller_list_columns(entry: CallerList) -> dict[str, Any]:
    lookup = entry.lookup
    return {
        "name": entry.name,
        "order": entry.order,
        "numbers": sorted(entry.numbers),
        "prefixes": sorted(entry.prefixes),
        "gives": {**_columns(entry.gives, "skills"), "languages": [*entry.gives.languages]},
        "lookup": lookup and asdict(lookup),
    }


def _form_field(field: Mapping[str, Any]) -> FormField:
    return FormField(**{**field, "choices": tuple(field["choices"])})


def _frozen(row: RowMapping, *maps: str) -> dict[str, Any]:
    return {**row, **{name: MappingProxyType(row[name]) for name in maps}}


_Fact = (
    Trunk
    | Number
    | Queue
    | Agent
    | Device
    | Webhook
    | Relaxation
    | FormField
    | CallbackRules
    | PriorityClass
    | Gives
    | Lookup
    | VoicemailRules
    | Team
    | Route
    | Dialling
)
_VOICEMAIL_LISTS = ("greeting", "agents", "teams")


def _columns(entry: _Fact, *maps: str) -> dict[str, Any]:
    columns = {field.name: getattr(entry, field.name) for field in fields(entry)}
    return {**columns, **{name: dict(columns[name]) for name in maps}}


def _code_columns(code: FeatureCode) -> dict[str, Any]:
    return {"code": code.code, "does": code.does, "reasons": [*code.reasons]}


def _trunk_columns(trunk: Trunk) -> dict[str, Any]:
    return {
        **_columns(trunk, "headers", "send_headers"),
        "match": [*map(str, trunk.match)],
        "tls_names": [*trunk.tls_names],
        "hosts": [asdict(host) for host in trunk.hosts],
    }


def _voicemail_columns(rules: VoicemailRules) -> dict[str, Any]:
    return {**_columns(rules), **{name: [*getattr(rules, name)] for name in _VOICEMAIL_LISTS}}


def _agent_columns(agent: Agent) -> dict[str, Any]:
    dialling = agent.dialling
    return {
        **_columns(agent, "skills", "queues"),
        "leads": [*agent.leads],
        "lent": {name: asdict(terms) for name, terms in agent.lent.items()},
        "dialling": None if dialling is None else [*dialling],
        "voicemail": agent.voicemail and _voicemail_columns(agent.voicemail),
    }


def _webhook_columns(webhook: Webhook) -> dict[str, Any]:
    return {**_columns(webhook), "events": [*webhook.events]}


def _box_columns(box: Box) -> dict[str, Any]:
    return {"name": box.name, "number": box.number, "rules": _voicemail_columns(box.rules)}


def _queue_columns(queue: Queue) -> dict[str, Any]:
    callback = queue.callback
    return {
        **_columns(queue, "requires"),
        "any_of": [dict(group) for group in queue.any_of],
        "teams": [*queue.teams],
        "languages": [*queue.languages],
        "relax": [{**_columns(step, "requires", "any_of"), "teams": [*step.teams]} for step in queue.relax],
        "wrapup_codes": [*queue.wrapup_codes],
        "refusal_reasons": [*queue.refusal_reasons],
        "wrapup_form": [{**_columns(field), "choices": [*field.choices]} for field in queue.wrapup_form],
        "callback": callback and _callback_columns(callback),
        "overflow": [{**asdict(rule), "message": [*rule.message]} for rule in queue.overflow],
        "agents_count_as_absent": [*queue.agents_count_as_absent],
        "voicemail": queue.voicemail and _voicemail_columns(queue.voicemail),
        "refusals": asdict(queue.refusals),
        "last_agent": queue.last_agent and asdict(queue.last_agent),
        "lends_while": queue.lends_while and asdict(queue.lends_while),
    }


def _callback_columns(rules: CallbackRules) -> dict[str, Any]:
    return {**_columns(rules), "numbers": [*rules.numbers], "dialling": [*rules.dialling]}


def _team_columns(team: Team) -> dict[str, Any]:
    return {**_columns(team), "dialling": [*team.dialling]}


def _route_columns(route: Route) -> dict[str, Any]:
    return {**_columns(route), "trunks": [*route.trunks]}


def _dialling_columns(rules: Dialling) -> dict[str, Any]:
    return {"name": "centre", **_columns(rules), "operators": [*rules.operators]}


_ROWS: Mapping[Kind, Callable[[Directory], Iterable[dict[str, Any]]]] = {
    "trunk": lambda directory: map(_trunk_columns, directory.trunks.values()),
    "number": lambda directory: (_columns(number, "skills") for number in directory.numbers.values()),
    "skill": lambda directory: ({"name": skill} for skill in sorted(directory.skills)),
    "queue": lambda directory: map(_queue_columns, directory.queues.values()),
    "agent": lambda directory: map(_agent_columns, directory.agents.values()),
    "code": lambda directory: map(_code_columns, directory.codes.values()),
    "device": lambda directory: map(_columns, directory.devices.values()),
    "box": lambda directory: map(_box_columns, directory.boxes.values()),
    "webhook": lambda directory: map(_webhook_columns, directory.webhooks.values()),
    "priority": lambda directory: map(_columns, directory.priorities.values()),
    "caller-list": lambda directory: map(_caller_list_columns, directory.caller_lists.values()),
    "team": lambda directory: map(_team_columns, directory.teams.values()),
    "route": lambda directory: map(_route_columns, directory.routes.values()),
    "dialling": lambda directory: [_dialling_columns(directory.dialling)],
}
"""The rows of each kind."""
