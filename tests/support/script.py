"""SIPp scenarios in short words: what a caller or a phone says, and what it must hear in between.

`Caller` dials from the trunk; `Answerer` is an agent's phone. Expectations are regular expressions (POSIX) on
the whole message. Nothing is repeated by these peers: they live on the loopback.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from tests.support.sipp import AgentPhone

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
_VIA = "SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]-[call_number]"
_CONTACT = "Contact: <sip:phone@[local_ip]:[local_port];transport=[transport]>"
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
        self._kept: list[str] = []

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

    def hear(self, status: int, *patterns: str) -> None:
        """Wait for a response that matches; an INVITE's 100 may come before it."""
        self._receive('response="100"', (), 'optional="true"')
        self._receive(f'response="{status}"', patterns)

    def hear_request(self, method: str, *patterns: str) -> list[str]:
        """Wait for a request that matches, and keep what `reply` needs of it: which is returned."""
        found = [(name, f"{name.lower().replace('-', '')}{len(self._found)}") for name in _COPIED]
        self._kept = [f"[${variable}]" for _, variable in found]
        self._found += [variable for _, variable in found]
        line = '<ereg regexp="{}:[^\\n\\r]*" search_in="msg" assign_to="{}"/>'
        kept = "".join(line.format(name, variable) for name, variable in found)
        self._receive(f'request="{method}"', patterns, more=kept)
        return self._kept

    def reply(self, status: int = 200, *headers: str, body: str = "", to: list[str] | None = None) -> None:
        """Answer the request heard last, or an earlier one."""
        self._send([f"SIP/2.0 {status} So", *(to or self._kept), _CONTACT, *headers], body, _SDP)


class Caller(_Script):
    """Somebody who dials `-s` over the trunk."""

    _FROM = "From: <sip:+372555[call_number]@[local_ip]>;tag=[pid]c[call_number]"

    def __init__(self) -> None:
        super().__init__()
        self._is_inside = False
        self._invited = 0

    def _request(self, method: str, cseq: int, branch: str, headers: tuple[str, ...]) -> list[str]:
        uri = "[next_url]" if self._is_inside else "sip:[service]@[remote_ip]:[remote_port]"
        own = [header.partition(":")[0] for header in headers]
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: {_VIA}-{branch}",
            *([] if "Max-Forwards" in own else ["Max-Forwards: 70"]),
            self._FROM,
            "To: <sip:[service]@[remote_ip]>" + ("[peer_tag_param]" if self._is_inside else ""),
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            _CONTACT,
            *headers,
        ]

    def say(self, method: str, *headers: str, body: str = "", kind: str = _SDP, branch: str = "") -> None:
        """A request with the next number."""
        self._cseq += 1
        if method == "INVITE":
            self._invited = self._cseq
        self._send(self._request(method, self._cseq, branch or str(self._cseq), headers), body, kind)

    def invite(self, *headers: str, body: str | None = None, kind: str = _SDP) -> None:
        """An INVITE with an offer, or with this body ("" for none)."""
        self.say("INVITE", *headers, body=audio() if body is None else body, kind=kind)

    def loop(self) -> None:
        """The INVITE once more, as it comes back over another way."""
        self._send(self._request("INVITE", self._cseq, "looped", ()), audio(), _SDP)

    def answered(self, *patterns: str, body: str = "") -> None:
        """Wait for the 200 to the INVITE and acknowledge it."""
        self.hear(200, *patterns)
        self.ack(body)

    def ack(self, body: str = "", *, tag: str = "") -> None:
        """Acknowledge a 200; with a `tag` of one's own for the far end, as some phones do."""
        self._is_inside = True
        lines = self._request("ACK", self._invited, f"{self._invited}-ack", ())
        if tag:
            lines = [line.replace("[peer_tag_param]", f";tag={tag}") for line in lines]
        self._send(lines, body, _SDP)

    def hear_reliably(self, status: int, *patterns: str) -> None:
        """Wait for a provisional response that is to be acknowledged (RFC 3262), and do that."""
        whole, number = f"rseq{len(self._found)}", f"number{len(self._found)}"
        self._found += [whole, number]
        kept = (
            f'<ereg regexp="RSeq: *([0-9]+)" search_in="msg" check_it="true" assign_to="{whole},{number}"/>'
        )
        self._receive('response="100"', (), 'optional="true"')
        self._receive(f'response="{status}"', ("Require:.*100rel", *patterns), more=kept)
        self._is_inside = True
        self.say("PRACK", f"RAck: [${number}] {self._invited} INVITE")
        self._receive('response="200"', ("CSeq:.*PRACK",))

    def refused(self, status: int, *patterns: str) -> None:
        """Wait for a failure of the INVITE and acknowledge it."""
        self.hear(status, *patterns)
        lines = self._request("ACK", self._cseq, str(self._cseq), ())
        self._send([line if not line.startswith("To:") else "[last_To:]" for line in lines], "", _SDP)

    def cancel(self) -> None:
        self._send(self._request("CANCEL", self._cseq, str(self._cseq), ()), "", _SDP)

    def bye(self) -> None:
        """Hang up, and hear that it was understood."""
        self.say("BYE")
        self.hear(200)


class Dialler(Caller):
    """An agent who dials `-s` from a phone of theirs, with the password."""

    def __init__(self, agent: AgentPhone) -> None:
        super().__init__()
        self._FROM = f"From: <sip:{agent.user}@[remote_ip]>;tag=[pid]d[call_number]"
        self._password = f"[authentication username={agent.user} password={agent.password}]"

    def dial(self, *headers: str, branch: str = "") -> None:
        """The INVITE, and once more with the password; both with this branch, as some phones do."""
        headers = ("User-Agent: SIPp", *headers)
        self.say("INVITE", *headers, body=audio(), branch=branch)
        self._receive('response="100"', (), 'optional="true"')
        self._receive('response="401"', (), 'auth="true"')
        lines = self._request("ACK", self._cseq, branch or str(self._cseq), ())
        self._send([line if not line.startswith("To:") else "[last_To:]" for line in lines], "", _SDP)
        self.say("INVITE", self._password, *headers, body=audio(), branch=branch)


class Answerer(_Script):
    """The phone of an agent, or one behind the trunk, from the INVITE on; with `dial` also as who calls."""

    def __init__(self) -> None:
        super().__init__()
        self._found += ["caller", "callee", "via", "number", "line", "user", "contact", "target", "tag"]
        self._dialled = ""

    def rung(self, *patterns: str) -> None:
        """Wait for the INVITE, and keep what is needed of it."""
        header = '<ereg regexp=".*" search_in="hdr" header="{}:" assign_to="{}"/>'
        line = '<ereg regexp="{}:[^\\n\\r]*" search_in="msg" assign_to="{}"/>'
        part = '<ereg regexp={} search_in="msg" check_it="true" assign_to="{}"/>'
        kept = header.format("From", "caller") + header.format("To", "callee")
        kept += line.format("Via", "via") + line.format("CSeq", "number")
        kept += part.format(quoteattr("INVITE sip:([^@;]+)"), "line,user")
        kept += part.format(quoteattr("Contact: *<([^>]+)>"), "contact,target")
        kept += part.format(quoteattr("From:[^\\n\\r]*tag=([^;\\n\\r]+)"), "contact,tag")
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
            _CONTACT,
            *headers,
        ]
        self._send(lines, body, _SDP)

    def say(self, method: str, *headers: str, body: str = "", kind: str = _SDP) -> None:
        """A request within the dialog."""
        self._cseq += 1
        self._send(self._within(method, headers), body, kind)

    def _within(self, method: str, headers: tuple[str, ...]) -> list[str]:
        return [
            f"{method} [$target] SIP/2.0",
            f"Via: {_VIA}-{self._cseq}{method}",
            "Max-Forwards: 70",
            "From:[$callee];tag=[pid]a[call_number]",
            "To:[$caller]",
            "Call-ID: [call_id]",
            f"CSeq: {self._cseq} {method}",
            _CONTACT,
            *headers,
        ]

    def acknowledge(self) -> None:
        """The ACK to the 200 of a re-INVITE."""
        self._send(self._within("ACK", ()), "", _SDP)

    def dial(self, agent: AgentPhone, number: str, name: str, *headers: str) -> None:
        """Call somebody in another dialog, with the password, and be answered."""
        body = audio(port="[media_port+2]")
        self._invite(1, agent, number, name, *headers, body=body)
        self._receive('response="401"', (), 'auth="true"')
        self._send(self._outside("ACK", 1, agent, number, "[last_To:]", name, "1"), "", _SDP)
        words = f"[authentication username={agent.user} password={agent.password}]"
        self._invite(2, agent, number, name, words, *headers, body=body)
        self._receive('response="100"', (), 'optional="true"')
        far, target = f"far{len(self._found)}", f"at{len(self._found)}"
        self._found += [far, target, f"{far}line", f"{target}line"]
        kept = f'<ereg regexp="To:[^\\n\\r]*tag=([^;\\n\\r]+)" search_in="msg" assign_to="{far}line,{far}"/>'
        kept += (
            f'<ereg regexp="Contact: *&lt;([^&gt;]+)&gt;" search_in="msg" assign_to="{target}line,{target}"/>'
        )
        self._receive('response="200"', (), more=kept)
        self._send(self._outside("ACK", 2, agent, f"[${target}]", "[last_To:]", name, "ack"), "", _SDP)
        self._dialled = f"{name}///[call_id];to-tag=[${far}];from-tag=[pid]{name}[call_number]"

    def _invite(self, cseq: int, agent: AgentPhone, number: str, name: str, *more: str, body: str) -> None:
        to = f"To: <sip:{number}@[remote_ip]>"
        self._send([*self._outside("INVITE", cseq, agent, number, to, name, str(cseq)), *more], body, _SDP)

    def _outside(
        self, method: str, cseq: int, agent: AgentPhone, to: str, to_line: str, name: str, branch: str
    ) -> list[str]:
        uri = to if to.startswith("[$") else f"sip:{to}@[remote_ip]:[remote_port]"
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: {_VIA}-{name}{branch}",
            "Max-Forwards: 70",
            f"From: <sip:{agent.user}@[local_ip]>;tag=[pid]{name}[call_number]",
            to_line,
            f"Call-ID: {name}///[call_id]",
            f"CSeq: {cseq} {method}",
            _CONTACT,
            "User-Agent: SIPp",
        ]

    @property
    def dialled(self) -> str:
        """What was dialled last, as a Replaces within a Refer-To names it."""
        return self._dialled.replace("/", "%2F").replace(";", "%3B").replace("=", "%3D")

    @property
    def replaces(self) -> str:
        """The dialog that was answered, as the Replaces of an INVITE names it."""
        return "Replaces: [call_id];to-tag=[$tag];from-tag=[pid]a[call_number]"

    def let_go(self) -> None:
        """Take the BYE."""
        self.hear_request("BYE")
        self.reply()


class Watcher(_Script):
    """A phone that subscribes: to a colleague's calls, or to its own messages."""

    def __init__(self, agent: AgentPhone, watched: str, event: str, kind: str) -> None:
        super().__init__()
        self._agent = agent
        self._watched = watched
        self._headers = (f"Event: {event}", f"Accept: {kind}")

    def subscribe(self, seconds: int = 600) -> None:
        """With the password, and be accepted: for the first time, or anew."""
        words = f"[authentication username={self._agent.user} password={self._agent.password}]"
        is_first = self._cseq == 0
        self._send(self._request(seconds), "", _SDP)
        if is_first:
            self._receive('response="401"', (), 'auth="true"')
            self._send([*self._request(seconds), words], "", _SDP)
        self._receive('response="200"', ("Expires:",))

    def _request(self, seconds: int) -> list[str]:
        tag = "" if self._cseq < 2 else "[peer_tag_param]"
        uri = "[next_url]" if tag else f"sip:{self._watched}@[remote_ip]:[remote_port]"
        self._cseq += 1
        return [
            f"SUBSCRIBE {uri} SIP/2.0",
            f"Via: {_VIA}-{self._cseq}",
            "Max-Forwards: 70",
            f"From: <sip:{self._agent.user}@[local_ip]>;tag=[pid]w[call_number]",
            f"To: <sip:{self._watched}@[remote_ip]>{tag}",
            "Call-ID: [call_id]",
            f"CSeq: {self._cseq} SUBSCRIBE",
            _CONTACT,
            "User-Agent: SIPp",
            f"Expires: {seconds}",
            *self._headers,
        ]

    def told(self, *patterns: str) -> None:
        """Take a NOTIFY that matches."""
        self.hear_request("NOTIFY", *patterns)
        self.reply()
