"""Errors as the API shows them: application/problem+json (RFC 9457), for every status and every cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from acd.agents.desk import StateNotAllowed, UnknownAgent
from acd.agents.notes import NoteMissing, NoteProblem
from acd.calls.outward import DialRefused
from acd.calls.targets import TransferImpossible, UnknownPreferred, UnknownTarget
from routing.ports import StoreUnavailable

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"


class FieldError(BaseModel):
    pointer: str = Field(description="Where in the body or the query: a JSON pointer (RFC 6901).")
    detail: str


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="Names the kind of problem; stable.")
    title: str
    status: int
    detail: str
    request_id: str = Field(description="Also in the X-Request-Id header and in the logs.")
    errors: list[FieldError] | None = None
    checks: dict[str, bool] | None = Field(default=None, description="Of /readyz: part -> can do its work.")


class Problem(Exception):
    """Ends a request with this answer. `kind` is a short fixed word."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        checks: Mapping[str, bool] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors
        self.checks = checks


def not_found(what: str) -> Problem:
    return Problem(404, "not-found", f"There is no such {what}.")


def invalid(error: ValidationError, where: str) -> Problem:
    """A body or query that does not fit its schema. Says what is wrong, never repeats what was sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(item["type"] == "json_invalid" for item in found):
        return Problem(400, "malformed-json", "The body is not JSON.")
    errors = [FieldError(pointer=_pointer(item["loc"]), detail=item["msg"]) for item in found]
    status = 422 if where == "body" else 400
    return Problem(status, "invalid-" + where, f"The {where} does not fit its schema.", errors=errors)


def field_errors(problems: Sequence[NoteProblem]) -> list[FieldError]:
    """What is wrong with a note, or missing in it, where it stands in the body of a wrap-up."""
    return [
        FieldError(
            pointer=f"/fields/{problem.field[:64]}" if problem.in_form else f"/{problem.field}",
            detail=problem.message,
        )
        for problem in problems
    ]


def _pointer(location: Sequence[int | str]) -> str:
    # A key of the sender's own choosing may stand here (extra fields): bounded, and JSON text anyway.
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1")[:64] for part in location)


def response_to(error: Exception, request_id: str) -> web.Response:
    """The answer to any exception of a handler. What we did not foresee is logged and told as 500."""
    problem = problem_of(error)
    if problem is None:
        log.error("http-handler-failed", request_id=request_id, exc_info=error)
        problem = Problem(500, "internal", "The service failed to answer; see its log.")
    elif problem.status == HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(error, Problem):
        log.warning("http-unavailable", request_id=request_id, kind=problem.kind, error=str(error))
    return _render(problem, request_id)


def status_of(error: Exception) -> int:
    """The status with which `response_to` answers."""
    problem = problem_of(error)
    return problem.status if problem else 500


def problem_of(error: Exception) -> Problem | None:
    """How it is told; None for what was not foreseen."""
    match error:
        case Problem():
            return error
        case web.HTTPException():
            return _from_http(error)
        case UnknownAgent():
            return not_found("agent")
        case UnknownTarget():
            field = FieldError(pointer="/to", detail=str(error))
            return Problem(422, error.cause, "The target of the transfer is not known.", errors=[field])
        case UnknownPreferred():
            field = FieldError(pointer="/preferred_agent", detail=str(error))
            return Problem(422, error.cause, "The preferred agent is not known.", errors=[field])
        case DialRefused():
            return Problem(403, error.cause, str(error))
        case NoteMissing():
            return Problem(409, error.cause, str(error), errors=field_errors(error.problems))
        case StateNotAllowed() | TransferImpossible():
            return Problem(409, error.cause, str(error))
        case asyncio.TimeoutError():
            return Problem(503, "timed-out", "The service took too long; try again.")
        case StoreUnavailable() | RedisError():
            return Problem(503, "store-unavailable", "The store of live state is away; try again.")
        case SQLAlchemyError():
            return Problem(503, "database-unavailable", "The database cannot be read; try again.")
    return None


_DETAILS = {
    404: "There is nothing at this path.",
    405: "This path does not take that method.",
    413: "The body is larger than this service takes.",
}


def _from_http(error: web.HTTPException) -> Problem:
    status = error.status if error.status >= 400 else 500
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    kind = _title(status).lower().replace(" ", "-")
    return Problem(status, kind, _DETAILS.get(status, "The request cannot be answered."), headers=kept)


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def _render(problem: Problem, request_id: str) -> web.Response:
    document: dict[str, Any] = ProblemDocument(
        type=f"urn:acd:problem:{problem.kind}",
        title=_title(problem.status),
        status=problem.status,
        detail=problem.detail,
        request_id=request_id,
        errors=list(problem.errors) or None,
        checks=dict(problem.checks) if problem.checks is not None else None,
    ).model_dump(exclude_none=True)
    body = json.dumps(document).encode()
    return web.Response(status=problem.status, body=body, content_type=CONTENT_TYPE, headers=problem.headers)
