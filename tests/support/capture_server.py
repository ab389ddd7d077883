"""Kamailio's capture module as the server that SIP messages are exported to by HEP version 3.

It decodes what comes, and says of each message who sent it to whom.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psutil

from tests.support.kamailio import PROGRAM

_CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://{folder}/db")
modparam("sipcapture", "hep_capture_on", 1)
request_route {{
    xlog("L_ALERT", "CAPTURED $rm $ci $si:$sp\\n");
    drop;
}}
onreply_route {{
    xlog("L_ALERT", "CAPTURED $rs $ci $si:$sp\\n");
    drop;
}}
"""


class CaptureServer:
    """`with CaptureServer(port) as server`: listens on the loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._folder = Path(tempfile.mkdtemp(prefix="capture-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> CaptureServer:
        folder = self._folder
        (folder / "kamailio.cfg").write_text(_CONFIG.format(port=self._port, folder=folder))
        (folder / "db").mkdir()
        (folder / "db" / "version").write_text("table_name(string) table_version(int)\nsip_capture:4\n")
        with (folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                (
                    *(PROGRAM, "-f", f"{folder}/kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "4"),
                    *("-Y", str(folder), "-w", str(folder), "-P", f"{folder}/pid"),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while f":{self._port:04X} " not in Path("/proc/net/udp").read_text():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            everybody = psutil.Process(self._process.pid).children(recursive=True)
            self._process.terminate()
            _, alive = psutil.wait_procs(everybody, timeout=5)
            for process in alive:
                process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        return (self._folder / "log.txt").read_text(errors="replace")

    def captured(self) -> list[tuple[str, str, str]]:
        """Of each message the method or the status, the Call-ID, and who sent it."""
        return re.findall(r"CAPTURED (\S+) (\S+) (\S+:[0-9]+)", self.log)
