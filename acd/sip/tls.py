"""TLS of one connection without I/O, and the contexts that it is made from.

Bytes go through memory, so that a connection counts, and is bounded, from its first packet on: also
one that never finishes its handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from acd.config import TlsSection
from acd.errors import ConfigError

_READ_BYTES = 64 * 1024


class TlsContexts:
    """What connections of both directions are made with. TLS 1.2 and newer only."""

    def __init__(self, settings: TlsSection) -> None:
        """Raises ConfigError naming the key of a file that cannot be used."""
        self._settings = settings
        self._servers, self._client = _contexts(settings)

    def reload(self) -> bool:
        """Read our certificates again; new connections show them. Raises ConfigError: the old ones stay."""
        settings = self._settings
        if not (settings.certificate or settings.client_certificate):
            return False
        # A broken file must not spoil the contexts in use.
        self._servers, self._client = _contexts(settings)
        return True

    def accept(self, transport: str) -> TlsLayer:
        """The server's side of a new connection, tls or wss. Raises ConfigError without a certificate."""
        if not self._servers:
            raise ConfigError("sip.tls.certificate: TLS needs a certificate; name a PEM file")
        return TlsLayer(self._servers[transport])

    def connect(self, name: str) -> TlsLayer:
        """Our side of a connection to a host whose certificate must be for `name`."""
        return TlsLayer(self._client, name)


class TlsLayer:
    """One connection's encryption."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self.ready = False
        """Whether the handshake is over."""
        self.ended = False
        """Whether the peer has closed its side in order."""
        self.peer_names: frozenset[str] = frozenset()
        """Names in the peer's certificate, where it showed one that a CA of ours has signed."""

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what it says. Raises ssl.SSLError: nothing can follow."""
        self._incoming.write(data)
        if not self.ready and not self._shake_hands():
            return b""
        pieces = []
        try:
            while piece := self._object.read(_READ_BYTES):
                pieces.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(pieces)

    def start(self) -> None:
        """Say hello, where that is ours to do."""
        self._shake_hands()

    def encrypt(self, data: bytes) -> bytes:
        """Bytes to send for this text. Raises ssl.SSLError before the handshake is over."""
        if data:
            self._object.write(data)
        return self.take_outgoing()

    def take_outgoing(self) -> bytes:
        """What TLS itself has to say."""
        return self._outgoing.read()

    def _shake_hands(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.ready = True
        self.peer_names = certificate_names(self._object.getpeercert() or {})
        return True


def certificate_names(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The names of a verified certificate: SAN entries, of `sip:` URIs the host (RFC 5922 section 7.1)."""
    entries: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())
    names = set()
    for kind, value in entries:
        if kind in ("DNS", "IP Address"):
            names.add(value.lower())
        elif kind == "URI" and value.lower().startswith("sip:") and "@" not in value:
            names.add(value[4:].lower())
    return frozenset(names)


def why_failed(error: OSError) -> str:
    """What was wrong, in words for the log: with their certificate, or what their alert says of ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"their certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or type(error).__name__


def _contexts(settings: TlsSection) -> tuple[Mapping[str, ssl.SSLContext], ssl.SSLContext]:
    return _server_contexts(settings) if settings.certificate else {}, _client_context(settings)


def _server_contexts(settings: TlsSection) -> Mapping[str, ssl.SSLContext]:
    """By transport. A browser that is asked for a certificate gives its WebSocket up."""
    return {kind: _server_context(settings, asks=kind == "tls") for kind in ("tls", "wss")}


def _server_context(settings: TlsSection, *, asks: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_certificate(context, *_own(settings), "sip.tls.certificate")
    if settings.client_ca and asks:
        # Phones have no certificate: it is asked for, and whoever shows one must be able to prove it.
        context.verify_mode = ssl.CERT_OPTIONAL
        _load_authorities(context, settings.client_ca, "sip.tls.client_ca")
    return context


def _client_context(settings: TlsSection) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.server_ca:
        _load_authorities(context, settings.server_ca, "sip.tls.server_ca")
    # A provider may ask for one.
    if settings.client_certificate:
        files = settings.client_certificate, settings.client_key or settings.client_certificate
        _load_certificate(context, *files, "sip.tls.client_certificate")
    elif settings.certificate:
        _load_certificate(context, *_own(settings), "sip.tls.certificate")
    return context


def _own(settings: TlsSection) -> tuple[str, str]:
    return settings.certificate, settings.key or settings.certificate


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str, setting: str) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{setting}: {certificate} with key {key} cannot be used: {error}; "
            "name PEM files that this user may read and that belong together"
        ) from error


def _load_authorities(context: ssl.SSLContext, path: Path | str, key: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{key}: {path} cannot be used: {error}; name a PEM file of CA certificates"
        ) from error
