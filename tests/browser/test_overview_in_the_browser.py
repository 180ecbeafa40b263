"""The overview in a real browser: the way to the raw numbers in clicks, the keyboard, and the last step's live audit."""

import pytest
from playwright.sync_api import Page, expect

from audit_core.story import load_story
from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def open_page(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/overview{query}")
    expect(page.get_by_role("heading", name="Step")).to_be_visible()


def test_the_raw_numbers_behind_a_verdict_are_three_clicks_away(server: Server, page: Page) -> None:
    open_page(page, server)
    page.get_by_text("4. Verdicts").click()
    page.get_by_text("Verdicts in full, and the raw numbers").click()
    expect(page.get_by_text("Every prompt under every ablation")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 3 * load_story().prompts.confirmatory_n


def test_the_story_is_walked_by_keyboard_and_its_maps_outline_one_head_on_both(server: Server, page: Page) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Step 2 of 6")).to_be_visible()
    page.wait_for_url("**step=2")
    grids = [page.get_by_role("grid", name=f"Recorded {what}") for what in ("attention", "effect")]
    grids[0].get_by_role("gridcell", name="Layer 0, head 3:").click()
    for grid in grids:
        cell = grid.get_by_role("gridcell", name="Layer 0, head 3:")
        expect(cell).to_have_attribute("aria-selected", "true")


def test_the_last_step_opens_the_same_prompt_and_head_live(ready: Server, page: Page) -> None:
    open_page(page, ready, "?step=6")
    page.get_by_role("button", name="Open it in the live audit").click()
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(page.get_by_text(f"Replacing {load_story().named['acts']} lowers")).to_be_visible()
    assert "prompt=io-0001" in page.url
