"""SIP text for the repaired phone: cut a message into headers, write requests and responses, send again."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field

T1 = 0.5
T2 = 4.0
LIFETIME = 32.0
"""64*T1: how long an unanswered message is repeated (RFC 3261 section 17.1.1.2)."""
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS"
_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_PHRASES = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    405: "Method Not Allowed",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
}


@dataclass(frozen=True, slots=True)
class SipText:
    """A message as it came: first line, headers by lower-case name in order, body."""

    raw: bytes
    first: str
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> SipText | None:
        """None for what is not SIP (keep-alives, noise)."""
        head, _, body = raw.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip().lower()
                headers.setdefault(_COMPACT.get(name, name), []).append(value.strip())
        if "SIP/2.0" not in first or "cseq" not in headers or "call-id" not in headers:
            return None
        return cls(raw, first, headers, body)

    def get(self, name: str) -> str:
        return self.headers.get(name, [""])[0]

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """Of the request, or of the request that this response answers."""
        return self.get("cseq").split()[-1]

    @property
    def cseq(self) -> int:
        number = self.get("cseq").split()[0]
        return int(number) if number.isdigit() else 0

    @property
    def target(self) -> str:
        """The URI in Contact."""
        found = re.search(r"<([^>]+)>", self.get("contact"))
        return found[1] if found else self.get("contact").split(";")[0]


@dataclass(slots=True)
class Dialog:
    """One side of a dialog: what every later request of ours needs (RFC 3261 section 12)."""

    call_id: str
    local: str
    """Our From, with our tag."""
    remote: str
    """Their To, with their tag once known."""
    target: str
    host: str
    """Our host:port, for Via and Contact."""
    cseq: int = 1

    def request(self, method: str, *, cseq: int | None = None, branch: str = "", body: str = "") -> bytes:
        """A request inside the dialog. ACK and CANCEL name the INVITE's number; others take the next one."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host};branch={branch or new_branch()};rport",
            "Max-Forwards: 70",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.host}>",
        ]
        return finish(lines, body)


def response(request: SipText, status: int, tag: str, contact: str, body: str = "") -> bytes:
    """A response: Via, From, To, Call-ID and CSeq as they came, with our tag where To has none."""
    to = request.get("to")
    lines = [
        f"SIP/2.0 {status} {_PHRASES[status]}",
        *(f"Via: {value}" for value in request.headers.get("via", [])),
        *(f"Record-Route: {value}" for value in request.headers.get("record-route", [])),
        f"From: {request.get('from')}",
        f"To: {to if ';tag=' in to else f'{to};tag={tag}'}",
        f"Call-ID: {request.get('call-id')}",
        f"CSeq: {request.get('cseq')}",
        f"Contact: <{contact}>",
        f"Allow: {ALLOW}",
    ]
    return finish(lines, body)


def finish(lines: list[str], body: str = "") -> bytes:
    """Add the headers of the body and the body."""
    kind = ["Content-Type: application/sdp"] if body else []
    return ("\r\n".join([*lines, *kind, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()


def sdp(host: str, port: int, kinds: dict[int, str], *, version: int, direction: str) -> str:
    """One audio line; `kinds` maps payload types to names."""
    lines = [
        "v=0",
        f"o=pyVoIP 1 {version} IN IP4 {host}",
        "s=pyVoIP",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, kinds))}",
        *(f"a=rtpmap:{kind} {name}/8000" for kind, name in kinds.items()),
        *(f"a=fmtp:{kind} 0-15" for kind, name in kinds.items() if name == "telephone-event"),
        "a=ptime:20",
        f"a={direction}",
    ]
    return "\r\n".join(lines) + "\r\n"


def direction_of(body: str) -> str:
    """The direction of the far end's SDP; sendrecv where it says nothing."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", body, re.M)
    return found[1] if found else "sendrecv"


def answer_to(direction: str) -> str:
    """Our direction for theirs (RFC 3264 section 6.1)."""
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)


def new_branch() -> str:
    """A branch of our own (RFC 3261 section 8.1.1.7)."""
    return f"z9hG4bK{uuid.uuid4().hex[:20]}"


class Repeater:
    """Messages that are sent again until somebody answers them. Driven by the phone's own thread."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], tuple[bytes, float, float, float]] = {}

    def begin(self, key: tuple[str, str], data: bytes, now: float) -> None:
        """`data` has just been sent; repeat it from now on."""
        self._waiting[key] = (data, now + T1, T1, now + LIFETIME)

    def stop(self, key: tuple[str, str]) -> bool:
        """It was answered. False if nothing was waiting."""
        return self._waiting.pop(key, None) is not None

    def due(self, now: float) -> list[bytes]:
        """What must be sent again now."""
        out = []
        for key, (data, at, wait, until) in list(self._waiting.items()):
            if now >= until:
                del self._waiting[key]
            elif now >= at:
                wait = min(2 * wait, T2)
                self._waiting[key] = (data, now + wait, wait, until)
                out.append(data)
        return out
