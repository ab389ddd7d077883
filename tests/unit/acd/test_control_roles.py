"""Every route against every role; what is not declared is denied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from acd.agents.notes import RefusedCall
from acd.callers.members import ListedNumber
from acd.control.app import declared_routes
from acd.control.tokens import Role
from acd.directory.do_not_call import Listed
from acd.directory.model import Queue, VoicemailRules
from acd.directory.model import Route as OutsideRoute
from tests.support.control import NOW, Centre, a_call, a_callback, a_message, bearer, serving, trace_one

ROUTES = declared_routes(open_metrics=False)
LEAST = {
    ("GET", "/v1/queues"): "viewer",
    ("GET", "/v1/queues/{name}"): "viewer",
    ("GET", "/v1/agents"): "viewer",
    ("GET", "/v1/agents/{id}"): "viewer",
    ("GET", "/v1/agents/{id}/wrap-up"): "viewer",
    ("POST", "/v1/agents/{id}/wrap-up"): "supervisor",
    ("GET", "/v1/agents/{id}/refusal"): "viewer",
    ("POST", "/v1/agents/{id}/refusal"): "supervisor",
    ("POST", "/v1/agents/{id}/state"): "supervisor",
    ("GET", "/v1/events"): "viewer",
    ("GET", "/v1/calls"): "viewer",
    ("GET", "/v1/calls/{id}"): "viewer",
    ("GET", "/v1/calls/{id}/why"): "viewer",
    ("DELETE", "/v1/calls/{id}"): "supervisor",
    ("POST", "/v1/calls/{id}/transfer"): "supervisor",
    ("GET", "/v1/trace"): "supervisor",
    ("POST", "/v1/trace"): "supervisor",
    ("DELETE", "/v1/trace"): "supervisor",
    ("POST", "/v1/calls/{id}/trace"): "supervisor",
    ("GET", "/v1/calls/{id}/trace"): "supervisor",
    ("GET", "/v1/calls/{id}/trace.html"): "supervisor",
    ("GET", "/v1/calls/{id}/trace.pcap"): "supervisor",
    ("GET", "/v1/records"): "viewer",
    ("GET", "/v1/trunks"): "viewer",
    ("GET", "/v1/trunks/{name}"): "viewer",
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "viewer",
    ("GET", "/v1/callbacks"): "viewer",
    ("POST", "/v1/callbacks"): "supervisor",
    ("GET", "/v1/do-not-call"): "supervisor",
    ("POST", "/v1/do-not-call"): "supervisor",
    ("POST", "/v1/agents/{id}/calls"): "supervisor",
    ("GET", "/v1/do-not-call/{entry}"): "supervisor",
    ("DELETE", "/v1/do-not-call/{entry}"): "supervisor",
    ("DELETE", "/v1/callbacks/{id}"): "supervisor",
    ("GET", "/v1/caller-lists"): "viewer",
    ("GET", "/v1/caller-lists/{name}/numbers"): "viewer",
    ("POST", "/v1/caller-lists/{name}/numbers"): "supervisor",
    ("DELETE", "/v1/caller-lists/{name}/numbers/{number}"): "supervisor",
    ("GET", "/v1/voicemail"): "viewer",
    ("GET", "/v1/voicemail/{box}"): "supervisor",
    ("GET", "/v1/voicemail/{box}/{id}/audio"): "supervisor",
    ("PATCH", "/v1/voicemail/{box}/{id}"): "supervisor",
    ("DELETE", "/v1/voicemail/{box}/{id}"): "supervisor",
    ("GET", "/v1/openapi.json"): None,
    ("GET", "/v1/docs"): None,
}

AGENTS_OWN = {
    ("GET", "/v1/agents/{id}"),
    ("POST", "/v1/agents/{id}/state"),
    ("GET", "/v1/agents/{id}/wrap-up"),
    ("POST", "/v1/agents/{id}/wrap-up"),
    ("POST", "/v1/agents/{id}/calls"),
    ("GET", "/v1/agents/{id}/refusal"),
    ("POST", "/v1/agents/{id}/refusal"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/{id}"),
    ("POST", "/v1/calls/{id}/transfer"),
    ("GET", "/v1/callbacks"),
    ("POST", "/v1/callbacks"),
    ("DELETE", "/v1/callbacks/{id}"),
    ("GET", "/v1/voicemail"),
    ("GET", "/v1/voicemail/{box}"),
    ("GET", "/v1/voicemail/{box}/{id}/audio"),
    ("PATCH", "/v1/voicemail/{box}/{id}"),
    ("DELETE", "/v1/voicemail/{box}/{id}"),
}
"""What agents may do with what is their own."""
LISTS = {("GET", "/v1/calls"), ("GET", "/v1/callbacks"), ("GET", "/v1/voicemail")}
"""These have just what is the agent's own."""


def test_every_route_is_listed_here_with_its_least_role():
    assert {(route.method, route.path): route.role for route in ROUTES} == {
        key: role and Role(role) for key, role in LEAST.items()
    }
    assert {(route.method, route.path) for route in ROUTES if route.own} == AGENTS_OWN


def annas_centre(tmp_path: Path) -> Centre:
    """What there is, is anna's: a call, a message, a callback."""
    centre = Centre()
    anna = replace(
        centre.directory.agents["anna"], voicemail=VoicemailRules(), dialling=("national",), team="day"
    )
    queues = {**centre.directory.queues, "billing": Queue("billing", refusal_reasons=("busy",))}
    refused = RefusedCall("c1", "anna", "billing", NOW - 10, required=True)
    centre.refusals.kept["c1", "anna"] = refused
    routes = {"+372": OutsideRoute("+372", "national", ("carrier",))}
    agents = {**centre.directory.agents, "anna": anna}
    centre.directory = replace(centre.directory, agents=agents, routes=routes, queues=queues)
    centre.messages.kept["c1"], centre.messages.folder = a_message("c1"), tmp_path
    (tmp_path / "c1.wav").write_bytes(b"RIFF")
    centre.calls.views["c1"] = replace(a_call(), state="talking", agent="anna")
    trace_one(centre, "c1")
    centre.callbacks.kept["c1"] = a_callback("c1", queue="extension", agent="anna", kind="follow-up")
    centre.caller_lists.kept["vips", "+3725550009"] = ListedNumber("+3725550009", "", 0.0, "admin")
    centre.do_not_call.listed["37255512345"] = Listed("37255512345", "", 0.0)
    return centre


def asked(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """The address and the body of a request to a route."""
    section = path.split("/")[2] if path.startswith("/v1/") else ""
    which = {"queues": "billing", "agents": "anna", "trunks": "carrier", "caller-lists": "vips"}.get(
        section, "c1"
    )
    url = (
        path.replace("{name}", which)
        .replace("{id}", which)
        .replace("{box}", "agent:anna")
        .replace("{number}", "+3725550009")
    )
    url = url.replace("{entry}", "37255512345")
    wanted: dict[str, Any] = {"state": "paused", "reason": "lunch"}
    if "transfer" in path:
        wanted = {"to": "1002"}
    elif path == "/v1/callbacks":
        wanted = {"number": "+3725550001", "at": "2027-01-15T08:00:00Z", "agent": "anna"}
    elif path.endswith("/calls"):
        wanted = {"to": "+37255512345"}
    elif "caller-lists" in path:
        wanted = {"number": "+3725550008"}
    elif path == "/v1/do-not-call":
        wanted = {"numbers": ["+3725550001"]}
    elif path.endswith("/refusal"):
        wanted = {"reason": "busy"}
    elif "wrap-up" in path:
        wanted = {"end": True}
    elif path == "/v1/trace":
        wanted = {"trunk": "carrier"}
    elif "voicemail" in path:
        wanted = {"heard": True}
    return url, {"json": wanted} if method in ("POST", "PATCH") else {}


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize(("method", "path"), list(LEAST))
async def test_a_route_answers_the_roles_it_is_for_and_no_other(
    method: str, path: str, role: Role | None, tmp_path: Path
):
    centre = annas_centre(tmp_path)
    url, body = asked(method, path)
    async with serving(centre) as client:
        response = await client.request(method, url, headers=bearer(role) if role else {}, **body)
    needed = LEAST[method, path]
    own = role is Role.AGENT and (method, path) in AGENTS_OWN
    if needed is None or own or (role is not None and role.covers(Role(needed))):
        assert response.status in (200, 204)
    elif role is None:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    else:
        assert response.status == 403
        assert "insufficient_scope" in response.headers["WWW-Authenticate"]
        assert centre.calls.hung_up == []
        assert centre.agents.changes == []
        assert centre.calls.transfers == []
        assert centre.messages.kept == {"c1": a_message("c1")}


@pytest.mark.parametrize(("method", "path"), sorted(AGENTS_OWN))
async def test_an_agents_token_is_for_nothing_of_another(method: str, path: str, tmp_path: Path):
    centre = annas_centre(tmp_path)
    url, body = asked(method, path)
    async with serving(centre) as client:
        response = await client.request(method, url, headers={"Authorization": "Bearer acd_bert"}, **body)
        answer = await response.json()
    if (method, path) in LISTS:
        assert (response.status, answer["items"]) == (200, [])
    else:
        assert (response.status, answer["type"]) == (403, "urn:acd:problem:forbidden")
        assert "own" in answer["detail"] or "self" in answer["detail"]
        assert "insufficient_scope" in response.headers["WWW-Authenticate"]
    assert (centre.calls.transfers, centre.calls.dialled, centre.agents.changes) == ([], [], [])
    assert (list(centre.callbacks.kept), list(centre.messages.kept)) == (["c1"], ["c1"])
    assert centre.messages.kept["c1"].heard_at is None


async def test_the_token_of_an_agent_who_left_opens_nothing(tmp_path: Path):
    centre = annas_centre(tmp_path)
    centre.directory = replace(centre.directory, agents={})
    async with serving(centre) as client:
        for path in ("/v1/calls", "/v1/agents/anna", "/v1/queues"):
            response = await client.get(path, headers=bearer(Role.AGENT))
            assert (response.status, "no longer" in (await response.json())["detail"]) == (403, True)


async def test_an_agent_acts_by_name_and_with_the_agents_own_rights(tmp_path: Path):
    centre = annas_centre(tmp_path)
    async with serving(centre) as client:
        to, heard = {"to": "1002"}, {"heard": True}
        await client.post("/v1/calls/c1/transfer", json=to, headers=bearer(Role.AGENT))
        await client.patch("/v1/voicemail/agent:anna/c1", json=heard, headers=bearer(Role.AGENT))
        shown = await (await client.get("/v1/calls/c1", headers=bearer(Role.AGENT))).json()
        missing = await client.get("/v1/calls/c9", headers=bearer(Role.AGENT))
    assert centre.calls.transferred_by == ["anna"]
    assert centre.messages.kept["c1"].heard_by == "anna"
    assert (shown["caller"], missing.status) == ("+37255512345", 404)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "Basic YWNkX3Y6",
        "acd_v",
        "Bearer " + "x" * 5000,
        "Bearer acd_v acd_s",
        "Bearer \xff\xfe",
    ],
)
async def test_a_header_that_holds_no_token_in_force_is_refused(header: str):
    async with serving(Centre()) as client:
        response = await client.get("/v1/queues", headers={"Authorization": header})
        assert response.status == 401
        problem = await response.json()
    assert "invalid_token" in response.headers["WWW-Authenticate"]
    assert problem["type"] == "urn:acd:problem:unauthorised"
    assert header not in str(problem)


async def test_the_scheme_is_read_in_any_case():
    async with serving(Centre()) as client:
        response = await client.get("/v1/queues", headers={"Authorization": "bEaReR acd_v"})
    assert response.status == 200


async def test_without_a_token_unknown_paths_and_methods_look_like_known_ones():
    async with serving(Centre()) as client:
        for method, path in [
            ("GET", "/v1/nothing"),
            ("PUT", "/v1/queues"),
            ("GET", "/"),
            ("GET", "/v1/queues"),
        ]:
            response = await client.request(method, path)
            assert response.status == 401, path


async def test_metrics_need_no_token_where_only_this_machine_can_ask():
    async with serving(Centre(), open_metrics=True) as client:
        assert (await client.get("/metrics")).status == 200
        assert (await client.get("/v1/queues")).status == 401


async def test_a_refused_token_leaves_one_fixed_line_with_the_peer_only():
    with structlog.testing.capture_logs() as logs:
        async with serving(Centre()) as client:
            await client.get(
                "/v1/queues?x=evil", headers={"Authorization": "Bearer evil", "User-Agent": "evil"}
            )
    assert [entry["event"] for entry in logs] == [
        "acd-security event=auth-failure method=HTTP source=127.0.0.1 transport=http"
    ]
