"""The torture messages of RFC 4475 and RFC 5118: each objected to by the right layer, and life goes on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import ParseError, Request, Response, parse
from acd.sip.core.stack import SipStack, StackConfig

TORTURE = Path(__file__).parents[3] / "shared" / "torture"
FLOW = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
OPTIONS = (
    b"OPTIONS sip:192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: options-%d\r\n"
    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)

pytestmark = pytest.mark.skipif(
    not TORTURE.is_dir(), reason="the torture messages are not beside the checkout"
)

TOLERATED = {"baddate.dat": "3.1.2.12: nobody reads Date here", "escruri.dat": "3.1.2.11: may be tolerated"}


def rows() -> list[tuple[str, str]]:
    table = TORTURE / "rfc4475" / "EXPECTED.tsv"
    if not table.is_file():
        return []
    with table.open(newline="") as lines:
        return [(row["file"], row["layer_that_must_object"]) for row in csv.DictReader(lines, delimiter="\t")]


def understand(message: Request | Response) -> None:
    """Ask for every typed field that the service reads."""
    _ = message.via, message.from_, message.to, message.call_id, message.cseq, message.contacts
    if isinstance(message, Request):
        _ = message.uri, message.max_forwards


def rfc5118() -> list[Path]:
    folder = TORTURE / "rfc5118"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def survives(data: bytes) -> list[bytes]:
    """What the stack answers; afterwards it answers an OPTIONS as before."""
    stack = SipStack(StackConfig(), iter_tokens())
    stack.receive(data, FLOW, 0.0)
    answers = [sent for _, sent in stack.take_outgoing()]
    stack.receive(OPTIONS % (1, 1), FLOW, 1.0)
    assert [type(event).__name__ for event in stack.take_events()][-1] == "RequestReceived"
    stack.handle_timeout(10_000.0)
    return answers


def iter_tokens():  # type: ignore[no-untyped-def]
    numbers = iter(range(1_000_000))
    return lambda: f"t{next(numbers)}"


@pytest.mark.parametrize(("file", "layer"), rows())
def test_rfc_4475(file: str, layer: str) -> None:
    data = (TORTURE / "rfc4475" / file).read_bytes()
    survives(data)
    if layer.startswith("ParseErr"):
        with pytest.raises(ParseError):
            parse(data)
        return
    if layer == "Unreferenced":
        return
    message = parse(data)
    if file in TOLERATED or layer == "ParseOk":
        return
    if layer.startswith("HeaderErr"):
        with pytest.raises(SipSyntaxError) as caught:
            understand(message)
        assert caught.value.part == layer[len('HeaderErr("') : -2].lower()
        return
    answers = survives(data)
    assert answers, "a request that is not valid is answered"
    assert answers[0].split()[1] in (b"400", b"505", b"420", b"416")


@pytest.mark.parametrize("path", rfc5118(), ids=lambda path: path.name)
def test_rfc_5118(path: Path) -> None:
    data = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if b"\r\n\r\n" not in data:
        data += b"\r\n"
    survives(data)
    if path.name == "ipv6-bad":
        with pytest.raises(SipSyntaxError):
            understand(parse(data))
