"""The demo's call centre is one that works."""

from __future__ import annotations

import socket
from itertools import product
from pathlib import Path

import pytest

from acd.config import load_settings
from acd.demo.site import HOST, YOUR_EXTENSION, Site, directory_of, make_site, talk_range


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path, sip_port=0, http_port=0, media_ports="30000-30999")


def test_every_queue_has_an_agent_for_every_language(site: Site) -> None:
    directory = directory_of(site.passwords)
    languages = [skill for skill in directory["skills"] if skill.startswith("lang-")]
    simulated = [agent for agent in directory["agents"] if agent["extension"] != YOUR_EXTENSION]
    for queue, language in product(directory["queues"], languages):
        needed = {*queue["requires"], language}
        assert any(needed <= set(agent["skills"]) for agent in simulated), (queue["name"], language)


def test_the_configuration_that_it_writes_is_valid(site: Site) -> None:
    settings = load_settings(site.config)
    assert {listen.port for listen in settings.sip.listen} == {site.sip_port}
    assert settings.http.address == (HOST, site.http_port)
    assert settings.node.data_dir.is_relative_to(site.dir)


def test_passwords_differ_and_are_readable_by_the_owner_only(site: Site) -> None:
    assert len(set(site.passwords.values())) == len(site.passwords) == 7
    assert all(path.stat().st_mode & 0o077 == 0 for path in (site.directory, site.agent_passwords))
    assert YOUR_EXTENSION not in site.agent_passwords.read_text()


def test_a_port_in_use_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        site = make_site(tmp_path, sip_port=port, http_port=0, media_ports="30000-30999")
    assert site.sip_port != port
    assert any(str(port) in note for note in site.notes)


def test_conversations_get_shorter_as_calls_come_faster() -> None:
    slow, fast = talk_range(10), talk_range(120)
    assert slow[1] > fast[1]
    assert fast[0] > 0.5
