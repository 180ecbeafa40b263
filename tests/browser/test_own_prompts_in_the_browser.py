"""A preparer's path in a real browser: a file with column names of its own becomes a verdict, without leaving the page."""

import csv
import io
import re

import pytest
from playwright.sync_api import Page, expect

from audit_core.subjects import find_planted
from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser]
COLUMNS = {"clean": "question", "corrupted": "other question", "answer": "right", "foil": "wrong"}


def write_pairs() -> bytes:
    """61 rows in the planted model's words, one of them without a foil."""
    made = find_planted("planted-induction").find_task("query").make(8, 3).prompts[:60]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([*COLUMNS.values(), "kind"])
    rows.writerows([p.clean, p.corrupted, p.answer, p.foil, p.template] for p in made)
    rows.writerow(["w01 w02", "w01 w03", " w04", "", "none"])
    return text.getvalue().encode()


def test_a_file_of_sixty_pairs_becomes_a_verdict(server: Server, page: Page) -> None:
    page.goto(server.url + "/?model=planted-induction&set=planted-query&ab=zero&c=L1.H0")
    page.get_by_role("button", name="Your own prompts").click()
    file = {"name": "PAIRS.CSV", "mimeType": "text/csv", "buffer": write_pairs()}
    page.locator("[data-testid=stDialog] input[type=file]").set_input_files([file])
    for field, column in (COLUMNS | {"template, if any": "kind"}).items():
        box = page.get_by_role("combobox", name=f"Column for {field}")
        box.click()
        page.get_by_role("option", name=column, exact=True).click()
        expect(box).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_text("61 rows: 60 accepted · 1 refused")).to_be_visible()
    page.get_by_role("button", name="Use the 60 accepted rows").click()
    # Which templates are held out hangs on the salt of this data directory's log.
    counts = page.get_by_text(re.compile(r"^60 prompts: \d+ exploratory, \d+ confirmatory"))
    expect(counts).to_be_visible()
    explored, confirmed = map(int, re.findall(r"(\d+) (?:exploratory|confirmatory)", counts.inner_text()))
    assert explored + confirmed == 60
    assert min(explored, confirmed) > 10
    page.get_by_role("combobox", name="Measure on").click()
    page.get_by_role("option", name="Set, confirmatory split: judge here").click()
    page.get_by_role("tab", name="Verdict", exact=True).click()
    page.get_by_role("button", name=re.compile(f"^Judge it on {confirmed} prompts")).click()
    expect(page.get_by_text("On these prompts the model relies on L1.H0")).to_be_visible()
