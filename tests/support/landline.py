"""A telephone behind the carrier: takes the calls that the service makes over its trunk, or refuses them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType

from tests.support.caller import Message
from tests.support.desk_phone import DeskPhone
from tests.support.service import TRUNK
from tests.support.sip_client import SipClient


@dataclass
class Landline(DeskPhone):
    """`async with Landline(server, port=5080) as line`. `status` refuses every call with it; 0 takes them."""

    user: str = ""
    password: str = ""
    port: int = 0
    status: int = 0
    rung: int = 0

    async def __aenter__(self) -> Landline:
        self._client = await SipClient.open(self.server, "udp", TRUNK, self.port)
        self._answers = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._fall_silent()
        await self._client.close()

    async def _take(self, request: Message) -> None:
        if request.method == "INVITE":
            self.rung += 1
            if self.status:
                self._client.answer(request, self.status)
                return
        await super()._take(request)
