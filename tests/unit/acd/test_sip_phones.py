"""Which of an agent's phones ring together, by the rules of encryption of their profiles."""

from __future__ import annotations

import pytest

from acd.directory.model import Agent, Device, Directory
from acd.sip.contacts import Binding
from acd.sip.core.events import Flow
from acd.sip.phones import AgentPhones
from acd.sip.ways import Ways

DIRECTORY = Directory(
    agents={"anna": Agent("anna", "1001")},
    devices={rule: Device(rule, user_agent=f"{rule}*", srtp=rule) for rule in ("offer", "require")},
)


class Bound:
    """Contacts that are registered, the newest first."""

    def __init__(self, *phones: tuple[str, str]) -> None:
        self._phones = phones

    def owner(self, binding: Binding) -> str:
        return ""

    def lookup(self, agent: str) -> list[Binding]:
        return [
            Binding(
                agent=agent,
                key=str(n),
                contact="",
                listens=("", 0),
                target="",
                flow=Flow(transport, ("127.0.0.1", 5060), ("127.0.0.1", 6000 + n)),
                call_id="",
                cseq=1,
                registered_at=0.0,
                expires_at=0.0,
                user_agent=says,
            )
            for n, (says, transport) in enumerate(self._phones)
        ]


@pytest.mark.parametrize(
    ("phones", "rule"),
    [
        ([("plain", "tls")], "off"),
        ([("offer", "tls")], "offer"),
        ([("offer", "tls"), ("offer", "udp")], "off"),
        ([("offer", "tls"), ("plain", "tls")], "off"),
        ([("require", "tls")], "require"),
        ([("plain", "udp"), ("require", "tls")], "require"),
        ([("plain", "udp"), ("require", "udp")], "off"),
        ([("require", "udp")], "off"),
    ],
)
def test_one_offer_suits_all_phones_that_ring(phones: list[tuple[str, str]], rule: str) -> None:
    bound = Bound(*phones)
    ways = Ways(None, bound, None)  # type: ignore[arg-type]
    known = AgentPhones(None, lambda: DIRECTORY, bound, ways, srtp_without_tls=False)  # type: ignore[arg-type]
    assert known.srtp_toward("anna") == rule
