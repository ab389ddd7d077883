"""The page about the call shows the machine as it is."""

from tools.make_call_table import PAGE, page_with_table


def test_the_page_holds_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run: python tools/make_call_table.py"
