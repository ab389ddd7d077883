"""The running service on every transport that it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority
from tests.support.net import free_port
from tests.support.service import HOST, TRUNK, RunningService

V6 = "::1"


class EveryTransport(RunningService):
    """The service on UDP, TCP, TLS, WS and WSS, and on UDP and TCP over IPv6."""

    def __init__(self, folder: Path, directory: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.authority = Authority(folder)
        self.ports = {kind: free_port() for kind in ("tls", "ws", "wss", "v6")}
        directory["trunks"][0]["match"] = [f"{TRUNK}/32", f"{V6}/128"]
        super().__init__(folder, directory, settings)

    def at(self, transport: str) -> tuple[str, int]:
        """Where it listens for this transport."""
        return HOST, self.ports.get(transport, self.sip_address[1])

    def _toml(self, overrides: Mapping[str, Any]) -> str:
        plain = [f"{kind}:{HOST}:{self.sip_address[1]}" for kind in ("udp", "tcp")]
        more = [f"{kind}:{HOST}:{self.ports[kind]}" for kind in ("tls", "ws", "wss")]
        v6 = [f"{kind}:[{V6}]:{self.ports['v6']}" for kind in ("udp", "tcp")]
        sections: dict[str, dict[str, Any]] = {
            "sip": {"listen": plain + more + v6},
            "webhooks": {
                "allow_networks": [f"{HOST}/32"],
                "ca": str(self.authority.path),
                "retry_seconds": [0.2],
            },
            "sip.tls": {
                "certificate": self.authority.sign(HOST).text,
                "client_ca": str(self.authority.path),
                "server_ca": str(self.authority.path),
            },
        }
        for name, values in overrides.items():
            sections.setdefault(name, {}).update(values)
        return super()._toml(sections)
