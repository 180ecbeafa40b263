"""The verdict card and the Calibration page in a real browser, on a model whose wiring is known."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.signed_in import go

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/?model=planted-strict&set=planted-query&scope=confirmatory&c="


def judge(page: Page) -> None:
    page.get_by_role("tab", name="Verdict", exact=True).click(timeout=60_000)
    button, verdict = (
        page.get_by_role("button", name=re.compile(r"Judge it on \d+ prompts, three ablations")),
        page.get_by_role("heading", name="Verdict"),
    )
    for _ in range(4):
        button.click(timeout=60_000)
        try:
            expect(verdict.or_(page.get_by_role("progressbar")).first).to_be_visible(timeout=15_000)
        except AssertionError:
            # A press that meets a run of the page which is about to be replaced is lost; a person presses again.
            continue
        break
    expect(verdict).to_be_visible(timeout=240_000)


def test_a_cause_is_supported_beside_all_that_could_speak_against_it(server: Server, page: Page) -> None:
    page.goto(server.url + LINK + "L1.H0")
    judge(page)
    expect(page.get_by_role("heading", name="Supported")).to_be_visible()
    expect(page.get_by_text("On these prompts the model relies on L1.H0")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Random baseline: p = 0\.0\d\d"))).to_be_visible()
    expect(page.get_by_text("No search for backups")).to_be_visible()
    page.get_by_text("Conditions and passed controls").click()
    expect(page.get_by_text(re.compile("KL on unrelated text: not measured"))).to_be_visible()
    expect(page.get_by_text("Replacing the model's whole input reproduced the corrupted run")).to_be_visible()
    expect(page.get_by_text(re.compile("Multiplicity: "))).to_be_visible()
    page.get_by_text(re.compile("What the causal reading rests on: [0-9]+ checked")).click()
    expect(page.get_by_text("Each edit reaches the components that it names")).to_be_visible()
    page.get_by_text("Verdict as a table").click()
    expect(page.get_by_role("button", name="Download CSV").first).to_be_visible()


def test_the_calibration_page_shows_what_each_rule_said_and_a_decoy_that_looks_right_is_found_to_do_nothing(
    server: Server, page: Page
) -> None:
    page.goto(server.url + "/calibration")
    expect(page.get_by_role("heading", name="Calibration", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Planted role vs. verdict")).to_be_visible(timeout=30_000)
    page.get_by_role("radiogroup", name="Rule").get_by_text("zero", exact=True).click()
    expect(page.get_by_text("Confusion, zero rule as a table")).to_be_visible()
    page.get_by_role("tab", name="Check of ranges").click()
    expect(page.get_by_text("An artefact acts only on inputs that no text makes")).to_be_visible()
    page.get_by_role("tab", name="Single rules").click()
    expect(page.get_by_role("heading", name="Systematic errors of single rules")).to_be_visible()
    go(page, LINK + "L1.H1")
    judge(page)
    expect(page.get_by_role("heading", name="Below the smallest effect of interest")).to_be_visible()
    assert page.get_by_text("relies on").count() == 0
