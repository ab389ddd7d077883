"""Where SIP listens: what is understood, and what is said of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.config import Listen, load_settings
from acd.errors import ConfigError


def load(folder: Path, text: str) -> None:
    path = folder / "acd.toml"
    path.write_text(text)
    load_settings(path)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss"])
@pytest.mark.parametrize(("host", "shown"), [("192.0.2.10", "192.0.2.10"), ("[2001:db8::1]", "2001:db8::1")])
def test_every_transport_listens_on_both_families(transport: str, host: str, shown: str) -> None:
    listen = Listen.parse(f"{transport}:{host}:5060")
    assert (listen.transport, listen.host, listen.port) == (transport, shown, 5060)


@pytest.mark.parametrize("text", ["sctp:127.0.0.1:5060", "tls:2001:db8::1:5061", "ws:127.0.0.1", "udp:[::1]"])
def test_address_that_is_none_is_named_with_the_transports_there_are(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"sip\.listen: .*one of udp, tcp, tls, ws and wss"):
        load(tmp_path, f'[sip]\nlisten = ["{text}"]\n')


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_encrypted_transport_without_a_certificate_says_which_key_is_missing(
    tmp_path: Path, transport: str
) -> None:
    with pytest.raises(ConfigError, match=f"listen has {transport}: set sip.tls.certificate"):
        load(tmp_path, f'[sip]\nlisten = ["{transport}:127.0.0.1:5061"]\n')


@pytest.mark.parametrize("server", ["192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]", "[2001:db8::53]:5353"])
def test_name_servers_are_addresses_with_or_without_a_port(tmp_path: Path, server: str) -> None:
    load(tmp_path, f'[sip]\nname_servers = ["{server}"]\n')


@pytest.mark.parametrize("server", ["dns.example", "192.0.2.300", "192.0.2.53:0", "192.0.2.53:70000", "::1"])
def test_name_server_that_is_no_address_is_named(tmp_path: Path, server: str) -> None:
    with pytest.raises(ConfigError, match=r"sip\.name_servers: .*is not like '192\.0\.2\.53'"):
        load(tmp_path, f'[sip]\nname_servers = ["{server}"]\n')
