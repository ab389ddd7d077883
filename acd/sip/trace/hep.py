"""Export to a capture server such as Homer: the Homer Encapsulation Protocol, version 3, over UDP."""

from __future__ import annotations

import ipaddress
import socket
import struct

import structlog

from acd.sip.trace.captured import Captured

_log = structlog.get_logger(__name__)

_CHUNK = struct.Struct("!HHH")
_SIP = 1
_UDP, _TCP = 17, 6
_MOST = 60_000


def encode(message: Captured, agent: int) -> bytes:
    """One message as one HEP3 packet. `agent` numbers the node that captured it.

    The correlation id (chunk 17) is the id of the call, so that the capture server shows its legs as one.
    """
    source, target = message.source, message.target
    one, two = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    is_v6 = 6 in (one.version, two.version)
    seconds, rest = divmod(round(message.at * 1_000_000), 1_000_000)
    addresses = (5, 6) if is_v6 else (3, 4)
    chunks = (
        (1, bytes([socket.AF_INET6 if is_v6 else socket.AF_INET])),
        (2, bytes([_UDP if message.flow.transport == "udp" else _TCP])),
        (addresses[0], _packed(one, is_v6)),
        (addresses[1], _packed(two, is_v6)),
        (7, struct.pack("!H", source[1])),
        (8, struct.pack("!H", target[1])),
        (9, struct.pack("!I", seconds)),
        (10, struct.pack("!I", rest)),
        (11, bytes([_SIP])),
        (12, struct.pack("!I", agent)),
        (15, message.data[:_MOST]),
        *(((17, message.call.encode()),) if message.call else ()),
    )
    body = b"".join(_CHUNK.pack(0, kind, 6 + len(value)) + value for kind, value in chunks)
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
        try:
            self._socket.sendto(encode(message, self._agent), self._target)
        except (OSError, ValueError) as error:
            if not self._told:  # once, not with every message
                self._told = True
                _log.warning("trace.hep.not_sent", target=self._target[0], error=type(error).__name__)

    def close(self) -> None:
        self._socket.close()
