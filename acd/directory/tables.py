"""The tables of the directory. Skill maps and networks are JSON: they are read and written whole."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, Integer, String, Table, false, true

from acd.database import metadata

trunks = Table(
    "trunks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("match", JSON, nullable=False),
    Column("max_calls", Integer, nullable=False),
    Column("tls_names", JSON, nullable=False, server_default="[]"),
    Column("srtp", String(16), nullable=False, server_default="off"),
    Column("trusted", Boolean, nullable=False, server_default=true()),
    Column("country", String(2), nullable=False, server_default=""),
    Column("called_from", String(16), nullable=False, server_default="request-uri"),
    Column("headers", JSON, nullable=False, server_default="{}"),
    Column("hosts", JSON, nullable=False, server_default="[]"),
    Column("username", String(128), nullable=False, server_default=""),
    Column("realm", String(128), nullable=False, server_default=""),
    Column("ha1_md5", String(32), nullable=False, server_default=""),
    Column("ha1_sha256", String(64), nullable=False, server_default=""),
    Column("register_seconds", Integer, nullable=False, server_default="0"),
    Column("calls_per_second", Double, nullable=False, server_default="0"),
    Column("calls_per_second_in", Double, nullable=False, server_default="0"),
    Column("probe_seconds", Double, nullable=False, server_default="30"),
    Column("send_headers", JSON, nullable=False, server_default="{}"),
    Column("diversion", String(16), nullable=False, server_default="off"),
    Column("redirects", String(16), nullable=False, server_default="refuse"),
    Column("from_user", String(16), nullable=False, server_default="caller"),
)

numbers = Table(
    "numbers",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("flow", String(128)),
    Column("queue", String(64)),
    Column("language", String(16)),
    Column("priority", Integer, nullable=False),
    Column("skills", JSON, nullable=False),
)

skills = Table("skills", metadata, Column("name", String(64), primary_key=True))

queues = Table(
    "queues",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("requires", JSON, nullable=False),
    Column("any_of", JSON, nullable=False, server_default="[]"),
    Column("teams", JSON, nullable=False, server_default="[]"),
    Column("languages", JSON, nullable=False, server_default="[]"),
    Column("relax", JSON, nullable=False, server_default="[]"),
    Column("order_by", String(16), nullable=False, server_default="arrival"),
    Column("strategy", String(32), nullable=False),
    Column("ring_seconds", Double, nullable=False),
    Column("wrapup_seconds", Double, nullable=False),
    Column("service_level_seconds", Double, nullable=False),
    Column("max_wait_seconds", Double),
    Column("announce_position_seconds", Double, nullable=False),
    Column("announce_wait", String(16), nullable=False, server_default="never"),
    Column("music", String(64), nullable=False),
    Column("transfer_place", String(16), nullable=False, server_default="keep"),
    Column("wrapup_mode", String(16), nullable=False, server_default="fixed"),
    Column("wrapup_limit_seconds", Double, nullable=False, server_default="300"),
    Column("wrapup_codes", JSON, nullable=False, server_default="[]"),
    Column("wrapup_code_required", Boolean, nullable=False, server_default=false()),
    Column("wrapup_form", JSON, nullable=False, server_default="[]"),
    Column("refusal_reasons", JSON, nullable=False, server_default="[]"),
    Column("refusal_reason_required", Boolean, nullable=False, server_default=false()),
    Column("callback", JSON(none_as_null=True)),
    Column("ring_agents", Integer, nullable=False, server_default="1"),
    Column("overflow", JSON, nullable=False, server_default="[]"),
    Column("max_waiting", Integer),
    Column("join_when_empty", Boolean, nullable=False, server_default=true()),
    Column("leave_when_empty", Boolean, nullable=False, server_default=false()),
    Column("agents_count_as_absent", JSON, nullable=False, server_default='["paused", "not-answering"]'),
    Column("voicemail", JSON(none_as_null=True)),
    Column("caller_id", String(32), nullable=False, server_default=""),
    Column("refusals", JSON, nullable=False, server_default="{}"),
    Column("preferred_seconds", Double, nullable=False, server_default="20"),
    Column("last_agent", JSON(none_as_null=True)),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("lends_while", JSON(none_as_null=True)),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("extension", String(32), nullable=False, unique=True),
    Column("name", String(128), nullable=False),
    Column("ha1_md5", String(32), nullable=False),
    Column("ha1_sha256", String(64), nullable=False),
    Column("skills", JSON, nullable=False),
    Column("sign_in", String(16), nullable=False),
    Column("team", String(128), nullable=False),
    Column("leads", JSON, nullable=False, server_default="[]"),
    Column("queues", JSON, nullable=False, server_default="{}"),
    Column("takes", String(16), nullable=False, server_default="most-urgent"),
    Column("lent", JSON, nullable=False, server_default="{}"),
    Column("order", Integer, nullable=False, server_default="0"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("capacity", Integer, nullable=False, server_default="1"),
    Column("device", String(64), nullable=False, server_default=""),
    Column("voicemail", JSON(none_as_null=True)),
    Column("dialling", JSON(none_as_null=True)),
    Column("caller_id", String(32), nullable=False, server_default=""),
    Column("outside_calls", Integer),
)

teams = Table(
    "teams",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("dialling", JSON, nullable=False),
    Column("caller_id", String(32), nullable=False),
    Column("outside_calls", Integer),
)

routes = Table(
    "routes",
    metadata,
    Column("prefix", String(16), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("trunks", JSON, nullable=False),
    Column("strip", Integer, nullable=False),
    Column("prepend", String(16), nullable=False),
)

dialling = Table(
    "dialling",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("country", String(2), nullable=False),
    Column("caller_id", String(32), nullable=False),
    Column("outside_calls", Integer, nullable=False),
    Column("ring_seconds", Double, nullable=False),
    Column("wrapup_seconds", Double, nullable=False),
    Column("operators", JSON, nullable=False),
)
"""One row, named centre; without it all is as it is by default."""

devices = Table(
    "devices",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("user_agent", String(128), nullable=False),
    Column("auto_answer", String(16), nullable=False),
    Column("srtp", String(16), nullable=False),
    Column("display", String(16), nullable=False),
    Column("call_info", String(500), nullable=False),
)

boxes = Table(
    "boxes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("number", String(16), nullable=False),
    Column("rules", JSON, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("secret", String(128), nullable=False),
    Column("events", JSON, nullable=False),
)

priorities = Table(
    "priorities",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("priority", Integer, nullable=False),
)

caller_lists = Table(
    "caller_lists",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("order", Integer, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("prefixes", JSON, nullable=False),
    Column("gives", JSON, nullable=False),
    Column("lookup", JSON(none_as_null=True)),
)

listed = Table(
    "listed_numbers",
    metadata,
    Column("list", String(64), primary_key=True),
    Column("number", String(32), primary_key=True),
    Column("revision", Integer, nullable=False, index=True),
    Column("removed", Boolean, nullable=False, server_default=false()),
    Column("note", String(128), nullable=False, server_default=""),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(64), nullable=False, server_default=""),
)
"""What was put on caller lists, or taken off, while the service runs. `revision` is that of the change."""

listed_state = Table(
    "listed_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
)
"""One row, id 1: the number of the newest change of a list."""

codes = Table(
    "codes",
    metadata,
    Column("code", String(16), primary_key=True),
    Column("does", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
)

do_not_call = Table(
    "do_not_call",
    metadata,
    Column("entry", String(24), primary_key=True),
    Column("note", String(200), nullable=False),
    Column("added_at", Double, nullable=False),
)
"""Beside the directory: the API changes it entry by entry."""

state = Table(
    "directory_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("realm", String(255), nullable=False),
    Column("applied_at", Double, nullable=False),
)
"""One row, id 1. `realm` is the one that the agents' password hashes were made for."""
