"""Messages as a capture file that any analyser opens: each in a UDP packet, whatever carried it. No I/O."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

from acd.sip.trace.captured import Captured

_FILE = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC, _RAW_IP, _LONGEST = 0xA1B2C3D4, 101, 65_535
_UDP = 17
_MOST = _LONGEST - 60

Address = tuple[str, int]


def pcap(messages: Iterable[Captured]) -> bytes:
    """A file of link type "raw IP"."""
    parts = [_FILE.pack(_MAGIC, 2, 4, 0, 0, _LONGEST, _RAW_IP)]
    for message in messages:
        packet = _packet(message.source, message.target, message.data[:_MOST])
        seconds, rest = divmod(round(message.at * 1_000_000), 1_000_000)
        parts += (_RECORD.pack(seconds, rest, len(packet), len(packet)), packet)
    return b"".join(parts)


def _packet(source: Address, target: Address, data: bytes) -> bytes:
    one, two = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    length = 8 + len(data)
    if one.version == two.version == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0, one.packed, two.packed)
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        # A zero checksum says that there is none (RFC 768); IPv6 knows no such thing (RFC 8200 section 8.1).
        return head + struct.pack("!HHHH", source[1], target[1], length, 0) + data
    first, second = _as_v6(one), _as_v6(two)
    udp = struct.pack("!HHHH", source[1], target[1], length, 0)
    pseudo = first + second + struct.pack("!II", length, _UDP) + udp + data
    udp = udp[:6] + struct.pack("!H", _checksum(pseudo) or 0xFFFF)
    return struct.pack("!IHBB16s16s", 6 << 28, length, _UDP, 64, first, second) + udp + data


def _as_v6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    if isinstance(address, ipaddress.IPv6Address):
        return address.packed
    return bytes(10) + b"\xff\xff" + address.packed


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
