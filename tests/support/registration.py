"""Registers phones by digest over UDP, from the port on which they will be called.

SIPp 3.6.1 stops at a challenge that names SHA-256, so its agents are registered from here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Sequence

from tests.support.caller import Message

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_SECONDS = 3600


class _Registrar(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[Message]] = {}

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        message = Message.parse(data)
        future = self.waiting.pop(message.get("cseq") + message.get("call-id"), None)
        if future is not None and not future.done() and message.status >= 200:
            future.set_result(message)


async def register_all(
    server: tuple[str, int],
    accounts: Sequence[tuple[str, str]],
    *,
    host: str,
    port: int,
    algorithm: str = "SHA-256",
    expires: int = _SECONDS,
) -> list[int]:
    """Register (name, password) pairs with Contact `host:port`; returns their final statuses."""
    loop = asyncio.get_running_loop()
    transport, shared = await loop.create_datagram_endpoint(_Registrar, local_addr=(host, port))
    try:
        statuses = []
        for at in range(0, len(accounts), 20):
            part = accounts[at : at + 20]
            one = (_register(transport, shared, server, account, algorithm, expires) for account in part)
            statuses += await asyncio.gather(*one)
        return statuses
    finally:
        transport.close()
        await asyncio.sleep(0)  # the socket closes on the next turn of the loop


async def _register(
    transport: asyncio.DatagramTransport,
    shared: _Registrar,
    server: tuple[str, int],
    account: tuple[str, str],
    algorithm: str,
    expires: int,
) -> int:
    call_id = uuid.uuid4().hex
    host, port = transport.get_extra_info("sockname")
    authorization = ""
    for cseq in (1, 2):
        data = _text(server, account[0], (host, port), call_id, cseq, expires, authorization)
        answer = await _exchange(transport, shared, server, f"{cseq} REGISTER", call_id, data)
        if answer.status != 401 or cseq == 2:
            break
        authorization = _authorization(answer, account, f"sip:{server[0]}:{server[1]}", algorithm)
    return answer.status


async def _exchange(
    transport: asyncio.DatagramTransport,
    shared: _Registrar,
    server: tuple[str, int],
    cseq: str,
    call_id: str,
    data: bytes,
) -> Message:
    future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    shared.waiting[cseq + call_id] = future
    for wait in (0.5, 1.0, 2.0, 4.0):
        transport.sendto(data, server)
        done, _ = await asyncio.wait({future}, timeout=wait)
        if done:
            return future.result()
    raise TimeoutError(f"{cseq} at {server} got no answer")


def _authorization(challenge: Message, account: tuple[str, str], uri: str, algorithm: str) -> str:
    for header in challenge.headers.get("www-authenticate", []):
        found = dict(re.findall(r'(\w+)="?([^",]+)"?', header))
        if found.get("algorithm", "MD5") == algorithm:
            break
    else:
        raise AssertionError(f"no {algorithm} challenge in {challenge.headers}")

    def digest(*words: str) -> str:
        return _HASHES[algorithm](":".join(words).encode()).hexdigest()

    name, password = account
    realm, nonce, cnonce = found["realm"], found["nonce"], uuid.uuid4().hex[:8]
    secret, request = digest(name, realm, password), digest("REGISTER", uri)
    response = digest(secret, nonce, "00000001", cnonce, "auth", request)
    opaque = f', opaque="{found["opaque"]}"' if "opaque" in found else ""
    return (
        f'Authorization: Digest username="{name}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}"{opaque}\r\n'
    )


def _text(
    server: tuple[str, int],
    user: str,
    local: tuple[str, int],
    call_id: str,
    cseq: int,
    expires: int,
    authorization: str,
) -> bytes:
    return (
        f"REGISTER sip:{server[0]}:{server[1]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {local[0]}:{local[1]};branch=z9hG4bK{uuid.uuid4().hex[:16]};rport\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:{user}@{server[0]}>;tag={call_id[:8]}\r\n"
        f"To: <sip:{user}@{server[0]}>\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} REGISTER\r\n"
        f"Contact: <sip:{user}@{local[0]}:{local[1]}>\r\n"
        f"Expires: {expires}\r\n"
        f"{authorization}"
        "Content-Length: 0\r\n\r\n"
    ).encode()
