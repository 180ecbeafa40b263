"""First paths through a real browser: the overview's story, a newcomer without a mouse, and a reviewer who decides."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from audit_core.sample import remove_sample, restore_sample
from audit_core.story import load_story
from tests.browser.conftest import Server
from tests.browser.keyboard import tab_to

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def open_page(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/overview{query}")
    expect(page.get_by_role("heading", name="Step")).to_be_visible()


def test_the_story_is_walked_by_keyboard_to_the_raw_numbers_and_to_the_same_prompt_and_head_live(
    ready: Server, page: Page
) -> None:
    open_page(page, ready)
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Step 2 of 6")).to_be_visible()
    page.wait_for_url("**step=2")
    grids = [page.get_by_role("grid", name=f"Recorded {what}") for what in ("attention", "effect")]
    grids[0].get_by_role("gridcell", name="Layer 0, head 3:").click()
    for grid in grids:
        cell = grid.get_by_role("gridcell", name="Layer 0, head 3:")
        expect(cell).to_have_attribute("aria-selected", "true")
    page.get_by_text("4. Verdicts").click()
    page.get_by_text("Verdicts in full, and the raw numbers").click()
    expect(page.get_by_text("Every prompt under every ablation")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 3 * load_story().prompts.confirmatory_n
    page.get_by_text(re.compile(r"^6\. ")).click()
    page.get_by_role("button", name="Open it in the live audit").click()
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(page.get_by_text(f"Replacing {load_story().named['acts']} lowers")).to_be_visible()
    assert "prompt=io-0001" in page.url


@pytest.fixture
def with_sample(ready: Server) -> Iterator[Server]:
    """The server as a first visitor finds it: with the sample organisation."""
    restore_sample(ready.home)
    yield ready
    remove_sample(ready.home)


def test_a_newcomer_finds_by_keyboard_which_head_matters_and_what_speaks_against_a_claim(
    with_sample: Server, page: Page
) -> None:
    page.goto(with_sample.url)
    answer = page.locator(".st-key-bench-answer p").first
    expect(answer).to_have_text(
        re.compile(r"^Replacing L23\.H3 lowers the preference .* from \+5\.29 to −0\.86 logits\.$")
    )
    looks = page.get_by_role("grid", name="Attention mass by layer and head").get_by_role("gridcell")
    expect(looks).to_have_count(270)
    tab_to(page, looks.and_(page.locator("[tabindex='0']")))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Enter")
    expect(answer).to_have_text(re.compile(r"^Replacing L24\.H4 raises the preference"))
    tab_to(page, page.get_by_role("link", name="Claims"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sample organisation: recorded on")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Supported")).first).to_be_in_viewport()
    expect(page.get_by_text("Against").first).to_be_in_viewport()
    pdf = page.get_by_role("button", name="Report as PDF")
    tab_to(page, pdf)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.startswith("sample_C-")
    assert download.value.path().read_bytes().startswith(b"%PDF")


def test_a_reviewer_decides_four_clicks_from_the_overview(with_sample: Server, page: Page) -> None:
    open_page(page, with_sample)
    page.evaluate("addEventListener('pointerdown', () => { window.clicks = (window.clicks ?? 0) + 1; }, true)")
    page.get_by_test_id("stMain").get_by_role("link", name="Claims").click()
    page.get_by_role("link", name=re.compile("Decide on the review desk")).click()
    expect(page.get_by_role("heading", name="Your decision")).to_be_visible()
    page.get_by_role("radiogroup", name="Decision").get_by_text("approve", exact=True).click()
    expect(page.get_by_role("button", name="Check my decision")).to_be_visible()
    assert page.evaluate("window.clicks") <= 4
