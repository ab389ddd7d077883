"""Every error is a problem document (RFC 9457) with a request id, and tells no secret."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import TestClient
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError

from acd.control.app import LARGEST_BODY, ControlServer, is_loopback
from routing.ports import StoreUnavailable
from tests.support.control import Centre, FakeRecords, bearer, serving


async def problem_of(response, status: int, kind: str) -> dict:
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    document = await response.json()
    assert document["status"] == status
    assert document["type"] == f"urn:acd:problem:{kind}"
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["X-Request-Id"]
    assert response.headers["Cache-Control"] == "no-store"
    return document


async def test_an_unknown_path_is_a_problem(client: TestClient):
    await problem_of(await client.get("/v2/x", headers=bearer("viewer")), 404, "not-found")


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: TestClient):
    response = await client.put("/v1/calls/c1", headers=bearer("viewer"))
    await problem_of(response, 405, "method-not-allowed")
    assert {"GET", "DELETE"} <= set(response.headers["Allow"].split(","))


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "malformed-json"),
        (b"{", 400, "malformed-json"),
        (b"\xff\xfe", 400, "malformed-json"),
        (b"[" * 30_000, 400, "malformed-json"),
        (b"null", 422, "invalid-body"),
        (b"[]", 422, "invalid-body"),
        (b"{}", 422, "invalid-body"),
        (b'{"state": "talking"}', 422, "invalid-body"),
        (b'{"state": "paused", "reason": 7}', 422, "invalid-body"),
        (b'{"state": "paused", "reason": "a\\nb"}', 422, "invalid-body"),
        (b'{"state": "paused", "reason": "' + b"x" * 65 + b'"}', 422, "invalid-body"),
        (b'{"state": "paused", "colour": "red"}', 422, "invalid-body"),
    ],
)
async def test_a_body_that_does_not_fit_changes_nothing(
    client: TestClient, centre: Centre, body: bytes, status: int, kind: str
):
    headers = {**bearer("supervisor"), "Content-Type": "application/json"}
    response = await client.post("/v1/agents/anna/state", data=body, headers=headers)
    document = await problem_of(response, status, kind)
    assert ("errors" in document) == (kind == "invalid-body")
    assert centre.agents.changes == []


async def test_a_body_of_another_type_is_refused(client: TestClient):
    response = await client.post("/v1/agents/anna/state", data="state=paused", headers=bearer("supervisor"))
    await problem_of(response, 415, "unsupported-media-type")


async def test_a_body_that_is_too_large_is_refused(client: TestClient, centre: Centre):
    headers = {**bearer("supervisor"), "Content-Type": "application/json"}
    response = await client.post("/v1/agents/anna/state", data=b" " * (LARGEST_BODY + 1), headers=headers)
    assert response.status == 413
    assert (await response.json())["status"] == 413
    assert centre.agents.changes == []


@pytest.mark.parametrize("failure", [RedisConnectionError, StoreUnavailable])
async def test_a_store_that_is_away_is_a_503_and_names_no_address(
    client: TestClient, centre: Centre, failure: type[Exception]
):
    centre.store.failure = failure("Error 111 connecting to unix:///secret/redis.sock")
    document = await problem_of(
        await client.get("/v1/queues", headers=bearer("viewer")), 503, "store-unavailable"
    )
    assert "secret" not in str(document)


async def test_a_database_that_is_away_is_a_503(
    client: TestClient, centre: Centre, monkeypatch: pytest.MonkeyPatch
):
    async def broken(self, *args):
        raise OperationalError("SELECT secret", {}, Exception("disk full"))

    monkeypatch.setattr(FakeRecords, "records", broken)
    response = await client.get("/v1/records", headers=bearer("viewer"))
    assert "secret" not in str(await problem_of(response, 503, "database-unavailable"))


async def test_what_nobody_foresaw_is_a_500_that_tells_nothing(client: TestClient, centre: Centre):
    centre.store.failure = KeyError("secret")
    document = await problem_of(await client.get("/v1/queues", headers=bearer("viewer")), 500, "internal")
    assert "secret" not in str(document)


async def test_a_request_that_takes_too_long_is_given_up(centre: Centre, monkeypatch: pytest.MonkeyPatch):
    async def never(self, *args):
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeRecords, "records", never)
    async with serving(centre, request_seconds=0.02) as client:
        await problem_of(await client.get("/v1/records", headers=bearer("viewer")), 503, "timed-out")


async def test_readiness_names_the_parts_that_are_not_able(client: TestClient, centre: Centre):
    assert (await (await client.get("/readyz")).json())["checks"] == {"redis": True, "sip": True}
    centre.ready["redis"] = False
    document = await problem_of(await client.get("/readyz"), 503, "not-ready")
    assert document["checks"] == {"redis": False, "sip": True}
    assert (await client.get("/healthz")).status == 200


async def test_a_request_id_is_kept_when_it_is_well_formed_and_made_when_not(client: TestClient):
    kept = await client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    assert kept.headers["X-Request-Id"] == "abc-1.2_3"
    made = await client.get("/healthz", headers={"X-Request-Id": "<script>" * 20})
    assert made.headers["X-Request-Id"] != "<script>" * 20
    assert "script" not in made.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/queues", "/v1/docs", "/nothing"])
async def test_every_answer_carries_the_security_headers(client: TestClient, path: str):
    response = await client.get(path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Server"] == "acd"


async def test_health_may_be_asked_by_head(client: TestClient):
    assert (await client.head("/healthz")).status == 200


async def test_the_server_listens_on_a_free_port_and_lets_it_go(centre: Centre):
    server = ControlServer(centre.context(), "127.0.0.1", 0)
    await server.start()
    host, port = server.address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()
    assert server.url == f"http://127.0.0.1:{port}"
    await server.stop()
    with pytest.raises(OSError):
        await asyncio.open_connection(host, port)


@pytest.mark.parametrize("garbage", [b"\x00\xff\r\n\r\n", b"GET /<script> HTTP/9.9\r\n\r\n", b"A" * 20_000])
async def test_bytes_that_are_not_http_end_the_connection_only(
    centre: Centre, garbage: bytes, caplog: pytest.LogCaptureFixture
):
    server = ControlServer(centre.context(), "127.0.0.1", 0)
    await server.start()
    try:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(garbage)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b"HTTP/1.0 400" in answer or b"HTTP/1.1 400" in answer
        assert b"text/html" not in answer
        writer.close()
        _, again = await asyncio.open_connection(*server.address)
        again.close()
        assert caplog.records == []
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_loopback_counts_as_this_machine(host: str, local: bool):
    assert is_loopback(host) is local
