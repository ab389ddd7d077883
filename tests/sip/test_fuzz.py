"""Messages, descriptions and credentials bent in every way: understood or refused, never a crash, never slow.

`make fuzz` runs the same for longer: ACD_FUZZ_EXAMPLES says how many cases each test tries.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acd.errors import BadSessionDescription, NoCommonCodec, NoCommonCrypto
from acd.media.g711 import Law
from acd.media.negotiation import Negotiation
from acd.sip.core.auth import DigestServer, Verdict, parse_fields
from acd.sip.core.events import Flow
from acd.sip.core.grammar import SipSyntaxError
from acd.sip.core.message import Request, parse
from acd.sip.core.stack import SipStack, StackConfig

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = int(os.environ.get("ACD_FUZZ_EXAMPLES", "150"))
SLOWEST = 1.0
"""Seconds of CPU for one case: a thousand times what the slowest takes, for it may be a bad moment."""
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\0",
        b" ",
        b"\t",
        b"\r\n ",
        b";",
        b",",
        b'"',
        b"\\",
        b"<",
        b">",
        b"%",
        b"[",
        b"]",
        b"@",
    ),
    *(
        b"\xff\xfe",
        b"\xc3",
        b"SIP/2.0",
        b"INVITE ",
        b"Via:",
        b"v :",
        b"Content-Length: 99999999999\r\n",
        b"-1",
    ),
    *(
        b"m=audio 1 RTP/AVP 0\r\n",
        b"a=rtpmap:",
        b"c=IN IP4 ",
        b"0" * 400,
        b"A" * 2000,
        b"(" * 500,
        b',"' * 500,
    ),
]

fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def seeds(kind: str) -> list[bytes]:
    paths = sorted((CORPUS / kind).iterdir())
    return [path.read_bytes().replace(b"\n", b"\r\n") for path in paths]


@st.composite
def bent(draw: st.DrawFn, kind: str) -> bytes:
    """A seed with pieces cut out, doubled, put in and overwritten."""
    data = draw(st.sampled_from(seeds(kind)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 80)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=12) | st.just(data[at:end] * 3))
        data = data[:at] + piece + data[end:]
    return data


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < SLOWEST


@fuzzing
@given(bent("message"), st.sampled_from(["udp", "tcp"]))
def test_message_is_parsed_in_full_or_refused(data: bytes, transport: str) -> None:
    with in_time(), contextlib.suppress(SipSyntaxError):
        message = parse(data, stream=transport == "tcp")
        _ = message.via, message.via_key, message.from_, message.to, message.call_id, message.cseq
        _ = message.contacts, message.content_type, message.reason_header
        if isinstance(message, Request):
            _ = message.uri, message.max_forwards
            again = parse(message.to_bytes())
            assert isinstance(again, Request)
            assert again.method == message.method


@fuzzing
@given(st.lists(bent("message"), max_size=5))
def test_stack_survives_and_keeps_a_bounded_number_of_things(story: list[bytes]) -> None:
    numbers = count()
    stack = SipStack(StackConfig(), lambda: f"t{next(numbers)}")
    flow = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
    with in_time():
        for at, data in enumerate(story):
            stack.receive(data, flow, float(at))
        stack.take_events()
        stack.take_outgoing()
    assert max(stack.live) <= 2 * len(story)


@fuzzing
@given(bent("sdp"), st.sampled_from(["off", "offer", "require"]))
def test_description_is_answered_or_refused(data: bytes, srtp: str) -> None:
    side = Negotiation(1, "192.0.2.9", 4000, (Law.PCMA, Law.PCMU), srtp, lambda: bytes(30))  # type: ignore[arg-type]
    with in_time(), contextlib.suppress(BadSessionDescription, NoCommonCodec, NoCommonCrypto):
        answer = side.answer(data)
        assert answer.startswith(b"v=0\r\n")
        assert side.answer(data) == answer


@fuzzing
@given(bent("digest"))
def test_credentials_that_nobody_made_never_pass(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape").replace("\r", "").replace("\n", "")
    server = DigestServer("acd", b"secret", accept_without_qop=True)
    request = Request("REGISTER", "sip:acd.test", [("Authorization", f"Digest {text}")])
    with in_time():
        assert len(parse_fields(text)) <= 32
        assert server.check(request, lambda user, algorithm: None, 1000.0).verdict is not Verdict.VALID
