"""The OpenAPI document as one page of plain HTML: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b2430; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #cfd6de }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { background: #f3f5f7; padding: .75rem; overflow-x: auto; border-radius: 4px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #e6eaee }
.method { font-weight: 700; margin-right: .5rem }
.role { color: #51606f }
a { color: #0b5cad }
@media (prefers-color-scheme: dark) {
  body { color: #dfe5ec; background: #14191f } pre { background: #1e252d } a { color: #7db8f5 }
  h2, th, td { border-color: #36404b } .role { color: #9fb0c0 } }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src 'sha256-{_HASH}'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)


def render(document: Mapping[str, Any]) -> str:
    """A whole HTML page."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
            f"<p>{escape(document['info']['summary'])} ",
            'The same as a document: <a href="/v1/openapi.json">/v1/openapi.json</a>.</p>',
            "<p>Send a token as <code>Authorization: Bearer …</code>; <code>acd token create</code> makes ",
            "one. Errors are <code>application/problem+json</code> (RFC 9457).</p>",
            *_operations(document),
            "<h2>Schemas</h2>",
            *_schemas(document),
            "</body></html>",
        ]
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    role = operation.get("x-least-role", "no token")
    if operation.get("x-agents-own"):
        role += ", or an agent for their own"
    yield f'<section id="{escape(operation["operationId"])}"><h3>'
    yield f'<span class="method">{escape(method.upper())}</span><code>{escape(path)}</code> '
    yield f'<small class="role">{escape(role)}</small></h3>'
    yield f"<p>{escape(operation['summary'])}</p><table>"
    for parameter in operation.get("parameters", ()):
        yield _row(f"{parameter['in']} {parameter['name']}", _type(parameter["schema"]))
    if "requestBody" in operation:
        yield _row("body", _links(operation["requestBody"]["content"]))
    for status, response in operation["responses"].items():
        linked = _links(response.get("content", {}))
        yield _row(status, f"{escape(response['description'])} {linked}")
    yield "</table></section>"


def _row(name: str, html: str) -> str:
    return f"<tr><th><code>{escape(name)}</code></th><td>{html}</td></tr>"


def _type(schema: Mapping[str, Any]) -> str:
    return f"<code>{escape(json.dumps(schema, ensure_ascii=False))}</code>"


def _links(content: Mapping[str, Any]) -> str:
    names = [body["schema"]["$ref"].rpartition("/")[2] for body in content.values() if "schema" in body]
    return " ".join(f'<a href="#schema-{escape(name)}">{escape(name)}</a>' for name in names)


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(document["components"]["schemas"].items()):
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f'<h3 id="schema-{escape(name)}">{escape(name)}</h3><pre>{text}</pre>'
