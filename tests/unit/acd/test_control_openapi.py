"""The document says what the routes do, since both come from one declaration."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from jsonschema import Draft202012Validator

from acd.control.app import declared_routes
from acd.control.openapi import describe
from tests.support.control import Centre, a_call, a_record, bearer, serving

ROUTES = declared_routes(open_metrics=False)
DOCUMENT = describe(ROUTES)


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


def test_every_route_is_described_with_its_security():
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert operation["security"] == ([{"bearer": []}] if route.role else [])
        assert ("401" in operation["responses"]) == bool(route.role)


def test_every_reference_is_defined_and_every_schema_is_valid():
    schemas = DOCUMENT["components"]["schemas"]
    assert references(DOCUMENT) <= {f"#/components/schemas/{name}" for name in schemas}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_operation_ids_are_unique():
    ids = [
        operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_the_filters_of_records_are_described_by_their_names_on_the_wire():
    parameters = DOCUMENT["paths"]["/v1/records"]["get"]["parameters"]
    names = [parameter["name"] for parameter in parameters]
    assert names == ["cursor", "limit", "queue", "agent", "outcome", "note_missing", "from", "to", "format"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/queues",
        "/v1/queues/billing",
        "/v1/agents",
        "/v1/agents/anna",
        "/v1/calls",
        "/v1/calls/c1",
        "/v1/records",
        "/healthz",
        "/readyz",
        "/v1/calls/unknown",
    ],
)
async def test_answers_fit_the_schema_they_are_described_by(path: str):
    centre = Centre()
    centre.calls.views["c1"] = a_call()
    centre.records.kept = [a_record()]
    async with serving(centre) as client:
        document = await (await client.get("/v1/openapi.json")).json()
        response = await client.get(path, headers=bearer("viewer"))
        answer = await response.json()
    parts = path.split("/")
    template = (
        path if len(parts) < 4 else "/".join([*parts[:3], "{name}" if parts[2] == "queues" else "{id}"])
    )
    described = document["paths"][template]["get"]["responses"][str(response.status)]["content"]
    schema = described[response.content_type]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [value for key in ("href", "src") if (value := found.get(key))]
        if found.get("id"):
            self.ids.add(str(found["id"]))


async def test_the_page_needs_no_script_and_nothing_from_elsewhere():
    async with serving(Centre()) as client:
        response = await client.get("/v1/docs")
        text = await response.text()
    page = Page()
    page.feed(text)
    assert response.content_type == "text/html"
    assert "style-src 'sha256-" in response.headers["Content-Security-Policy"]
    assert "script" not in page.tags
    assert all(link == "/v1/openapi.json" or link.removeprefix("#") in page.ids for link in page.links)
    for route in ROUTES:
        assert route.path in text


async def test_the_served_document_is_the_described_one():
    async with serving(Centre(), open_metrics=False) as client:
        assert await (await client.get("/v1/openapi.json")).json() == json.loads(json.dumps(DOCUMENT))
