"""REGISTER: what a phone's request does to the agent's bindings (RFC 3261 section 10.3).

`plan` decides, without I/O and with time as an argument; `Registrar` carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from acd.clock import Clock
from acd.directory.model import Agent
from acd.sip.bindings import BindingStore
from acd.sip.contacts import Binding
from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError, plain
from acd.sip.core.message import Request
from acd.sip.core.uri import NameAddr, Uri

MAX_CONTACTS = 10
"""Contacts of one agent; one more pushes the oldest out, or a phone with changing ports locks itself out."""

_REORDER_SECONDS = 2.0
"""A lower CSeq of the same Call-ID this soon is an old packet; later it is a phone that started again."""

_DEFAULT_EXPIRES = 3600
_MAX_EXPIRES = 2**32 - 1
_MAX_KEPT = 256
_MAX_PATH = 8


@dataclass(frozen=True, slots=True)
class ExpiryRules:
    """Bounds of a registration's life in seconds."""

    least: int
    most: int
    idle: int = 0
    """After how long without a byte a connection is dropped, where that is configured; else 0."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What an accepted REGISTER does."""

    put: tuple[Binding, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final response to a REGISTER."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


def plan(
    request: Request, agent: str, flow: Flow, held: Sequence[Binding], rules: ExpiryRules, now: float
) -> Changes | Answer:
    """Decide on an authenticated REGISTER; `now` in seconds since the epoch."""
    try:
        contacts, is_star = _contacts(request)
        path = _path(request)
        common = _seconds(request.header("Expires"), None)
    except SipSyntaxError:
        return Answer(400)
    call_id, cseq = _kept(request.call_id), request.cseq.number
    if is_star:
        # Section 10.3 step 6: alone, and only to remove.
        if contacts or common != 0:
            return Answer(400)
        if any(_is_out_of_order(binding, call_id, cseq, now) for binding in held):
            return Answer(500)
        return Changes(remove=tuple(binding.key for binding in held))
    by_key = {binding.key: binding for binding in held}
    put: dict[str, Binding] = {}
    remove: list[str] = []
    for contact in contacts:
        key = contact_key(contact)
        if (known := by_key.get(key)) and _is_out_of_order(known, call_id, cseq, now):
            return Answer(500)
        wanted = _seconds(contact.param("expires"), common)
        seconds = _DEFAULT_EXPIRES if wanted is None else wanted
        if seconds == 0:
            put.pop(key, None)
            remove.append(key)
            continue
        if seconds < rules.least:
            return Answer(423, (("Min-Expires", str(rules.least)),))
        expires_at = now + min(seconds, rules.most)
        put[key] = _binding(request, agent, key, contact, path, flow, now, expires_at)
    remove.extend(_overflow(held, put, remove))
    return Changes(tuple(put.values()), tuple(key for key in remove if key not in put))


def contact_key(contact: NameAddr) -> str:
    """What makes two contacts the same: instance and reg-id (RFC 5626 section 4.2), else the URI's parts."""
    instance, reg_id = contact.param("+sip.instance"), contact.param("reg-id")
    if instance and reg_id:
        return _kept(f"{instance};{reg_id}")
    uri = contact.uri
    return f"{uri.scheme}:{uri.user}@{uri.host}:{_port(uri)};{uri.transport or 'udp'}"


def reachable_target(uri: Uri, flow: Flow, path: Sequence[str] = ()) -> Uri:
    """The contact as it can be called: behind a NAT only the source address leads to the phone.

    On a connection the flow leads there; the port differs by nature and stays as it is. What only a proxy
    or the flow itself can find stays as the phone wrote it (RFC 3327, RFC 5626 section 5.3, RFC 7118).
    """
    if (
        path
        or flow.transport in ("ws", "wss")
        or uri.host.endswith(".invalid")
        or uri.param("ob") is not None
    ):
        return uri
    host, port = flow.remote
    if flow.transport == "udp":
        return uri if (uri.host, _port(uri)) == (host, port) else uri.at(host, port)
    return uri if uri.host == host else uri.at(host, port)


def _kept(text: str) -> str:
    """Text of the peer as it may be stored."""
    return plain(text)[:_MAX_KEPT]


def _port(uri: Uri) -> int:
    return uri.port or (5061 if uri.scheme == "sips" else 5060)


def _contacts(request: Request) -> tuple[tuple[NameAddr, ...], bool]:
    """The contacts, and whether there is a `*`. Raises SipSyntaxError."""
    items = request.values("Contact")
    named = tuple(NameAddr.parse(item, "contact") for item in items if item != "*")
    if len(named) > MAX_CONTACTS or not all(
        contact.uri.scheme in ("sip", "sips") and str(contact.uri).isascii() for contact in named
    ):
        raise SipSyntaxError("contact", "not a usable contact")
    return named, "*" in items


def _path(request: Request) -> tuple[str, ...]:
    """The proxies between the phone and us (RFC 3327 section 5.3). Raises SipSyntaxError."""
    values = request.values("Path")
    if len(values) > _MAX_PATH or not all(len(value) <= _MAX_KEPT and value.isascii() for value in values):
        raise SipSyntaxError("path", "not a usable path")
    for value in values:
        if NameAddr.parse(value, "path").uri.scheme not in ("sip", "sips"):
            raise SipSyntaxError("path", "not a SIP URI")
    return tuple(values)


def _seconds(text: str | None, default: int | None) -> int | None:
    """Delta-seconds; the default where absent or malformed (section 10.2.1.1 allows to ignore such)."""
    text = (text or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return default
    return min(int(text), _MAX_EXPIRES)


def _is_out_of_order(binding: Binding, call_id: str, cseq: int, now: float) -> bool:
    return (
        binding.call_id == call_id
        and cseq < binding.cseq
        and 0 <= now - binding.registered_at < _REORDER_SECONDS
    )


def _binding(
    request: Request,
    agent: str,
    key: str,
    contact: NameAddr,
    path: tuple[str, ...],
    flow: Flow,
    now: float,
    expires_at: float,
) -> Binding:
    return Binding(
        agent=agent,
        key=key,
        contact=str(contact.uri),
        listens=(contact.uri.host, _port(contact.uri)),
        target=str(reachable_target(contact.uri, flow, path)),
        flow=flow,
        call_id=_kept(request.call_id),
        cseq=request.cseq.number,
        registered_at=now,
        expires_at=expires_at,
        user_agent=_kept(request.header("User-Agent") or ""),
        instance=_kept(contact.param("+sip.instance") or ""),
        path=path,
    )


def _overflow(held: Sequence[Binding], put: dict[str, Binding], removed: Sequence[str]) -> list[str]:
    """The oldest contacts, as many as are too many."""
    kept = [binding for binding in held if binding.key not in put and binding.key not in removed]
    kept.sort(key=lambda binding: binding.registered_at)
    return [binding.key for binding in kept[: max(0, len(kept) + len(put) - MAX_CONTACTS)]]


def _outbound(request: Request, flow: Flow, rules: ExpiryRules) -> tuple[tuple[str, str], ...]:
    """What the answer says of the way: the Path, and that flows are kept, and how long (RFC 5626 section 6).

    We are the first hop where no proxy has added a Via; behind one its Path has to say `ob`.
    """
    path = _path(request)
    headers = tuple(("Path", value) for value in path)
    first_hop_knows = (
        NameAddr.parse(path[-1]).uri.param("ob") is not None if path else len(request.raw("Via")) == 1
    )
    contacts, _ = _contacts(request)
    has_flow = any(contact.param("reg-id") and contact.param("+sip.instance") for contact in contacts)
    if not (first_hop_knows and has_flow and "outbound" in _supported(request)):
        return headers
    is_ours = not path and flow.connection and 0 < rules.idle < rules.most
    alive = (("Flow-Timer", str(rules.idle)),) if is_ours else ()
    return (*headers, ("Require", "outbound"), ("Supported", "path, outbound"), *alive)


def _supported(request: Request) -> set[str]:
    return {tag.strip().lower() for tag in request.values("Supported")}


class Registrar:
    """Carries out what `plan` decides."""

    def __init__(self, bindings: BindingStore, rules: ExpiryRules, clock: Clock) -> None:
        self._bindings = bindings
        self._rules = rules
        self._clock = clock

    def register(self, request: Request, agent: Agent, flow: Flow) -> Answer:
        """Apply an authenticated REGISTER of this agent and say what to answer."""
        if request.to.uri.user not in (agent.extension, agent.id):
            return Answer(403)  # section 10.3 step 4: not allowed to touch another's bindings
        now = self._clock.time()
        decision = plan(request, agent.id, flow, self._bindings.lookup(agent.id), self._rules, now)
        if isinstance(decision, Answer):
            return decision
        for binding in decision.put:
            self._bindings.put(binding)
        self._bindings.remove(agent.id, *decision.remove)
        return Answer(200, (*_outbound(request, flow, self._rules), *self._described(agent.id, now)))

    def _described(self, agent: str, now: float) -> tuple[tuple[str, str], ...]:
        """Every contact bound, as the phone wrote it, with the seconds left (section 10.3 step 8)."""
        contacts = tuple(
            ("Contact", f"<{binding.contact}>;expires={max(0, round(binding.expires_at - now))}")
            for binding in self._bindings.lookup(agent)
        )
        return (*contacts, ("Date", formatdate(now, usegmt=True)))
