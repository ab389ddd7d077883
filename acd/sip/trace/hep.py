"""Export to a capture server such as Homer: the Homer Encapsulation Protocol, version 3, over UDP.

SIP as it was sent, and of each leg's audio a report when it ends: JSON of protocol type 34 with the keys that
Homer's RTP agent uses.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
from collections.abc import Callable

import structlog

from acd.sip.trace.captured import Captured, Report

_log = structlog.get_logger(__name__)

_CHUNK = struct.Struct("!HHH")
_SIP, _RTP_REPORT = 1, 34
_UDP, _TCP = 17, 6
_MOST = 60_000


def encode(message: Captured, agent: int) -> bytes:
    """One message as one HEP3 packet. `agent` numbers the node that captured it.

    The correlation id (chunk 17) is the id of the call, so that the capture server shows its legs as one.
    """
    protocol = _UDP if message.flow.transport == "udp" else _TCP
    ends = (message.source, message.target)
    return _packet(_SIP, protocol, message.at, ends, message.data[:_MOST], agent, message.call)


def encode_report(report: Report, agent: int) -> bytes:
    """One report as one HEP3 packet. The correlation id is the SIP Call-ID: it is how a report is found."""
    leg = report.correlation
    facts = {"CORRELATION_ID": leg, "RTP_SIP_CALL_ID": leg, "REPORT_TS": report.at, **report.facts}
    data = json.dumps(facts).encode()
    return _packet(_RTP_REPORT, _UDP, report.at, (report.source, report.target), data, agent, leg)


def _packet(
    kind: int,
    protocol: int,
    at: float,
    ends: tuple[tuple[str, int], tuple[str, int]],
    data: bytes,
    agent: int,
    correlation: str,
) -> bytes:
    source, target = ends
    one, two = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    is_v6 = 6 in (one.version, two.version)
    seconds, rest = divmod(round(at * 1_000_000), 1_000_000)
    addresses = (5, 6) if is_v6 else (3, 4)
    chunks = (
        (1, bytes([socket.AF_INET6 if is_v6 else socket.AF_INET])),
        (2, bytes([protocol])),
        (addresses[0], _packed(one, is_v6)),
        (addresses[1], _packed(two, is_v6)),
        (7, struct.pack("!H", source[1])),
        (8, struct.pack("!H", target[1])),
        (9, struct.pack("!I", seconds)),
        (10, struct.pack("!I", rest)),
        (11, bytes([kind])),
        (12, struct.pack("!I", agent)),
        (15, data),
        *(((17, correlation.encode()),) if correlation else ()),
    )
    body = b"".join(_CHUNK.pack(0, number, 6 + len(value)) + value for number, value in chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def _packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, is_v6: bool) -> bytes:
    if is_v6 and isinstance(address, ipaddress.IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


class HepExport:
    """Sends without waiting; what the capture server cannot take is lost."""

    def __init__(self, target: tuple[str, int], agent: int) -> None:
        """`target` is a numeric address. Raises OSError where no socket can be had."""
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._target = target
        self._agent = agent
        self._told = False

    def __call__(self, message: Captured) -> None:
        self._send(lambda: encode(message, self._agent))

    def report(self, report: Report) -> None:
        """The same with what was said of audio."""
        self._send(lambda: encode_report(report, self._agent))

    def _send(self, encoded: Callable[[], bytes]) -> None:
        try:
            self._socket.sendto(encoded(), self._target)
        except (OSError, ValueError) as error:
            if not self._told:  # once, not with every message
                self._told = True
                _log.warning("trace.hep.not_sent", target=self._target[0], error=type(error).__name__)

    def close(self) -> None:
        self._socket.close()
