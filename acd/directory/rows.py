"""The entries of the directory as rows of its tables, and back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import RowMapping

from acd.directory.diff import Kind
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
from routing.model import Lending
from routing.overflow import Conditions

_VOICEMAIL_LISTS = ("greeting", "agents", "teams")
_Entry = TypeVar("_Entry")


def directory_of(revision: int, rows: Mapping[Kind, Sequence[RowMapping]]) -> Directory:
    """The directory that the rows of all its tables tell of."""
    agents = [_agent(row) for row in rows["agent"]]
    lists = sorted((_caller_list(row) for row in rows["caller-list"]), key=lambda entry: entry.order)
    centre = [_dialling(row) for row in rows["dialling"]]
    return Directory(
        revision=revision,
        trunks=_by("name", map(_trunk, rows["trunk"])),
        numbers=_by("number", (Number(**_frozen(row, "skills")) for row in rows["number"])),
        skills=frozenset(row["name"] for row in rows["skill"]),
        queues=_by("name", map(_queue, rows["queue"])),
        agents=_by("id", agents),
        agent_by_extension=_by("extension", agents),
        codes=_by("code", map(_code, rows["code"])),
        devices=_by("name", (Device(**row) for row in rows["device"])),
        boxes=_by("name", map(_box, rows["box"])),
        webhooks=_by("name", (Webhook(**_listed(row, "events")) for row in rows["webhook"])),
        priorities=_by("name", (PriorityClass(**row) for row in rows["priority"])),
        caller_lists=_by("name", lists),
        teams=_by("name", (Team(**_listed(row, "dialling")) for row in rows["team"])),
        routes=_by("prefix", (Route(**_listed(row, "trunks")) for row in rows["route"])),
        dialling=centre[0] if centre else Dialling(),
    )


def _by(key: str, entries: Iterable[_Entry]) -> Mapping[str, _Entry]:
    return MappingProxyType({getattr(entry, key): entry for entry in entries})


def _box(row: RowMapping) -> Box:
    return Box(row["name"], row["number"], _voicemail_rules(row["rules"]))


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
            **_languages(row["languages"]),
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


def _languages(column: Sequence[str] | Mapping[str, int]) -> dict[str, Any]:
    """A list, or a level for each."""
    levels = (
        {name: level for name, level in column.items() if level > 1} if isinstance(column, Mapping) else {}
    )
    return {"languages": tuple(column), "language_levels": MappingProxyType(levels)}


def _language_column(queue: Queue) -> list[str] | dict[str, int]:
    if not queue.language_levels:
        return [*queue.languages]
    return {language: queue.language_levels.get(language, 1) for language in queue.languages}


def _queue_columns(queue: Queue) -> dict[str, Any]:
    callback, columns = queue.callback, _columns(queue, "requires")
    del columns["language_levels"]  # They stand with the languages.
    return {
        **columns,
        "any_of": [dict(group) for group in queue.any_of],
        "teams": [*queue.teams],
        "languages": _language_column(queue),
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


ROWS: Mapping[Kind, Callable[[Directory], Iterable[dict[str, Any]]]] = {
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
