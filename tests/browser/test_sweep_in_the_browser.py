"""The sweep page in a real browser, on the real default model."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/sweep?set=indirect_object&prompt=io-0001"


def open_page(page: Page, server: Server, query: str = LINK) -> None:
    page.goto(server.url + query)
    expect(page.get_by_role("tab", name="Layer profile")).to_be_visible(timeout=90_000)


def test_the_exact_map_is_beside_the_estimate_and_a_selection_becomes_a_candidate_circuit_of_the_live_audit(
    server: Server, page: Page
) -> None:
    open_page(page, server)
    expect(page.get_by_role("grid", name="Causal effect by layer")).to_be_visible()
    expect(page.get_by_role("grid", name="Estimated effect by layer")).to_be_visible()
    for word in ("causal", "estimated"):
        expect(page.locator(".stMarkdownBadge").filter(has_text=word).first).to_be_visible()
    expect(page.locator(".st-key-bench-answer p").first).to_have_text(
        re.compile("^Ablating L23.H3 alone lowers the preference for “Mary” most of all 270 components: by .* logits.$")
    )
    expect(page.get_by_text("1 template; 5 are needed to mark components")).to_be_visible()
    page.get_by_role("tab", name="Estimated vs. measured").click()
    expect(page.get_by_text(re.compile("components, .* were estimated too low"))).to_be_visible()
    grid = page.get_by_role("grid", name="Causal effect by layer")
    grid.get_by_role("gridcell", name=re.compile("^Layer 23, head 3:")).click()
    expect(grid.get_by_role("gridcell", name=re.compile("^Layer 23, head 3:.*in the circuit"))).to_be_visible()
    page.get_by_role("button", name="Ablate this selection live").click()
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(page.get_by_text("Replacing L23.H3 lowers")).to_be_visible()


def test_a_sweep_of_a_set_says_how_long_it_takes_and_can_be_cancelled(server: Server, page: Page) -> None:
    page.goto(server.url + "/sweep?set=gender_pronoun&scope=exploratory&kind=mlp")
    start = page.get_by_role("button", name=re.compile(r"Sweep mlps on 80 prompts \(about"))
    expect(start).to_be_visible()
    start.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Its results are discarded.")).to_be_visible()
