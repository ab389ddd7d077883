"""pyVoIP's SIP client, repaired.

pyVoIP 1.6.8 repeats its Call-IDs, acknowledges with a strange To tag, ends calls with a foreign Via, answers
a CANCEL without a 487, knows no OPTIONS, waits for a 100 before a call and never retransmits. Here
registration runs beside calls, every request has a Via of its own, and what is not answered is sent again.
pyVoIP still writes REGISTER, its digest and INVITE, and parses what its calls need.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from pyVoIP.SIP import SIPClient, SIPMessage

from acd.demo.phones.wire import Repeater, SipText, response

if TYPE_CHECKING:
    from acd.demo.phones.phone import Phone

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
_MAX_DATAGRAM = 8192
_EXPIRES = 120
_REFRESH_AFTER = 60.0
_RETRY_AFTER = 3.0
_ANSWERED_AT_ONCE = {"OPTIONS": 200, "NOTIFY": 200, "INFO": 200, "BYE": 481, "CANCEL": 481}


class Line(SIPClient):
    """One UDP socket, one thread, one account (or none: a trunk caller does not register)."""

    phone: Phone

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.default_expires = _EXPIRES
        self.registered = threading.Event()
        self.register_status = 0
        self.repeater = Repeater()
        self._lock = threading.RLock()
        self._register_at = float("inf")
        self._thread: threading.Thread | None = None

    @property
    def host(self) -> str:
        """Our host:port."""
        return f"{self.myIP}:{self.myPort}"

    @property
    def contact(self) -> str:
        return f"sip:{self.username}@{self.host}"

    def gen_call_id(self) -> str:
        """pyVoIP counts from one after every start; a registrar then sees old Call-IDs with low CSeqs."""
        return f"{uuid.uuid4().hex}@{self.myIP}"

    def start(self) -> None:
        """Bind (port 0: any) and listen; register if there is a password."""
        self.NSD = True
        self.s = self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((self.myIP, self.myPort))
        self.myPort = self.s.getsockname()[1]
        self.s.settimeout(_POLL_SECONDS)
        if self.password:
            self._register_at = time.monotonic()
        self._thread = threading.Thread(target=self.recv_loop, name=f"sip {self.host}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Unregister, wait up to a second for the answer, and give the port back."""
        if self.password and self.registered.is_set():
            self._register(expires=0)
            deadline = time.monotonic() + 1.0
            while self.registered.is_set() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        self.NSD = False
        if self._thread is not None:
            self._thread.join(1.0)
        self._close_sockets()

    def send(self, data: bytes, *, repeat_as: tuple[str, str] | None = None) -> None:
        """Send to the server; with a key, until `repeater.stop(key)`."""
        with self._lock:
            if repeat_as is not None:
                self.repeater.begin(repeat_as, data, time.monotonic())
            with contextlib.suppress(OSError):  # the server may be down; what matters is repeated
                self.out.sendto(data, (self.server, self.port))

    def answered(self, key: tuple[str, str]) -> bool:
        """Stop repeating."""
        with self._lock:
            return self.repeater.stop(key)

    def recv_loop(self) -> None:
        while self.NSD:
            try:
                raw = self.s.recv(_MAX_DATAGRAM)
            except TimeoutError:
                raw = b""
            except OSError:  # ICMP port unreachable: the server is away
                raw = b""
                time.sleep(_POLL_SECONDS)
            message = SipText.parse(raw) if raw.strip() else None
            try:
                if message is not None:
                    self._take(message)
                self._on_time()
            except Exception:  # pyVoIP's parser raises anything; the phone goes on with the next message
                log.exception("line %s could not take %s", self.host, message and message.first)

    def _on_time(self) -> None:
        now = time.monotonic()
        with self._lock:
            again = self.repeater.due(now)
        for data in again:
            self.send(data)
        if now >= self._register_at:
            self._register_at = now + _RETRY_AFTER
            self._register(expires=_EXPIRES)

    def _take(self, message: SipText) -> None:
        if message.status:
            if message.method == "REGISTER":
                self._on_register_response(message)
            else:
                self.phone.on_response(message)
        elif message.method == "INVITE" or self.phone.knows(message):
            self.phone.on_request(message)
        elif message.method != "ACK":
            status = _ANSWERED_AT_ONCE.get(message.method, 405)
            self.send(response(message, status, self.gen_tag(), self.contact))

    def _register(self, *, expires: int) -> None:
        self.default_expires = expires
        text = self.gen_first_response(deregister=expires == 0)
        self.send(text.encode())

    def _on_register_response(self, message: SipText) -> None:
        self.register_status = message.status
        if message.status == 401 and message.cseq == self.registerCounter.current() - 1:
            if self._challenged(message):
                return
        elif 200 <= message.status < 300:
            if self.default_expires == 0:
                self.registered.clear()
                self._register_at = float("inf")
            else:
                self._register_at = time.monotonic() + _REFRESH_AFTER
                self.registered.set()
        if message.status >= 300:
            self.registered.clear()

    def _challenged(self, message: SipText) -> bool:
        """Answer with pyVoIP's digest; it knows MD5 without qop only. False where that cannot help."""
        for challenge in message.headers.get("www-authenticate", []):
            if "SHA-256" in challenge:
                continue
            request = SIPMessage(_only(message, challenge))
            self.send(self.gen_register(request, deregister=self.default_expires == 0).encode())
            return True
        return False


def _only(message: SipText, challenge: str) -> bytes:
    """The response with one challenge; pyVoIP would take the first of several."""
    lines = message.raw.decode("utf-8", "replace").split("\r\n")
    kept = [line for line in lines if not line.lower().startswith("www-authenticate")]
    return "\r\n".join([kept[0], f"WWW-Authenticate: {challenge}", *kept[1:]]).encode()
