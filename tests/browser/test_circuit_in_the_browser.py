"""The circuit page in a real browser, on a model whose wiring is known: found, asked everything, broken, compared, proposed."""

import re
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audit_core import load_claim
from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/circuit?model=planted-induction&set=planted-query&ab=zero"
LONG = 240_000


def open_circuit(page: Page, server: Server, more: str = "") -> None:
    page.goto(server.url + LINK + more)
    expect(page.get_by_role("heading", name="Circuit", exact=True).first).to_be_visible()


def test_a_circuit_is_found_and_everything_asked_stands_for_or_against_it(server: Server, page: Page) -> None:
    """Without its backup the true circuit is incomplete under zero: that must stand beside what speaks for it."""
    open_circuit(page, server, "&method=exact&size=4")
    expect(page.get_by_text("No circuit is named")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name=re.compile("Search with exact")).click()
    expect(page.get_by_text("This is a proposal")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Use the first 4 as the circuit").click()
    expect(page.get_by_text("For (0)")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name=re.compile(r"Run all 9 open questions")).click()
    expect(page.get_by_role("heading", name="Verdict: is it sufficient?")).to_be_visible(timeout=LONG)
    for heading in (
        "3. Recomposition", "Gaps", "Effect kept by circuit size", "Held-out templates",
        "Kept alone by the circuit and its alternatives", "What tasks lose without the circuit",
    ):  # fmt: skip
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Not measured yet")).to_have_count(0, timeout=LONG)
    expect(page.get_by_text(re.compile(r"For \([1-9]"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"Against \([1-9]"))).to_be_visible()


def test_the_graph_names_every_connection_in_a_table(server: Server, page: Page) -> None:
    open_circuit(page, server, "&c=L0.H0,L1.H0,L1.H3,L2.H0")
    page.get_by_role("button", name=re.compile("Measure every connection")).click(timeout=60_000)
    expect(page.get_by_role("heading", name="The circuit as a graph")).to_be_visible(timeout=LONG)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_text(re.compile(r"All \d+ connections as a table")).click()
    expect(page.get_by_role("button", name="Download CSV").first).to_be_visible()


def test_two_circuits_stand_side_by_side_and_one_becomes_a_claim(server: Server, page: Page, tmp_path: Path) -> None:
    open_circuit(page, server, "&c=L0.H0,L1.H0&beside=L2.H0")
    page.get_by_role("button", name=re.compile("Decompose the second circuit")).click(timeout=60_000)
    expect(page.get_by_text("Answer the first question above for this circuit as well")).to_be_visible()
    page.get_by_role("button", name=re.compile("Measure on")).first.click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=LONG)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download claim").last.click()
    file = tmp_path / "claim.toml"
    download.value.save_as(file)
    assert tomllib.loads(file.read_text())["role"] == "sufficient"
    assert [str(c) for c in load_claim(file).components] == ["L0.H0", "L1.H0"]


def test_a_running_question_is_cancelled_and_leaves_no_number(server: Server, page: Page) -> None:
    open_circuit(page, server, "&c=L0.H0,L1.H0,L1.H1,L1.H2,L1.H3,L2.H0,L2.H1,L2.H2")
    page.get_by_role("button", name=re.compile("Run all")).click(timeout=60_000)
    ended = page.get_by_text("Cancelled. Its results are discarded.")
    page.get_by_role("button", name="Cancel").first.click(timeout=60_000)
    expect(ended).to_have_count(1, timeout=60_000)
    # The last question still waits for its turn.
    page.get_by_role("button", name="Cancel").last.click()
    expect(ended).to_have_count(2, timeout=60_000)
    expect(page.get_by_role("heading", name="Verdict: is it necessary?")).to_have_count(0)
    expect(page.get_by_role("heading", name="What tasks lose without the circuit")).to_have_count(0)


def test_a_place_in_a_circuit_is_refused_with_a_remedy(server: Server, page: Page) -> None:
    open_circuit(page, server, "&c=L1.H0@-1")
    expect(page.get_by_text("whole heads and MLPs of this model")).to_be_visible(timeout=60_000)
