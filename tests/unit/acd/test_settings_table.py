"""The operators' page shows the settings as they are."""

from tools.make_settings_table import PAGE, page_with_table


def test_the_page_holds_every_setting_with_its_default() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run: python tools/make_settings_table.py"
    assert "| |" not in page, "a setting has no words to explain it"
