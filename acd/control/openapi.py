"""The OpenAPI 3.1 document, made of the declarations of the routes, and a page to read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from acd import __version__
from acd.control.once import HEADER, LONGEST
from acd.control.problems import CONTENT_TYPE, ProblemDocument
from acd.control.reference import CONTENT_SECURITY_POLICY, render
from acd.control.route import Ask, Route

_REF = "#/components/schemas/{model}"
_TITLES = {
    400: "The query, or the JSON of the body, cannot be read",
    401: "No token, or one that is not in force",
    403: "The token's role is not enough",
    404: "There is no such thing",
    409: "Not possible in the present state",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "The body does not fit its schema",
    500: "The service failed",
    503: "A part of the service is away; try again",
    504: "The node that has the call does not answer",
}


def routes(others: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of the document and of its page; both describe themselves too.

    They need no token: they hold nothing of the site, and a browser could not send one.
    """

    async def openapi(ask: Ask) -> web.Response:
        return web.Response(body=document, content_type="application/json")

    async def docs(ask: Ask) -> web.Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

    own = (
        Route("GET", "/v1/openapi.json", openapi, None, "documentation", "This document"),
        Route(
            "GET",
            "/v1/docs",
            docs,
            None,
            "documentation",
            "A page to read it",
            media_type="text/html; charset=utf-8",
        ),
    )
    described = describe([*others, *own])
    document = json.dumps(described).encode()
    page = render(described).encode()
    return own


def describe(declared: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in declared:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Automatic call distributor",
            "version": __version__,
            "summary": "Queues, agents, live calls and call records.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in declared)],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(declared),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "tags": [route.tag],
        "security": [] if route.role is None else [{"bearer": []}],
        "responses": _responses(route),
    }
    if route.role is not None:
        operation["x-least-role"] = route.role.value
        operation["x-agents-own"] = route.own is not None
    parameters = [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _responses(route: Route) -> dict[str, Any]:
    problem = _content(ProblemDocument, CONTENT_TYPE)
    responses: dict[str, Any] = {}
    if route.answer is not None:
        content = {**_content(route.answer, route.media_type), **{kind: {} for kind in route.other_types}}
        responses["200"] = {"description": "Done", "content": content}
    elif route.method == "GET":
        responses["200"] = {"description": "Done", "content": {route.media_type: {}}}
    else:
        responses["204"] = {"description": "Done"}
    for status in _statuses(route):
        responses[str(status)] = {"description": _TITLES[status], "content": problem}
    return responses


def _statuses(route: Route) -> list[int]:
    statuses = {*route.errors, 500}
    if route.role is not None:
        statuses |= {401, 403, 503}
    if route.query is not None:
        statuses.add(400)
    if route.body is not None:
        statuses |= {400, 413, 415, 422}
    if route.once:
        statuses |= {400, 409, 422}
    return sorted(statuses)


def _path_parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in route.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    schema = route.query.model_json_schema(ref_template=_REF)
    required = schema.get("required", ())
    for name, described in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in required, "schema": described}


def _header_parameters(route: Route) -> Iterable[dict[str, Any]]:
    if route.once:
        yield {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Of your making. Who sends the request again gets the answer of the first.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        }


def _content(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _schemas(declared: Sequence[Route]) -> dict[str, Any]:
    answers = [route.answer for route in declared if route.answer is not None]
    bodies = [route.body for route in declared if route.body is not None]
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        *((model, "validation") for model in bodies),
        *((model, "serialization") for model in answers),
        (ProblemDocument, "serialization"),
    ]
    _, schema = models_json_schema(models, ref_template=_REF, by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
