"""The way through a node to phones that only it can reach (RFC 5626 section 5, RFC 3327). Pure.

The node that has the call puts a token into a Route; the node that holds the phone's flow (the edge) finds
the phone by it, adds a Via and a Record-Route, and passes messages on without keeping anything of them
(RFC 3261 section 16.11) but the INVITE of a phone that rings: should its flow break, the node that has the
call is told at once. A token is signed with a key that the nodes of a site share, together with the
Call-ID and the tag of the node that has the call: it opens the way for that one dialog, and which of the two
tags is in From says which way a request goes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from acd.sip.core.checks import Fault
from acd.sip.core.events import Flow, FlowKind
from acd.sip.core.grammar import Params, split_list
from acd.sip.core.message import Header, Request, Response, write
from acd.sip.core.transaction import COOKIE
from acd.sip.core.uri import NameAddr, Uri
from acd.sip.core.wire import Wire, response_headers, stamped

_USER = "edge."
"""What the user part of our Route begins with; cheap to look for."""
_BRANCH = COOKIE + "edge."
_SIGNATURE_BYTES = 12
_MAX_TOKEN = 512
_MOST_RINGING = 5_000
"""INVITEs that are kept until they are answered; the oldest go first."""
_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class Passage:
    """Between whom messages go: a contact of an agent, and the node that has the call."""

    agent: str
    contact: str
    """The contact's `contact_name`."""
    node: Flow
    """How the edge reaches that node; only transport and peer count."""


def contact_name(agent: str, key: str) -> str:
    """A short name for one contact of an agent."""
    return hashlib.blake2b(f"{agent}{_SEPARATOR}{key}".encode(), digest_size=8).hexdigest()


def token_of(passage: Passage, key: bytes, call_id: str, tag: str) -> str:
    """The user part of a Route for one dialog, ours by Call-ID and our tag in it."""
    host, port = passage.node.remote
    fields = (passage.node.transport, host, str(port), passage.contact, passage.agent)
    text = _encoded(_SEPARATOR.join(fields).encode())
    return f"{_USER}{text}.{_signed(key, text, call_id, tag)}"


def route_to(address: Flow, token: str) -> Header:
    """The Route header that leads through the edge at this address."""
    uri = Uri(host=address.remote[0], port=address.remote[1], user=token, params=_loose(address))
    return "Route", f"<{uri}>"


def read_token(user: str, key: bytes, call_id: str, tag: str) -> Passage | None:
    """What a token says; None where it was not made for this dialog and tag by a node of this site."""
    if not user.startswith(_USER) or len(user) > _MAX_TOKEN or not user.isascii():
        return None
    text, _, signature = user[len(_USER) :].partition(".")
    if not hmac.compare_digest(signature, _signed(key, text, call_id, tag)):
        return None
    transport, host, port, contact, agent = _decoded(text).decode().split(_SEPARATOR)
    return Passage(agent, contact, Flow(cast(FlowKind, transport), ("", 0), (host, int(port))))


def _loose(flow: Flow) -> Params:
    """The parameters of a route over this transport; WebSocket has one for both kinds (RFC 7118)."""
    kind = "ws" if flow.transport == "wss" else flow.transport
    return (("lr", None),) if kind == "udp" else (("transport", kind), ("lr", None))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(key: bytes, *words: str) -> str:
    data = _SEPARATOR.join(words).encode("utf-8", "surrogateescape")
    return _encoded(hmac.digest(key, data, "sha256")[:_SIGNATURE_BYTES])


@dataclass(frozen=True, slots=True)
class EdgeOwner:
    """What an edge asks of the node that it is part of."""

    site_key: Callable[[], bytes]
    """Empty while nobody shares one: then no token is believed."""
    flow_of: Callable[[str, str], Flow | None]
    """The flow of an agent's contact by its `contact_name`, where this node holds it."""
    way_to: Callable[[Flow], Flow]
    """The flow to a node's address, as this node can use it."""
    believed: Callable[[Flow], None]
    """A node of the site has proven on this flow who it is."""


class Edge:
    """Passes messages between phones of this node and other nodes."""

    def __init__(self, wire: Wire, owner: EdgeOwner) -> None:
        self._wire = wire
        self._owner = owner
        self._own_key = wire.token().encode()
        self.passed = 0
        """Messages passed on."""
        self._ringing = _Ringing()

    def take_request(self, request: Request, flow: Flow) -> bool | Fault:
        """Pass a request on whose first Route is ours; False where it is none of the edge's business.

        Raises SipSyntaxError.
        """
        user = _token_in(request)
        if not user:
            return False
        way = self._way(request, user, flow)
        if isinstance(way, Fault):
            return way
        if request.max_forwards == 0:
            return Fault(483)
        self._pass_on(request, flow, way, user)
        return True

    def _way(self, request: Request, user: str, flow: Flow) -> Flow | Fault:
        key, call_id = self._owner.site_key(), request.call_id
        if not key:
            return _FORBIDDEN
        if (toward := read_token(user, key, call_id, request.from_tag)) is not None:
            self._owner.believed(flow)
            return self._owner.flow_of(toward.agent, toward.contact) or _FLOW_FAILED
        if (back := read_token(user, key, call_id, request.to_tag)) is not None:
            return self._owner.way_to(back.node)
        return _FORBIDDEN

    def _pass_on(self, request: Request, flow: Flow, way: Flow, user: str) -> None:
        branch, sent_by = request.via_key
        back = _flow_text(flow)
        ours = f"{_BRANCH}{back}.{_signed(self._own_key, branch, sent_by, back)}"
        recorded: list[Header] = []
        if request.method == "INVITE" and not request.to_tag:
            self._ringing.add(ours, way, request, flow)
            recorded = [("Record-Route", self._recorded(way, user))]
        headers = [
            self._wire.via(way, ours),
            ("Via", stamped(request.raw("Via")[0], flow)),
            *(("Via", line) for line in request.raw("Via")[1:]),
            *recorded,
            *(("Route", route) for route in request.values("Route")[1:]),
            ("Max-Forwards", str(request.max_forwards - 1)),
            *(header for header in request.headers if _key(header) not in _REWRITTEN),
        ]
        self._send(way, write(f"{request.method} {request.uri_text} SIP/2.0", headers, request.body))

    def _recorded(self, way: Flow, user: str) -> str:
        """Where the phone finds us for the rest of the dialog."""
        host, _, port = self._wire.config.sent_by(way).rpartition(":")
        uri = Uri(host=host.strip("[]"), port=int(port), user=user, params=_loose(way))
        return f"<{uri}>"

    def take_response(self, response: Response) -> bool:
        """Pass a response on to a request that was passed on; False where it answers none.

        Raises SipSyntaxError.
        """
        ours = response.via_key[0]
        if not ours.startswith(_BRANCH) or not ours.isascii():
            return False
        vias = [item for line in response.raw("Via") for item in split_list(line, "via")]
        back, _, signature = ours[len(_BRANCH) :].partition(".")
        if len(vias) < 2:
            return False
        rest = Response(response.status, response.reason, [("Via", via) for via in vias[1:]])
        branch, sent_by = rest.via_key
        if not hmac.compare_digest(signature, _signed(self._own_key, branch, sent_by, back)):
            return False
        if response.status >= 200:
            self._ringing.answered(ours)
        headers = [
            *rest.headers,
            *(header for header in response.headers if _key(header) != "via"),
        ]
        start = f"SIP/2.0 {response.status} {response.reason}"
        self._send(_flow_of_text(back), write(start, headers, response.body))
        return True

    def flow_failed(self, flow: Flow) -> None:
        """A connection broke: whoever rings a phone over it is told (RFC 5626 section 11.5)."""
        for request, back in self._ringing.take(flow):
            copied = response_headers(request, back, self._wire.stable_tag(request))
            fault = _FLOW_FAILED
            self._wire.respond(request, back, fault.status, copied=copied, reason=fault.reason)

    def _send(self, way: Flow, data: bytes) -> None:
        self.passed += 1
        self._wire.send(way, data)


class _Ringing:
    """INVITEs that were passed on to phones and have no final answer, by our branch."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[Flow, Request, Flow]] = OrderedDict()
        self._over: dict[Flow, set[str]] = {}

    def add(self, branch: str, way: Flow, request: Request, back: Flow) -> None:
        self.answered(branch)
        self._asked[branch] = way, request, back
        self._over.setdefault(way, set()).add(branch)
        if len(self._asked) > _MOST_RINGING:
            self.answered(next(iter(self._asked)))

    def answered(self, branch: str) -> None:
        way, *_ = self._asked.pop(branch, (None,))
        if way is not None:
            self._over[way].discard(branch)
            if not self._over[way]:
                del self._over[way]

    def take(self, way: Flow) -> list[tuple[Request, Flow]]:
        """Those over this flow, each with the flow that it came from; they are kept no longer."""
        branches = self._over.pop(way, set())
        return [(request, back) for _, request, back in (self._asked.pop(one) for one in branches)]


_FORBIDDEN = Fault(403)
_FLOW_FAILED = Fault(430, "Flow Failed")  # RFC 5626 section 11.5
_REWRITTEN = frozenset(("via", "v", "route", "max-forwards"))


def _key(header: Header) -> str:
    name = header[0].lower()
    return "via" if name == "v" else name


def _token_in(request: Request) -> str:
    """The user part of the first Route, where it looks like one of ours. Raises SipSyntaxError."""
    lines = request.raw("Route")
    if not lines or _USER not in lines[0]:
        return ""
    user = NameAddr.parse(split_list(lines[0], "route")[0], "route").uri.user
    return user if user.startswith(_USER) else ""


def _flow_text(flow: Flow) -> str:
    (near, near_port), (far, far_port) = flow.local, flow.remote
    fields = (flow.transport, near, near_port, far, far_port, flow.connection)
    return _encoded(_SEPARATOR.join(map(str, fields)).encode())


def _flow_of_text(text: str) -> Flow:
    """The flow of a text of ours; its signature has been looked at."""
    kind, near, near_port, far, far_port, connection = _decoded(text).decode().split(_SEPARATOR)
    return Flow(cast(FlowKind, kind), (near, int(near_port)), (far, int(far_port)), int(connection))
