"""Kamailio 5.6 as a provider: it registers lines and phones, challenges calls, and passes them on.

It knows two kinds of users, each with a password: *lines* (customers with a PBX, such as the service under
test: all numbers of theirs ring their one registration) and *phones* with a number each. A call from a phone
to a number of a line carries P-Asserted-Identity; a call to a phone's number rings each registration of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType

import psutil

from tests.support.net import eventually, free_port

PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"
REALM = "carrier.example"

_SEEN = {
    "src": "$si",
    "over": "$pr",
    "rd": "$rd:$rp",
    "ru": "$rU",
    "fu": "$fU",
    "td": "$td",
    "auth": "$au",
    "hops": "$hdr(Max-Forwards)",
    "expires": "$hdr(Expires)",
    "pai": "$hdr(P-Asserted-Identity)",
    "privacy": "$hdr(Privacy)",
    "diversion": "$hdr(Diversion)",
    "history": "$hdr(History-Info)",
    "customer": "$hdr(X-Customer)",
    "queue": "$hdr(X-Queue)",
}
"""What is noted of each request, by the words that a test asks with."""
_CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
children=1
{tcp}
auto_aliases=no
listen=udp:{host}:{port}
{more_listen}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "nathelper.so"
loadmodule "kex.so"
modparam("rr", "enable_full_lr", 1)
modparam("maxfwd", "max_limit", 6)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "use_domain", 0)
modparam("registrar", "min_expires", 60)
modparam("registrar", "received_avp", "$avp(RECEIVED)")
modparam("usrloc", "nat_bflag", 6)
modparam("nathelper", "received_avp", "$avp(RECEIVED)")
modparam("nathelper", "natping_interval", 1)
modparam("nathelper", "ping_nated_only", 1)
modparam("nathelper", "sipping_bflag", 7)
modparam("nathelper", "sipping_method", "OPTIONS")
modparam("nathelper", "sipping_from", "sip:ping@{realm}")
modparam("auth", "nonce_expire", 30)
{algorithm}

onreply_route {{
    xlog("L_NOTICE", "HEARD $rm status=$rs src=$si:$sp\\n");
}}

request_route {{
    xlog("L_NOTICE", "SAW $rm {words}\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("OPTIONS") && !has_totag()) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) t_relay();
        else if (!is_method("ACK")) sl_send_reply("404", "Not Here");
        exit;
    }}
    t_check_trans();
    $var(password) = "";
{passwords}
    if (is_method("REGISTER")) {{
        if ($var(password) == "" || !pv_www_authenticate("{realm}", "$var(password)", "0")) {{
            www_challenge("{realm}", "1");
            exit;
        }}
        setbflag(6);
        setbflag(7);
        save("location");
        exit;
    }}
    if (!is_method("INVITE")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
{out_of_service}
    if ($var(password) == "" || !pv_proxy_authenticate("{realm}", "$var(password)", "0")) {{
        proxy_challenge("{realm}", "1");
        exit;
    }}
    consume_credentials();
    record_route();
{numbers}
    if (!lookup("location")) {{
        sl_send_reply("480", "Not Registered");
        exit;
    }}
    t_relay();
}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A customer with a PBX: every number that begins so rings its registration."""

    user: str
    password: str
    numbers: str


@dataclass(frozen=True, slots=True)
class Phone:
    user: str
    password: str
    number: str


class Kamailio:
    """`with Kamailio("127.0.0.3", lines=(...), phones=(...)) as provider`; ended by its own process ids."""

    def __init__(
        self,
        host: str,
        *,
        lines: tuple[Line, ...] = (),
        phones: tuple[Phone, ...] = (),
        port: int = 0,
        also_at: tuple[str, ...] = (),
        algorithm: str = "",
        moved: Mapping[str, str] = MappingProxyType({}),
        tcp: bool = False,
    ) -> None:
        """`also_at` are further addresses; the `algorithm` of its challenges is MD5 where none is named;
        a call to a number that has `moved` is answered 302 with that contact."""
        self.host = host
        self.port = port or free_port(host)
        self._lines = lines
        self._phones = phones
        self._also_at = also_at
        self._algorithm = algorithm
        self._moved = moved
        self._tcp = tcp
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        """How often it was started: each time it has forgotten who was registered."""

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def __enter__(self) -> Kamailio:
        self._folder = Path(tempfile.mkdtemp(prefix="kamailio-"))
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Its life.

    def start(self, *, refuses_with: str = "") -> None:
        """Start it and wait until it listens. `refuses_with` is the status and a header for every call."""
        self.starts += 1
        (self._folder / "kamailio.cfg").write_text(self._config(refuses_with))
        folder = str(self._folder)
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                (
                    *(PROGRAM, "-f", f"{folder}/kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "4"),
                    *("-Y", folder, "-w", folder, "-P", f"{folder}/pid"),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while f":{self.port:04X} " not in Path("/proc/net/udp").read_text():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def _all(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self._process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def stop(self) -> None:
        """End it: whoever asks finds the port closed."""
        if self._process is None or self._process.poll() is not None:
            return
        everybody = self._all()
        self.go_on()
        self._process.terminate()
        _, alive = psutil.wait_procs(everybody, timeout=5)
        for process in alive:
            process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Answer nothing more, without going away."""
        for process in self._all():
            process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def restart(self, *, refuses_with: str = "") -> None:
        """What it knew of registrations is gone, as of a provider that keeps them in memory."""
        self.stop()
        self.start(refuses_with=refuses_with)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    # What it saw.

    @property
    def log(self) -> str:
        path = self._folder / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def saw(self, method: str, **words: str) -> list[dict[str, str]]:
        """Requests of this method, each as its words; only those that have these."""
        return self._noted("SAW", method, words)

    def _noted(self, what: str, method: str, words: Mapping[str, str]) -> list[dict[str, str]]:
        lines = re.findall(rf"{what} {method} (.*)", self.log)
        found = [dict(re.findall(r"(\w+)=(.*?)(?= \w+=|$)", line)) for line in lines]
        return [one for one in found if all(one.get(name) == value for name, value in words.items())]

    def heard(self, method: str, **words: str) -> list[dict[str, str]]:
        """Responses to such requests of its own or that it passed on, likewise."""
        return self._noted("HEARD", method, words)

    async def sees(self, method: str, *, within: float = 5.0, **words: str) -> dict[str, str]:
        """Wait for such a request; the newest."""

        async def there() -> bool:
            return bool(self.saw(method, **words))

        await eventually(there, within=within, what=f"{method} {words} in {self.saw(method)}")
        return self.saw(method, **words)[-1]

    # Its configuration.

    def _config(self, refuses_with: str) -> str:
        return _CONFIG.format(
            folder=self._folder,
            host=self.host,
            port=self.port,
            tcp=f"tcp_children=1\nlisten=tcp:{self.host}:{self.port}" if self._tcp else "disable_tcp=yes",
            more_listen="\n".join(f"listen=udp:{host}:{self.port}" for host in self._also_at),
            algorithm=f'modparam("auth", "algorithm", "{self._algorithm}")' if self._algorithm else "",
            realm=REALM,
            words=" ".join(f"{word}={value}" for word, value in _SEEN.items()),
            passwords="\n".join(
                f'    if ($au == "{one.user}") $var(password) = "{one.password}";'
                for one in (*self._lines, *self._phones)
            ),
            out_of_service=_out_of_service(refuses_with),
            numbers="\n".join(
                [
                    *(_to_contact(number, contact) for number, contact in self._moved.items()),
                    *map(self._to_line, self._lines),
                    *map(_to_phone, self._phones),
                ]
            ),
        )

    def _to_line(self, line: Line) -> str:
        """The network says who calls, whatever the phone wrote; what was dialled stays in To."""
        asserted = "\n".join(
            f'        if ($au == "{phone.user}") '
            f'append_hf("P-Asserted-Identity: <sip:{phone.number}@{REALM}>\\r\\n");'
            for phone in self._phones
        )
        return f"""\
    if ($(rU{{s.substr,0,{len(line.numbers)}}}) == "{line.numbers}") {{
        remove_hf("P-Asserted-Identity");
        append_hf("X-Customer: C-$au\\r\\n");
{asserted}
        $ru = "sip:{line.user}@{REALM}";
    }}"""


def _out_of_service(refuses_with: str) -> str:
    if not refuses_with:
        return ""
    status, _, header = refuses_with.partition(" ")
    more = f'append_to_reply("{header}\\r\\n");' if header else ""
    return f'    {more} sl_send_reply("{status}", "Out Of Service"); exit;'


def _to_contact(number: str, contact: str) -> str:
    return f"""\
    if ($rU == "{number}") {{
        append_to_reply("Contact: <{contact}>\\r\\n");
        sl_send_reply("302", "Moved Temporarily");
        exit;
    }}"""


def _to_phone(phone: Phone) -> str:
    return f'    if ($rU == "{phone.number}") $ru = "sip:{phone.user}@{REALM}";'


def is_missing() -> bool:
    """Whether the program is not installed."""
    return not os.access(PROGRAM, os.X_OK)
