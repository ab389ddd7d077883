"""/healthz: the process answers. /readyz: it can take calls. /metrics: for Prometheus."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from pydantic import BaseModel

from acd import __version__
from acd.control.problems import Problem
from acd.control.route import Ask, Route
from acd.control.tokens import Role

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"
    checks: dict[str, bool]


async def healthz(ask: Ask) -> Health:
    return Health()


async def readyz(ask: Ask) -> Readiness:
    checks = dict(ask.context.ready())
    failing = sorted(part for part, able in checks.items() if not able)
    if failing:
        raise Problem(503, "not-ready", f"Not able to take calls: {', '.join(failing)}.", checks=checks)
    return Readiness(checks=checks)


async def metrics(ask: Ask) -> web.Response:
    return web.Response(body=await ask.context.metrics.render(), headers={"Content-Type": _METRICS_TYPE})


def routes(*, open_metrics: bool) -> tuple[Route, ...]:
    """On a loopback listener Prometheus needs no token; anywhere else that of a viewer."""
    needed = None if open_metrics else Role.VIEWER
    return (
        Route("GET", "/healthz", healthz, None, "health", "The process answers", answer=Health),
        Route(
            "GET",
            "/readyz",
            readyz,
            None,
            "health",
            "The node can take calls",
            answer=Readiness,
            errors=(503,),
        ),
        Route("GET", "/metrics", metrics, needed, "health", "Prometheus metrics", media_type=_METRICS_TYPE),
    )
