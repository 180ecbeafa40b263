"""The live audit in a real browser, on the real default model."""

import csv
import io
import re

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/?set=indirect_object&prompt=io-0001&c=L23.H3&head=L23.H3"


def open_page(page: Page, server: Server, query: str = LINK) -> None:
    page.goto(server.url + query)
    expect(page.get_by_role("heading", name="Attention pattern")).to_be_visible(timeout=90_000)
    expect(page.get_by_role("grid", name="Causal effect by layer and head")).to_be_visible(timeout=90_000)


def finding(page: Page) -> str:
    return page.get_by_text("Under this intervention").first.inner_text()


def cell(page: Page, grid: str, layer: int, head: int):
    return page.get_by_role("grid", name=grid).get_by_role(
        "gridcell", name=re.compile(rf"^Layer {layer}, head {head}:")
    )


def choose(page: Page, label: str, option: re.Pattern[str]) -> None:
    """Open a list and take an option; a run that ends meanwhile may close the list, as it would for a person."""
    for _ in range(5):
        page.get_by_role("combobox", name=label).click()
        found = page.get_by_role("option", name=option).first
        try:
            found.click(timeout=4_000)
        except TimeoutError:
            continue
        return
    raise AssertionError(f"{label} never offered {option.pattern}")


def test_the_page_is_painted_before_the_model_is_loaded_and_asks_nobody_else(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(page.get_by_text("When Mary and John went to the store, John gave a drink to").first).to_be_visible()
    outside = [
        url for url in asked if not url.startswith((server.url, server.url.replace("http", "ws"), "data:", "blob:"))
    ]
    assert outside == []


def test_a_first_visit_opens_on_the_head_that_looks_beside_the_head_that_acts(ready: Server, page: Page) -> None:
    open_page(page, ready, "/")
    expect(page.get_by_text("Looks right").first).to_be_visible()
    expect(page.get_by_text(re.compile("^Acts")).first).to_be_visible()
    expect(page.get_by_text("Under this intervention").first).to_be_visible()


def test_both_panes_show_the_same_heads_with_their_kind_of_evidence(ready: Server, page: Page) -> None:
    open_page(page, ready)
    for grid in ("Attention mass by layer and head", "Causal effect by layer and head"):
        assert page.get_by_role("grid", name=grid).get_by_role("gridcell").count() == 270
    assert "attention mass" in (cell(page, "Attention mass by layer and head", 23, 3).get_attribute("aria-label") or "")
    assert "in the circuit" in (cell(page, "Causal effect by layer and head", 23, 3).get_attribute("aria-label") or "")
    for kind, least in (("observational", 4), ("causal", 4)):
        assert page.locator(".stMarkdownBadge", has_text=kind).count() >= least, kind


def test_picking_a_head_and_an_ablation_gives_new_numbers(ready: Server, page: Page) -> None:
    open_page(page, ready)
    before = finding(page)
    cell(page, "Causal effect by layer and head", 24, 4).click()
    expect(page.get_by_text("Head in focus: L24.H4")).to_be_visible()
    page.get_by_role("button", name="Ablate only this head").click()
    expect(page.get_by_text("On the clean prompt L24.H4 is replaced")).to_be_visible()
    expect(page.get_by_text("Under this intervention").first).not_to_have_text(before)
    resampled = finding(page)
    assert "rose from" in resampled
    choose(page, "Ablation", re.compile("Zero"))
    expect(page.get_by_text("On the clean prompt L24.H4 is set to zero")).to_be_visible()
    assert finding(page) != resampled


def test_the_map_is_walked_with_the_keyboard(ready: Server, page: Page) -> None:
    open_page(page, ready)
    start = cell(page, "Attention mass by layer and head", 23, 3)
    start.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Head in focus: L22.H4")).to_be_visible()


def test_an_intervention_is_removed_where_it_is_listed(ready: Server, page: Page) -> None:
    open_page(page, ready, LINK.replace("c=L23.H3", "c=L23.H3,L5.MLP"))
    expect(page.get_by_text("L5.MLP, L23.H3 are replaced")).to_be_visible()
    page.get_by_role("button", name="L5.MLP", exact=True).click()
    expect(page.get_by_text("On the clean prompt L23.H3 is replaced")).to_be_visible()
    page.get_by_role("button", name="Remove all").click()
    expect(page.get_by_text("No circuit is chosen")).to_be_visible()


def test_a_link_shows_another_person_the_same_and_holds_no_prompt_text(ready: Server, page: Page, chromium) -> None:
    open_page(page, ready)
    assert "Mary" not in page.url
    other = chromium.new_context().new_page()
    other.set_default_timeout(90_000)
    other.goto(page.url)
    expect(other.get_by_text("Under this intervention").first).to_be_visible()
    assert finding(other) == finding(page)
    other.context.close()


def test_history_restores_a_run_and_never_shows_it_to_another_browser(ready: Server, page: Page, chromium) -> None:
    open_page(page, ready, "/?set=indirect_object&prompt=io-0002&c=L20.H0&ab=zero")
    page.get_by_text("History: earlier runs of this browser").click()
    choose(page, "Restore a run", re.compile("ablation"))
    expect(page.get_by_text("not run again")).to_be_visible()
    other = chromium.new_context().new_page()
    other.set_default_timeout(90_000)
    open_page(other, ready, "/?set=indirect_object&prompt=io-0002&c=L20.H0&ab=zero")
    other.get_by_text("History: earlier runs of this browser").click()
    expect(other.get_by_text("No runs yet")).to_be_visible()
    other.context.close()


def test_a_typed_pair_is_refused_with_a_remedy_and_then_measured(ready: Server, page: Page) -> None:
    open_page(page, ready)
    page.get_by_role("button", name="Bring your own prompts").click()
    page.get_by_text("Type one pair").click()
    page.get_by_label("Clean prompt").fill("The keys to the cabinet")
    page.get_by_label("Corrupted prompt").fill("The key to the cabinet")
    page.get_by_label("Answer, with its leading space").fill("are")
    page.get_by_label("Foil, with its leading space").fill(" is")
    page.get_by_role("button", name="Use this pair").click()
    expect(page.get_by_text("would continue the word")).to_be_visible()
    page.get_by_label("Answer, with its leading space").fill(" are")
    page.get_by_role("button", name="Use this pair").click()
    expect(page.get_by_text(re.compile("^Clean:"))).to_contain_text("The keys to the cabinet")
    expect(page.get_by_role("grid", name="Causal effect by layer and head")).to_be_visible()


def test_hostile_text_stays_text(ready: Server, page: Page) -> None:
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    open_page(page, ready)
    page.get_by_role("button", name="Bring your own prompts").click()
    page.get_by_text("Type one pair").click()
    page.get_by_label("Clean prompt").fill("<img src=x onerror=alert(1)> **The** $x$ keys")
    page.get_by_label("Corrupted prompt").fill("<img src=x onerror=alert(1)> **The** $x$ key")
    page.get_by_label("Answer, with its leading space").fill(" are")
    page.get_by_label("Foil, with its leading space").fill(" is")
    page.get_by_role("button", name="Use this pair").click()
    expect(page.get_by_text(re.compile("^Clean:"))).to_contain_text("<img src=x onerror=alert(1)> **The** $x$ keys")


def test_every_figure_has_a_table_and_a_file(ready: Server, page: Page) -> None:
    open_page(page, ready)
    for name in ("Attention", "Causal effect", "Tokens", "Attention pattern", "Next token"):
        expect(page.get_by_text(f"{name} as a table")).to_be_visible()
    page.get_by_text("Causal effect as a table").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").filter(visible=True).first.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(rows) == 270
    assert {row["unit"] for row in rows} == {"logits"}


def test_a_sweep_over_a_set_says_how_long_and_can_be_cancelled(ready: Server, page: Page) -> None:
    page.goto(ready.url + LINK + "&scope=exploratory")
    start = page.get_by_role("button", name=re.compile(r"Ablate each head on \d+ prompts"))
    expect(start).to_be_visible()
    assert re.search(r"about \d+ (s|min)", start.inner_text())
    start.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Its results are discarded.")).to_be_visible()
