"""The circuit page in a real browser: recorded answers, a circuit that is found and asked, and a claim of it.

That a running question is cancelled is tested in `tests/pages/test_circuit_page.py`, where the job waits at a gate: here
questions of a planted model may end before the page has drawn *Cancel*.
"""

import re
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audit_core import load_claim
from tests.browser.conftest import Server
from tests.browser.signed_in import go, see_title

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/circuit?model=planted-induction&set=planted-query&ab=zero"
LONG = 120_000


def test_a_first_visit_shows_a_recorded_circuit_on_the_first_screen(server: Server, page: Page) -> None:
    page.goto(server.url + "/circuit")
    expect(page.get_by_text(re.compile("Keeping only L20.H0, L23.H3, L29.H1 keeps 86 %"))).to_be_in_viewport()
    expect(page.get_by_text(re.compile("recorded on")).first).to_be_visible()
    expect(page.get_by_text("Direct effects between components")).to_be_in_viewport()
    expect(page.get_by_text(re.compile(r"Against \(2\)"))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_text(re.compile(r"All \d+ connections as a table")).click()
    expect(page.get_by_role("button", name="Download CSV").first).to_be_visible()


def test_a_circuit_is_found_asked_quickly_and_proposed_as_a_claim_and_a_place_in_one_is_refused_with_a_remedy(
    server: Server, page: Page, tmp_path: Path
) -> None:
    page.goto(server.url + LINK + "&method=exact&size=2")
    page.get_by_role("button", name=re.compile("Search with exact")).click(timeout=LONG)
    page.get_by_role("button", name="Use the first 2 as the circuit").click(timeout=LONG)
    expect(page.get_by_text("Not measured: this circuit")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name=re.compile("Quick form: 16 prompts")).first.click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile("exploratory: quick form, 16 prompts")).first).to_be_visible()
    page.get_by_role("tab", name="Claim").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download claim").last.click()
    file = tmp_path / "claim.toml"
    download.value.save_as(file)
    assert tomllib.loads(file.read_text())["role"] == "sufficient"
    assert len(load_claim(file).components) == 2
    # By way of another page: on the circuit page itself, what was chosen there counts and not the address.
    go(page, "/all_audits")
    see_title(page, "All audits")
    go(page, LINK + "&c=L1.H0@-1")
    expect(page.get_by_text("whole heads and MLPs of this model")).to_be_visible(timeout=60_000)
