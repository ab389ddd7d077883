"""A traced call as one page of plain HTML: who said what to whom, and when. No script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from acd.sip.trace.captured import Captured

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1b2430; background: #fff }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
th { font: 13px ui-monospace, monospace; padding: .4rem; border-bottom: 2px solid #cfd6de }
td { text-align: center; padding: .15rem 0; border-left: 1px solid #cfd6de; vertical-align: top }
td:first-child, th:first-child { width: 7rem; border-left: 0; text-align: right; padding-right: .75rem;
  font: 12px ui-monospace, monospace; color: #51606f }
.right { border-bottom: 2px solid #0b5cad } .left { border-bottom: 2px solid #b3541e }
summary { cursor: pointer; list-style: none }
pre { text-align: left; font: 12px/1.35 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; background: #f3f5f7; padding: .5rem; margin: .25rem }
@media (prefers-color-scheme: dark) {
  body { color: #dfe5ec; background: #14191f } pre { background: #1e252d } td, th { border-color: #36404b } }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = "; ".join(
    ("default-src 'none'", f"style-src 'sha256-{_HASH}'", "frame-ancestors 'none'", "base-uri 'none'")
)


def render(call_id: str, messages: Sequence[Captured]) -> str:
    """A whole HTML page: a column an address, in the order in which they spoke."""
    ends = list(dict.fromkeys(end for message in messages for end in _ends(message)))
    heads = "".join(f"<th>{escape(end)}</th>" for end in ends)
    begin = messages[0].at if messages else 0.0
    rows = "".join(_row(message, ends, begin) for message in messages)
    title = escape(f"Call {call_id}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<table><thead><tr><th>s</th>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


def _ends(message: Captured) -> tuple[str, str]:
    return _named(message.source), _named(message.target)


def _named(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _row(message: Captured, ends: Sequence[str], begin: float) -> str:
    one, two = (ends.index(end) for end in _ends(message))
    first, last = min(one, two), max(one, two)
    text = message.data.decode("utf-8", "replace")
    start = text.partition("\r\n")[0][:80]
    arrow, kind = (f"{start} →", "right") if one <= two else (f"← {start}", "left")
    cell = f"<details><summary>{escape(arrow)}</summary><pre>{escape(text)}</pre></details>"
    return (
        f"<tr><td>{message.at - begin:.3f}</td>{'<td></td>' * first}"
        f'<td class="{kind}" colspan="{last - first + 1}">{cell}</td>'
        f"{'<td></td>' * (len(ends) - last - 1)}</tr>"
    )
