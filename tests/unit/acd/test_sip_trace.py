"""What is kept of the wire, for whom, and in which forms it is shown."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.control import ladder
from acd.sip.core.events import Flow
from acd.sip.trace.captured import Captured, Report, numbers_in, without_secrets
from acd.sip.trace.hep import HepExport
from acd.sip.trace.pcap import pcap
from acd.sip.trace.tracer import Rules, Tracer
from tests.support.clock import FakeClock
from tests.support.prometheus import needs

CARRIER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.1", 5080))
PHONE = Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.9", 40000))
V6 = Flow("tls", ("2001:db8::1", 5061), ("2001:db8::9", 40001))


def message(
    start: str = "INVITE sip:+3726000100@acd SIP/2.0", call_id: str = "leg-1", *headers: str, body: str = ""
) -> bytes:
    lines = [
        start,
        "Via: SIP/2.0/UDP 198.51.100.1:5080;branch=z9hG4bKx",
        "From: <sip:+37255512345@carrier>;tag=1",
        "To: <sip:+3726000100@acd>",
        f"Call-ID: {call_id}",
        "CSeq: 1 INVITE",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def tracer(rules: Rules | None = None, *, max_bytes: int = 100_000) -> Tracer:
    return Tracer(rules or Rules(), max_bytes, FakeClock())


TO_PHONE = message("INVITE sip:1001@203.0.113.9 SIP/2.0", "leg-2", "X-ACD-Call-ID: call-7")
TO_PHONE = TO_PHONE.replace(b"3726000100", b"1001").replace(b"+37255512345", b"acd")


def kept(trace: Tracer, call: str = "call-7") -> list[tuple[str, bool, str]]:
    """Leg, whether we sent it, and how it begins, of each message."""
    return [
        (one.call_id, one.sent, one.data.decode().partition(" sip:")[0].partition("\r\n")[0])
        for one in trace.messages(call)
    ]


@pytest.mark.parametrize(
    "rules",
    [
        Rules(numbers=frozenset(["+3726000100"])),
        Rules(numbers=frozenset(["+37255512345"])),
        Rules(trunks=frozenset(["carrier"])),
    ],
    ids=["called", "calling", "trunk"],
)
def test_both_legs_of_a_call_are_kept_from_the_first_message(rules: Rules) -> None:
    trace = tracer(rules)
    trace.saw(message(), CARRIER, sent=False)
    trace.belongs("leg-1", "call-7", trunk="carrier")
    trace.belongs("leg-2", "call-7")
    trace.saw(TO_PHONE, PHONE, sent=True)
    trace.saw(message("SIP/2.0 200 OK", "leg-2"), PHONE, sent=False)
    assert kept(trace) == [
        ("leg-1", False, "INVITE"),
        ("leg-2", True, "INVITE"),
        ("leg-2", False, "SIP/2.0 200 OK"),
    ]


@pytest.mark.parametrize(
    "rules",
    [Rules(numbers=frozenset(["+3726000100"])), Rules(trunks=frozenset(["carrier"]))],
    ids=["called", "trunk"],
)
def test_a_call_that_turns_out_to_go_over_a_trunk_is_kept_from_the_first_message_of_the_agent(
    rules: Rules,
) -> None:
    trace = tracer(rules)
    dialled = message("INVITE sip:6000100@acd SIP/2.0", "leg-1").replace(
        b"<sip:+3726000100@", b"<sip:6000100@"
    )
    trace.saw(dialled, PHONE, sent=False)
    trace.belongs("leg-1", "call-7")
    trace.saw(message("SIP/2.0 100 Trying", "leg-1").replace(b"+372600", b"600"), PHONE, sent=True)
    trace.saw(message("INVITE sip:1@acd SIP/2.0", "other").replace(b"+372600", b"600"), PHONE, sent=False)
    trace.belongs("leg-2", "call-7", trunk="carrier")
    trace.saw(message(call_id="leg-2"), CARRIER, sent=True)
    trace.saw(message("BYE sip:acd SIP/2.0", "leg-1"), PHONE, sent=False)
    assert kept(trace) == [
        ("leg-1", False, "INVITE"),
        ("leg-1", True, "SIP/2.0 100 Trying"),
        ("leg-2", True, "INVITE"),
        ("leg-1", False, "BYE"),
    ]


def test_nobody_gets_into_the_trace_of_a_call_by_naming_it() -> None:
    trace = tracer(Rules(numbers=frozenset(["+3726000100"])))
    trace.saw(message(), CARRIER, sent=False)
    trace.belongs("leg-1", "call-7")
    forged = message("INVITE sip:1@acd SIP/2.0", "forged", "X-ACD-Call-ID: call-7")
    trace.saw(forged.replace(b"3726000100", b"1").replace(b"+37255512345", b"2"), PHONE, sent=False)
    assert kept(trace) == [("leg-1", False, "INVITE")]


def test_nothing_is_kept_of_calls_that_nobody_asked_for() -> None:
    trace = tracer(Rules(numbers=frozenset(["+3726000999"]), trunks=frozenset(["other"])))
    trace.saw(message(), CARRIER, sent=False)
    trace.belongs("leg-1", "call-7", trunk="carrier")
    assert trace.messages("call-7") == []
    trace.clear()
    trace.saw(message(), CARRIER, sent=False)
    assert (trace.active, trace.bytes_kept) == (False, 0)


def test_live_call_is_kept_from_the_moment_it_is_asked_for_on_all_its_legs() -> None:
    trace = tracer()
    trace.belongs("leg-1", "call-7")
    trace.belongs("leg-2", "call-7")
    trace.follow("call-7")
    assert trace.active
    trace.saw(message("BYE sip:acd SIP/2.0"), CARRIER, sent=False)
    trace.saw(message("BYE sip:phone SIP/2.0", "leg-2"), PHONE, sent=True)
    assert kept(trace) == [("leg-1", False, "BYE"), ("leg-2", True, "BYE")]
    trace.clear()
    assert (trace.active, trace.bytes_kept) == (False, 0)


def test_a_call_is_followed_before_it_has_a_leg() -> None:
    trace = tracer()
    trace.follow("call-7")
    trace.belongs("leg-2", "call-7")
    trace.saw(TO_PHONE, PHONE, sent=True)
    assert kept(trace) == [("leg-2", True, "INVITE")]


@given(st.lists(st.integers(0, 5000), max_size=60))
def test_what_is_kept_is_bounded_and_the_newest_stays(sizes: list[int]) -> None:
    trace = tracer(Rules(trunks=frozenset(["carrier"])), max_bytes=20_000)
    for size in sizes:
        trace.saw(message(body="x" * size), CARRIER, sent=False)
    assert trace.bytes_kept <= 20_000 / 8
    trace.belongs("leg-1", "call-7", trunk="carrier")
    for size in sizes:
        trace.saw(message(body="x" * size), CARRIER, sent=False)
    found = trace.messages("call-7")
    assert sum(len(one.data) for one in found) <= trace.bytes_kept <= 20_000
    assert not sizes or found[-1].data.endswith(b"x" * sizes[-1])


def test_credentials_and_keys_are_crossed_out_and_lengths_stay() -> None:
    secret = 'Digest username="1001", response="0123456789abcdef"'
    data = message(
        "REGISTER sip:acd SIP/2.0",
        "x",
        f"Authorization: {secret}",
        f"proxy-authorization : {secret},\r\n cnonce=more",
        body="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
    )
    clean = without_secrets(data)
    assert len(clean) == len(data)
    for word in (b"1001", b"0123456789abcdef", b"cnonce", b"WVNf"):
        assert word not in clean
    assert clean.count(b"\r\n\r\n") == 1


@given(st.binary(max_size=300))
def test_no_bytes_break_the_trace(data: bytes) -> None:
    trace = tracer(Rules(numbers=frozenset(["1"]), trunks=frozenset(["carrier"])))
    for head in (b"", b"INVITE ", message()[:-2]):
        trace.saw(head + data, CARRIER, sent=False)
        numbers_in(head + data)


def captured(flow: Flow, data: bytes, at: float, *, sent: bool = False) -> Captured:
    return Captured(at, sent, flow, data, "leg-1")


SCRIPT = message(
    "INVITE sip:+3726000100@acd SIP/2.0", "leg-1", "User-Agent: <script>alert(1)</script><img src=x>"
)
MESSAGES = [
    captured(CARRIER, SCRIPT, 1_800_000_000.25),
    captured(CARRIER, message("SIP/2.0 180 Ringing"), 1_800_000_000.5, sent=True),
    captured(V6, message("BYE sip:acd SIP/2.0"), 1_800_000_001.75),
]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


def test_ladder_shows_every_message_and_runs_nothing_that_a_peer_wrote() -> None:
    text = ladder.render('call-7"><script>', MESSAGES)
    page = Page()
    page.feed(text)
    assert page.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "table",
        "thead",
        "tbody",
    } | {"tr", "th", "td", "details", "summary", "pre"}
    assert "INVITE sip:+3726000100@acd SIP/2.0 →" in text
    assert "← SIP/2.0 180 Ringing" in text
    assert "script" not in ladder.CONTENT_SECURITY_POLICY


def dissected(path: Path, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    words = [needs("tshark"), "-r", str(path), *options, "-T", "fields"]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_capture_file_is_read_by_an_analyser(tmp_path: Path) -> None:
    path = tmp_path / "call.pcap"
    path.write_bytes(pcap(MESSAGES))
    options = ("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-d", "udp.port==5061,sip")
    fields = ("frame.time_epoch", "sip.Method", "sip.Status-Code", "udp.srcport", "udp.checksum.status")
    found = dissected(path, *fields, options=options)
    assert [row[1:4] for row in found] == [["INVITE", "", "5080"], ["", "180", "5060"], ["BYE", "", "40001"]]
    assert float(found[0][0]) == 1_800_000_000.25
    assert found[2][4] == "1"
    assert "_ws.malformed" not in json.dumps(found)


def chunks_of(packet: bytes) -> dict[int, bytes]:
    """A reader of HEP3 by the document, sharing nothing with the writer."""
    assert packet[:4] == b"HEP3"
    assert int.from_bytes(packet[4:6], "big") == len(packet)
    found, at = {}, 6
    while at < len(packet):
        vendor, kind, length = struct.unpack_from(">HHH", packet, at)
        assert vendor == 0
        assert length >= 6
        found[kind] = packet[at + 6 : at + length]
        at += length
    assert at == len(packet)
    return found


def test_capture_server_gets_each_message_with_its_ends_and_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        export = HepExport(server.getsockname(), 77)
        trace = Tracer(Rules(), 1000, FakeClock(1_800_000_000.25), export)
        trace.saw(message("BYE sip:acd SIP/2.0", "x", "Authorization: Digest secret"), CARRIER, sent=False)
        chunks = chunks_of(server.recv(65535))
        trace.belongs("x", "call-7")
        trace.saw(message("SIP/2.0 200 OK", "x"), V6, sent=True)
        answer = chunks_of(server.recv(65535))
        export.close()
    assert (chunks[1], chunks[2], chunks[11]) == (b"\x02", b"\x11", b"\x01")
    assert socket.inet_ntop(socket.AF_INET, chunks[3]) == "198.51.100.1"
    assert socket.inet_ntop(socket.AF_INET, chunks[4]) == "192.0.2.1"
    assert struct.unpack(">HHIII", chunks[7] + chunks[8] + chunks[9] + chunks[10] + chunks[12]) == (
        5080,
        5060,
        1_800_000_000,
        250_000,
        77,
    )
    assert chunks[15].startswith(b"BYE sip:acd")
    assert b"secret" not in chunks[15]
    assert socket.inet_ntop(socket.AF_INET6, answer[6]) == "2001:db8::9"
    assert answer[2] == b"\x06"
    assert (chunks.get(17), answer[17]) == (None, b"call-7"), "the correlation id joins the legs of a call"
    assert trace.bytes_kept == 0


def test_capture_server_gets_a_report_of_audio_as_json_of_its_own_type() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        export = HepExport(server.getsockname(), 77)
        facts: dict[str, str | int | float] = {"PACKET_LOSS": 3, "MOS": 4.1, "TYPE": "FINAL"}
        ends = (("198.51.100.1", 40_000), ("192.0.2.1", 20_000))
        export.report(Report(1_800_000_000.25, *ends, facts, "leg-1@198.51.100.1"))
        chunks = chunks_of(server.recv(65535))
        export.close()
    assert (chunks[1], chunks[2], chunks[11]) == (b"\x02", b"\x11", b"\x22")
    assert socket.inet_ntop(socket.AF_INET, chunks[3]) == "198.51.100.1"
    assert struct.unpack(">HHI", chunks[7] + chunks[8] + chunks[12]) == (40_000, 20_000, 77)
    assert chunks[17] == b"leg-1@198.51.100.1"
    named = {"CORRELATION_ID": "leg-1@198.51.100.1", "RTP_SIP_CALL_ID": "leg-1@198.51.100.1"}
    assert json.loads(chunks[15]) == {**named, "REPORT_TS": 1_800_000_000.25, **facts}


def test_capture_server_that_is_not_there_costs_a_call_nothing() -> None:
    export = HepExport(("255.255.255.255", 9), 1)
    export(MESSAGES[0])
    export(MESSAGES[1])
    export.close()
