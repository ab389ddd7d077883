"""Every route against every role; what is not declared is denied."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from acd.callers.members import ListedNumber
from acd.control.app import declared_routes
from acd.control.tokens import Role
from acd.directory.do_not_call import Listed
from tests.support.control import Centre, a_call, a_callback, a_message, bearer, serving, trace_one

ROUTES = declared_routes(open_metrics=False)
LEAST = {
    ("GET", "/v1/queues"): "viewer",
    ("GET", "/v1/queues/{name}"): "viewer",
    ("GET", "/v1/agents"): "viewer",
    ("GET", "/v1/agents/{id}"): "viewer",
    ("GET", "/v1/agents/{id}/wrap-up"): "viewer",
    ("POST", "/v1/agents/{id}/wrap-up"): "supervisor",
    ("POST", "/v1/agents/{id}/state"): "supervisor",
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


def test_every_route_is_listed_here_with_its_least_role():
    assert {(route.method, route.path): route.role for route in ROUTES} == {
        key: role and Role(role) for key, role in LEAST.items()
    }


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize(("method", "path"), list(LEAST))
async def test_a_route_answers_the_roles_it_is_for_and_no_other(
    method: str, path: str, role: Role | None, tmp_path: Path
):
    centre = Centre()
    centre.messages.kept["c1"], centre.messages.folder = a_message("c1"), tmp_path
    (tmp_path / "c1.wav").write_bytes(b"RIFF")
    centre.calls.views["c1"] = a_call()
    trace_one(centre, "c1")
    centre.callbacks.kept["c1"] = a_callback("c1")
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
    centre.caller_lists.kept["vips", "+3725550009"] = ListedNumber("+3725550009", "", 0.0, "admin")
    url = url.replace("{entry}", "37255512345")
    centre.do_not_call.listed["37255512345"] = Listed("37255512345", "", 0.0)
    wanted = {"state": "paused", "reason": "lunch"}
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
    elif "wrap-up" in path:
        wanted = {"end": True}
    elif path == "/v1/trace":
        wanted = {"trunk": "carrier"}
    elif "voicemail" in path:
        wanted = {"heard": True}
    body = {"json": wanted} if method in ("POST", "PATCH") else {}
    async with serving(centre) as client:
        response = await client.request(method, url, headers=bearer(role) if role else {}, **body)
    needed = LEAST[method, path]
    if needed is None or (role is not None and role.covers(Role(needed))):
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
