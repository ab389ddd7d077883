"""SIPp scenarios in short words: what a caller or a phone says, and what it must hear in between.

`Caller` dials from the trunk; `Answerer` is an agent's phone. Expectations are regular expressions (POSIX) on
the whole message. Nothing is repeated by these peers: they live on the loopback.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

AUDIO = """\
v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio {port} RTP/AVP {laws} 101
a=rtpmap:101 telephone-event/8000
a={direction}"""
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
_SDP = "application/sdp"
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")
"""Headers of a request that its responses repeat."""


def audio(
    *, laws: str = "0 8", direction: str = "sendrecv", version: int = 1, port: str = "[media_port]"
) -> str:
    """A session description."""
    return AUDIO.format(laws=laws, direction=direction, version=version, port=port)


class _Script:
    """Steps in order, as XML. `xml` is the scenario."""

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._found: list[str] = []
        self._cseq = 0

    @property
    def xml(self) -> str:
        used = f'<Reference variables="{",".join(self._found)}"/>\n' if self._found else ""
        return f'{_HEAD}<scenario name="script">\n{"".join(self._steps)}{used}</scenario>\n'

    def _send(self, lines: list[str], body: str, kind: str) -> None:
        if body:
            lines = [*lines, f"Content-Type: {kind}"]
        text = "\n".join([*lines, "Content-Length: [len]", "", body])
        self._steps.append(f"<send><![CDATA[\n{text}\n]]></send>\n")

    def _receive(
        self, what: str, patterns: tuple[str, ...], flag: str = 'rrs="true"', more: str = ""
    ) -> None:
        checks = "".join(self._check(pattern) for pattern in patterns)
        action = f"<action>{checks}{more}</action>" if checks or more else ""
        self._steps.append(f"<recv {what} {flag}>{action}</recv>\n")

    def _check(self, pattern: str) -> str:
        name = f"found{len(self._found)}"
        self._found.append(name)
        words = f'regexp={quoteattr(pattern)} search_in="msg" check_it="true" assign_to="{name}"'
        return f"<ereg {words}/>"

    def wait(self, milliseconds: int) -> None:
        self._steps.append(f'<pause milliseconds="{milliseconds}"/>\n')


class Caller(_Script):
    """Somebody who dials `-s` over the trunk."""

    _FROM = "From: <sip:+372555[call_number]@[local_ip]>;tag=[pid]c[call_number]"

    def __init__(self) -> None:
        super().__init__()
        self._is_inside = False
        self._kept: list[str] = []

    def _request(self, method: str, cseq: int, branch: str, headers: tuple[str, ...]) -> list[str]:
        uri = "[next_url]" if self._is_inside else "sip:[service]@[remote_ip]:[remote_port]"
        own = [header.partition(":")[0] for header in headers]
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]-[call_number]-{branch}",
            *([] if "Max-Forwards" in own else ["Max-Forwards: 70"]),
            self._FROM,
            "To: <sip:[service]@[remote_ip]>" + ("[peer_tag_param]" if self._is_inside else ""),
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            "Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>",
            *headers,
        ]

    def say(self, method: str, *headers: str, body: str = "", kind: str = _SDP, branch: str = "") -> None:
        """A request with the next number."""
        self._cseq += 1
        self._send(self._request(method, self._cseq, branch or str(self._cseq), headers), body, kind)

    def invite(self, *headers: str, body: str | None = None, kind: str = _SDP) -> None:
        """An INVITE with an offer, or with this body ("" for none)."""
        self.say("INVITE", *headers, body=audio() if body is None else body, kind=kind)

    def loop(self) -> None:
        """The INVITE once more, as it comes back over another way."""
        self._send(self._request("INVITE", self._cseq, "looped", ()), audio(), _SDP)

    def hear(self, status: int, *patterns: str) -> None:
        """Wait for a response that matches; an INVITE's 100 may come before it."""
        self._receive('response="100"', (), 'optional="true"')
        self._receive(f'response="{status}"', patterns)

    def answered(self, *patterns: str, body: str = "") -> None:
        """Wait for the 200 to the INVITE and acknowledge it."""
        self.hear(200, *patterns)
        self.ack(body)

    def ack(self, body: str = "") -> None:
        self._is_inside = True
        self._send(self._request("ACK", self._cseq, f"{self._cseq}-ack", ()), body, _SDP)

    def refused(self, status: int, *patterns: str) -> None:
        """Wait for a failure of the INVITE and acknowledge it."""
        self.hear(status, *patterns)
        lines = self._request("ACK", self._cseq, str(self._cseq), ())
        self._send([line if not line.startswith("To:") else "[last_To:]" for line in lines], "", _SDP)

    def cancel(self) -> None:
        self._send(self._request("CANCEL", self._cseq, str(self._cseq), ()), "", _SDP)

    def hear_request(self, method: str, *patterns: str) -> None:
        """Wait for a request that matches, and keep what `reply` needs of it."""
        found = [(name, f"{name.lower().replace('-', '')}{len(self._found)}") for name in _COPIED]
        self._kept = [f"[${variable}]" for _, variable in found]
        self._found += [variable for _, variable in found]
        line = '<ereg regexp="{}:[^\\n\\r]*" search_in="msg" assign_to="{}"/>'
        kept = "".join(line.format(name, variable) for name, variable in found)
        self._receive(f'request="{method}"', patterns, more=kept)

    def reply(self, status: int, *headers: str, body: str = "") -> None:
        """Answer the request heard last."""
        contact = "Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>"
        self._send([f"SIP/2.0 {status} So", *self._kept, contact, *headers], body, _SDP)

    def bye(self) -> None:
        """Hang up, and hear that it was understood."""
        self.say("BYE")
        self.hear(200)


class Answerer(_Script):
    """The phone of an agent from the INVITE on."""

    def __init__(self) -> None:
        super().__init__()
        self._found += ["caller", "callee", "via", "number", "line", "user"]

    def rung(self, *patterns: str) -> None:
        """Wait for the INVITE, and keep what its responses need."""
        header = '<ereg regexp=".*" search_in="hdr" header="{}:" assign_to="{}"/>'
        line = '<ereg regexp="{}:[^\\n\\r]*" search_in="msg" assign_to="{}"/>'
        kept = header.format("From", "caller") + header.format("To", "callee")
        kept += line.format("Via", "via") + line.format("CSeq", "number")
        kept += '<ereg regexp="INVITE sip:([^@;]+)" search_in="msg" check_it="true" assign_to="line,user"/>'
        self._receive('request="INVITE"', patterns, more=kept)

    def answer(self, status: int, *headers: str, body: str = "", tag: str = "a") -> None:
        """Respond to the INVITE."""
        lines = [
            f"SIP/2.0 {status} So",
            "[$via]",
            "From:[$caller]",
            f"To:[$callee];tag=[pid]{tag}[call_number]",
            "[last_Call-ID:]",
            "[$number]",
            "Contact: <sip:[$user]@[local_ip]:[local_port];transport=[transport]>",
            *headers,
        ]
        self._send(lines, body, _SDP)

    def hear(self, method: str, *patterns: str) -> None:
        """Wait for a request that matches."""
        self._receive(f'request="{method}"', patterns)

    def reply(self, status: int = 200, *headers: str, body: str = "") -> None:
        """Answer the request heard last."""
        self._send([f"SIP/2.0 {status} So", *(f"[last_{name}:]" for name in _COPIED), *headers], body, _SDP)

    def let_go(self) -> None:
        """Take the BYE."""
        self.hear("BYE")
        self.reply()
