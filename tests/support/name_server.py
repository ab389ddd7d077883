"""Dnsmasq as the name server of one domain, on the loopback, with the records that a test writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType

from tests.support.net import free_port

PROGRAM = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"


class NameServer:
    """`with NameServer("carrier.example", ["--srv-host=..."]) as names`; records are its options."""

    def __init__(self, domain: str, records: Sequence[str], *, port: int = 0) -> None:
        self.port = port or free_port()
        self._options = (f"--local=/{domain}/", *records)
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """As `sip.name_servers` has it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> NameServer:
        self._process = subprocess.Popen(
            (
                *(
                    PROGRAM,
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--pid-file=",
                    "--log-facility=-",
                ),
                *("--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1"),
                *(f"--port={self.port}", "--user=", *self._options),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        deadline = time.monotonic() + 10
        while "started" not in (line := self._process.stderr.readline()):
            assert line, "no name server: it ended"
            assert time.monotonic() < deadline, line
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def is_missing() -> bool:
    """Whether the program is not installed."""
    return not os.access(PROGRAM, os.X_OK)
