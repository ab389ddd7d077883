"""The demo's call centre: three queues, six agents, four numbers, and one account for your own softphone."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TRUNK_HOST = "127.0.0.2"
HOST = "127.0.0.1"
YOUR_EXTENSION = "1099"
MENU, ECHO, MUSIC, BILLING = "+3726000100", "+3726000101", "+3726000102", "+3726000200"
LANGUAGE_DIGITS = "111112234455"
"""English most often; then Estonian, Turkish, Spanish, Arabic."""
TOPIC_DIGITS = "123"
SKIP_GREETING = "1"
WRAPUP_SECONDS = 1.0

_LANGUAGES = ("en", "et", "tr", "es", "ar")
_QUEUES = ("billing", "support", "sales")
# Every queue has an agent for every language, else its callers would wait for ever.
_AGENTS: Mapping[str, tuple[str, str, dict[str, int]]] = {
    "anna": ("1001", "Anna Tamm", {"billing": 5, "support": 4, "lang-en": 4, "lang-et": 5}),
    "mehmet": ("1002", "Mehmet Kaya", {"support": 5, "billing": 3, "lang-tr": 5, "lang-en": 4}),
    "lucia": ("1003", "Lucía Romero", {"sales": 5, "support": 3, "lang-es": 5, "lang-en": 4}),
    "omar": ("1004", "Omar Haddad", {"support": 4, "sales": 4, "lang-ar": 5, "lang-en": 3}),
    "kati": ("1005", "Kati Saar", {"sales": 5, "billing": 2, "lang-et": 5, "lang-en": 5}),
    "deniz": ("1006", "Deniz Acar", {"billing": 4, "sales": 3, "lang-tr": 5, "lang-es": 3, "lang-ar": 3}),
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where one run of the demo lives."""

    dir: Path
    sip_port: int
    http_port: int
    media_ports: str
    passwords: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What had to be done differently, in words."""

    @property
    def config(self) -> Path:
        return self.dir / "acd.toml"

    @property
    def directory(self) -> Path:
        return self.dir / "directory.yaml"

    @property
    def agent_passwords(self) -> Path:
        return self.dir / "phones.txt"

    @property
    def http_url(self) -> str:
        return f"http://{HOST}:{self.http_port}"

    @property
    def sip_address(self) -> str:
        return f"{HOST}:{self.sip_port}"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The simulated agents'."""
        return tuple(extension for extension, _, _ in _AGENTS.values())


def make_site(folder: Path, *, sip_port: int, http_port: int, media_ports: str) -> Site:
    """Choose ports (the wished ones, else free ones) and passwords, and write the three files."""
    notes = []
    sip = _usable_port(sip_port)
    if sip != sip_port:
        notes.append(f"port {sip_port} is in use; SIP is on {sip}")
    http = _usable_port(http_port)
    if http != http_port:
        notes.append(f"port {http_port} is in use; the API is on {http}")
    passwords = {extension: secrets.token_urlsafe(9) for extension, _, _ in _AGENTS.values()}
    passwords[YOUR_EXTENSION] = secrets.token_urlsafe(6)
    site = Site(folder, sip, http, media_ports, passwords, tuple(notes))
    _write_private(site.config, config_text(site))
    _write_private(
        site.directory, yaml.safe_dump(directory_of(passwords), allow_unicode=True, sort_keys=False)
    )
    lines = (f"{user} {password}" for user, password in passwords.items() if user != YOUR_EXTENSION)
    _write_private(site.agent_passwords, "\n".join(lines) + "\n")
    return site


def config_text(site: Site) -> str:
    """acd.toml of the demo."""
    return f"""\
[node]
data_dir = "{site.dir / "data"}"
drain_seconds = 10

[sip]
listen = ["udp:{site.sip_address}", "tcp:{site.sip_address}"]

[media]
address = "{HOST}"
ports = "{site.media_ports}"

[http]
listen = "{HOST}:{site.http_port}"

[log]
format = "json"
"""


def directory_of(passwords: Mapping[str, str]) -> dict[str, Any]:
    """The directory file of the demo, before it is YAML."""
    agents = [
        {"id": name, "extension": extension, "password": passwords[extension], "name": full, "skills": skills}
        for name, (extension, full, skills) in _AGENTS.items()
    ]
    agents.append(
        {
            "id": "you",
            "extension": YOUR_EXTENSION,
            "password": passwords[YOUR_EXTENSION],
            "name": "You",
            "skills": {**dict.fromkeys(_QUEUES, 3), "lang-en": 5},
        }
    )
    return {
        "trunks": [{"name": "demo-carrier", "match": [f"{TRUNK_HOST}/32"], "max_calls": 500}],
        "skills": [*_QUEUES, *(f"lang-{code}" for code in _LANGUAGES)],
        "queues": [
            {
                "name": queue,
                "requires": {queue: 1},
                "ring_seconds": 10,
                "wrapup_seconds": WRAPUP_SECONDS,
                "service_level_seconds": 20,
            }
            for queue in _QUEUES
        ],
        "agents": agents,
        "numbers": [
            {"number": MENU, "flow": "main"},
            {"number": ECHO, "flow": "echo"},
            {"number": MUSIC, "flow": "music"},
            {"number": BILLING, "queue": "billing"},
        ],
    }


def talk_range(calls_per_minute: float) -> tuple[float, float]:
    """How long to talk, in seconds, so that six agents are busy but not overrun (about 60 %)."""
    queued_per_second = calls_per_minute / 60 * 0.8
    busy = min(0.6 * len(_AGENTS) / queued_per_second, 14.0)
    talk = max(busy - WRAPUP_SECONDS - 1.5, 1.5)
    return talk * 0.6, talk * 1.4


def _usable_port(wished: int) -> int:
    """The wished port if it is free for UDP and TCP, else one that is."""
    for port in (wished, *([0] * 50)):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            # A port whose last connections are still in TIME-WAIT is free for a server.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                udp.bind((HOST, port))
                found: int = udp.getsockname()[1]
                tcp.bind((HOST, found))
                return found
    raise OSError(f"no port on {HOST} is free")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
