"""Logs are safe to keep and to read by machine: numbers masked, secrets out, each line one line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from acd import log as logs
from acd.config import LogSection


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(section: LogSection | None = None, event: str = "said", **values: object) -> dict[str, Any]:
    """One line of the JSON log."""
    stream = io.StringIO()
    logs.configure(section or LogSection(format="json"), "a", stream)
    structlog.get_logger("test").warning(event, **values)
    (line,) = written(stream)
    return line


def test_a_line_says_when_how_bad_and_by_which_node() -> None:
    line = logged(queue="billing", count=3, share=0.5, none=None)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "said",
        "level": "warning",
        "node": "a",
        "queue": "billing",
        "count": 3,
        "share": 0.5,
        "none": None,
    }


def test_what_is_bound_to_the_call_is_on_every_line_of_both_kinds_of_logger() -> None:
    stream = io.StringIO()
    logs.configure(LogSection(format="json"), "a", stream)
    with structlog.contextvars.bound_contextvars(call_id="c1", leg="agent", queue="billing", agent="anna"):
        structlog.get_logger("test").info("one")
        logging.getLogger("some.library").warning("two")
    structlog.get_logger("test").info("three")
    bound = [
        {key: line.get(key) for key in ("call_id", "leg", "queue", "agent", "node")}
        for line in written(stream)
    ]
    of_call = {"call_id": "c1", "leg": "agent", "queue": "billing", "agent": "anna", "node": "a"}
    assert bound == [of_call, of_call, {**dict.fromkeys(of_call), "node": "a"}]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("caller", "+37255512345", "+372******45"),
        ("number", "372 555-12345", "372 ***-***45"),
        ("called", "1001", "1001"),
        ("text", "call to +37255512345 failed", "call to +372******45 failed"),
        ("uri", "sip:37255512345@carrier.net", "sip:372******45@carrier.net"),
        ("uri", "<tel:37255512345>", "<tel:372******45>"),
        ("address", "192.0.2.17:5060", "192.0.2.17:5060"),
        ("deep", {"to": ["+37255512345"]}, {"to": ["+372******45"]}),
    ],
)
def test_a_callers_number_keeps_its_first_three_and_last_two_digits(
    key: str, value: object, shown: object
) -> None:
    assert logged(**{key: value})[key] == shown
    assert logged(LogSection(format="json", mask_numbers=False), **{key: value})[key] == value


@pytest.mark.parametrize("key", ["digit", "dtmf", "password", "token", "authorization", "ha1_md5"])
@pytest.mark.parametrize("masking", [True, False])
def test_pressed_digits_and_secrets_are_never_written(key: str, masking: bool) -> None:
    section = LogSection(format="json", mask_numbers=masking)
    line = logged(section, **{key: "1234"}, nested={key: 1234, "other": {"deep": {key: ["1234"]}}})
    assert "1234" not in json.dumps(line)


def test_a_value_with_line_ends_or_escapes_stays_on_its_line() -> None:
    line = logged(text="one\ntwo\x1b[2J", header=["a\r\nb"])
    assert (line["text"], line["header"]) == ("one\\ntwo\\x1b[2J", ["a\\r\\nb"])


def test_what_nests_without_end_is_cut_off() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert logged(loop=loop)["loop"] == [[[[["[hidden]"]]]]]


def test_an_exception_is_told_with_its_numbers_masked() -> None:
    stream = io.StringIO()
    logs.configure(LogSection(format="json"), "a", stream)
    try:
        raise ValueError("no route to sip:37255512345@carrier.net")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    (line,) = written(stream)
    assert "Traceback" in line["exception"]
    assert "sip:372******45@carrier.net" in line["exception"]


def test_less_than_the_configured_level_is_not_written() -> None:
    stream = io.StringIO()
    logs.configure(LogSection(format="json", level="error"), "a", stream)
    structlog.get_logger("test").warning("one")
    logging.getLogger("library").warning("two")
    structlog.get_logger("test").error("three")
    assert [line["event"] for line in written(stream)] == ["three"]


def test_the_chatter_of_libraries_about_each_request_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure(LogSection(format="json", level="debug"), "a", stream)
    for name in ("aiohttp.access", "sqlalchemy.engine", "alembic.runtime.migration"):
        logging.getLogger(name).info("chatter")
    logging.getLogger("sqlalchemy.pool").error("serious")
    assert [line["event"] for line in written(stream)] == ["serious"]


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("console", io.StringIO, False),
    ],
)
def test_a_terminal_gets_the_console_form_and_anything_else_json(
    form: Any, stream: type[io.StringIO], is_json: bool
) -> None:
    out = stream()
    logs.configure(LogSection(format=form), "a", out)
    structlog.get_logger("test").warning("said", queue="billing")
    assert "said" in out.getvalue()
    assert out.getvalue().startswith("{") is is_json


def test_no_line_of_an_exception_passes_for_a_line_of_the_console_log() -> None:
    out = io.StringIO()
    logs.configure(LogSection(format="console"), "a", out)
    try:
        raise ValueError("x\n2026-01-01T00:00:00Z [info] call-ended")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert all(line.startswith("  | ") for line in out.getvalue().splitlines()[1:])


def test_a_reader_of_the_log_that_went_away_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    logs.configure(LogSection(format="json"), "a", Gone())
    structlog.get_logger("test").error("unheard")
    logging.getLogger("library").error("unheard")


def test_the_security_line_has_one_form_whatever_the_peer_sent() -> None:
    stream = io.StringIO()
    logs.configure(LogSection(format="json"), "a", stream)
    logs.security_log("auth-failure", source="2001:db8::7", transport="udp", method="INVITE evil=1\nx")
    (line,) = written(stream)
    assert line["event"] == (
        "acd-security event=auth-failure method=INVITE_evil_1_x source=2001:db8::7 transport=udp"
    )


@pytest.mark.parametrize(
    ("number", "masked"),
    [("+37255512345", "+372******45"), ("12345", "12345"), ("123456", "123*56"), ("anonymous", "anonymous")],
)
def test_masking_leaves_short_numbers_and_names_alone(number: str, masked: str) -> None:
    assert logs.mask(number) == masked
