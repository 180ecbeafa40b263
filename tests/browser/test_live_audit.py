"""The live audit in a real browser: the first screen on the real default model, and what is clicked where an answer takes no time."""

import csv
import io
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LINK = "/?set=indirect_object&prompt=io-0001&c=L23.H3&head=L23.H3"
PLANTED = "/?model=planted-induction&set=planted-query"
"""Each map of the default model costs 270 forward passes; which model is clicked on is not what these tests are about."""


EFFECTS = "Causal effect by layer and head"
MASSES = "Attention mass by layer and head"
FITS = "width => innerWidth === width && document.querySelector('[data-testid=stMain]').scrollWidth <= width"
"""Nothing of the page is wider than its window, once it is drawn for the new size."""


def open_page(page: Page, server: Server, query: str = LINK) -> None:
    page.goto(server.url + query)
    expect(page.get_by_role("grid", name=EFFECTS)).to_be_visible(timeout=90_000)
    expect(page.get_by_role("grid", name=MASSES)).to_be_visible(timeout=90_000)


def answer(page: Page) -> Locator:
    return page.locator(".st-key-bench-answer p").first


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


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
            # A long list draws only what is scrolled to; typing filters it.
            page.keyboard.type(option.pattern)
            try:
                found.click(timeout=4_000)
            except TimeoutError:
                continue
        return
    raise AssertionError(f"{label} never offered {option.pattern}")


def test_the_page_is_painted_before_the_model_is_loaded_and_asks_no_other_server(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(page).to_have_title("Live audit · Assay")
    expect(page.get_by_text("When Mary and John went to the store, John gave a drink to").first).to_be_visible()
    outside = [
        url for url in asked if not url.startswith((server.url, server.url.replace("http", "ws"), "data:", "blob:"))
    ]
    assert outside == []


def test_question_answer_and_both_maps_are_complete_on_the_first_screen(ready: Server, page: Page) -> None:
    """On three screens, in one load of the page: what is drawn follows the size of its window."""
    open_page(page, ready, "/")
    expect(answer(page)).to_have_text(
        re.compile("^Replacing L23.H3 lowers the preference for “Mary” over “John” from .* logits.$")
    )
    for width, height in ((1280, 800), (1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(FITS, arg=width)
        for place in (answer(page), *(page.get_by_role("grid", name=name) for name in (MASSES, EFFECTS))):
            box = place.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height
        for name in (MASSES, EFFECTS):
            assert page.get_by_role("grid", name=name).get_by_role("gridcell").count() == 270
            last = cell(page, name, 29, 8).bounding_box()
            assert last is not None
            assert last["x"] + last["width"] <= width, "no layer is cut at the right"


def test_a_link_shows_another_person_the_same_and_a_model_without_these_heads_drops_them(
    ready: Server, page: Page, visit: Any
) -> None:
    open_page(page, ready)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert "Mary" not in page.url, "a link has no prompt text"
    other = visit()
    other.goto(page.url)
    expect(answer(other)).to_have_text(answer(page).inner_text())
    choose(other, "Model", re.compile("Induction without a backup"))
    expect(other.get_by_text("This model has no L23.H3")).to_be_visible()
    expect(other.get_by_text("No circuit is chosen")).to_be_visible()
    expect(other.locator("[data-testid=stException]")).to_have_count(0)


def test_toggling_heads_by_mouse_and_keyboard_changes_the_answer_and_moves_nothing(ready: Server, page: Page) -> None:
    open_page(page, ready, PLANTED + "&c=L1.H0&head=L1.H0")
    before, places = answer(page).inner_text(), [page.get_by_role("grid", name=name) for name in (MASSES, EFFECTS)]
    # Both maps are drawn whole before anything is toggled.
    for row in (cell(page, name, 2, 3) for name in (MASSES, EFFECTS)):
        expect(row).to_be_visible()
    boxes = [place.bounding_box() for place in places]
    cell(page, EFFECTS, 1, 3).click()
    expect(answer(page)).to_contain_text("Replacing L1.H0, L1.H3 lowers")
    assert answer(page).inner_text() != before
    assert [place.bounding_box() for place in places] == boxes
    # Both maps mark the circuit; each is drawn in its own time, after the answer.
    for name in (MASSES, EFFECTS):
        expect(cell(page, name, 1, 3)).to_have_attribute("aria-label", re.compile("in the circuit"))
    cell(page, MASSES, 1, 3).dblclick()
    expect(answer(page)).to_contain_text("Replacing L1.H3 raises")
    choose(page, "Ablation", re.compile("Zero"))
    expect(answer(page)).to_contain_text("Setting L1.H3 to zero")
    page.get_by_role("button", name="Clear all").first.click()
    expect(page.get_by_text("No circuit is chosen")).to_be_visible()
    assert [place.bounding_box() for place in places] == boxes
    cell(page, MASSES, 1, 0).focus()
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("Setting L1.H0 to zero")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("Setting L0.H1, L1.H0 to zero")
    page.keyboard.press("Shift+Enter")
    expect(answer(page)).to_contain_text("Setting L0.H1 to zero")
    page.get_by_role("button", name="Undo").click()
    expect(answer(page)).to_contain_text("Setting L0.H1, L1.H0 to zero")


def test_pages_share_one_choice_and_back_shows_what_was(ready: Server, page: Page) -> None:
    open_page(page, ready, PLANTED.replace("query", "context") + "&c=L1.H0&ab=zero")
    page.get_by_role("link", name="Sweep").click()
    expect(page.get_by_role("grid", name="Causal effect by layer")).to_be_visible()
    for key, value in (("set", "planted-context"), ("ab", "Zero")):
        expect(page.locator(f".st-key-{key} input")).to_have_value(value)
    assert "c=L1.H0" in page.url
    page.get_by_role("gridcell", name=re.compile("^Layer 0, head 0:")).last.click()
    expect(page).to_have_url(re.compile(r"c=L0\.H0%2C\+L1\.H0"))
    page.go_back()
    expect(page.get_by_role("heading", name="Live audit")).to_be_visible()
    expect(answer(page)).to_contain_text("Setting L1.H0 to zero")
    page.get_by_role("link", name="Sweep").click()
    expect(page.get_by_role("heading", name="Sweep")).to_be_visible()


def test_history_restores_a_run_and_never_shows_it_to_another_browser(ready: Server, page: Page, visit: Any) -> None:
    link = PLANTED.replace("query", "vote") + "&c=L0.H1&ab=zero"
    open_page(page, ready, link)
    open_tab(page, "History")
    choose(page, "Restore a run", re.compile("ablation"))
    expect(page.get_by_text("not run again")).to_be_visible()
    other = visit()
    open_page(other, ready, link)
    open_tab(other, "History")
    expect(other.get_by_text("No runs yet")).to_be_visible()


def test_a_typed_pair_is_refused_with_a_remedy_and_then_measured_and_hostile_text_stays_text(
    ready: Server, page: Page
) -> None:
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    open_page(page, ready)
    # Tokens are checked by the loaded model, for which a recorded answer stands after others took its place in memory.
    expect(page.get_by_text("Recorded numbers.")).to_have_count(0)
    type_pair(page, "The keys to the cabinet", "The key to the cabinet", "are", " is")
    expect(page.get_by_text("would continue the word")).to_be_visible()
    page.get_by_label("Answer, with its leading space").fill(" are")
    page.get_by_role("button", name="Use this pair").click()
    expect(page.get_by_text(re.compile("^Clean:"))).to_contain_text("The keys to the cabinet")
    expect(page.get_by_role("grid", name="Causal effect by layer and head")).to_be_visible()
    hostile = "<img src=x onerror=alert(1)> **The** $x$ key"
    type_pair(page, f"{hostile}s", hostile, " are", " is")
    expect(page.get_by_text(re.compile("^Clean:"))).to_contain_text(f"{hostile}s")


def type_pair(page: Page, clean: str, corrupted: str, answer: str, foil: str) -> None:
    page.get_by_role("button", name="Your own prompts").click()
    page.get_by_text("Type one pair").click()
    page.get_by_label("Clean prompt").fill(clean)
    page.get_by_label("Corrupted prompt").fill(corrupted)
    page.get_by_label("Answer, with its leading space").fill(answer)
    page.get_by_label("Foil, with its leading space").fill(foil)
    page.get_by_role("button", name="Use this pair").click()


def test_every_figure_has_a_table_and_a_file(ready: Server, page: Page) -> None:
    open_page(page, ready, PLANTED + "&c=L1.H0")
    for tab, name in (("Tokens", "Tokens"), ("Attention pattern", "Attention pattern"), ("Next token", "Next token")):
        open_tab(page, tab)
        expect(page.get_by_text(f"{name} as a table")).to_be_visible()
    page.locator(".st-key-bench-right").get_by_role("button", name="Table").click()
    expect(page.get_by_text("Causal effect as a table")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").filter(visible=True).first.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(rows) == 3 * 6
    assert {row["unit"] for row in rows} == {"logits"}
    page.keyboard.press("Escape")
    open_tab(page, "Tokens")
    for name, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as picture:
            page.get_by_role("button", name=f"Download the figure as {name}").first.press("Enter")
        assert picture.value.path().read_bytes().startswith(start)


def test_a_sweep_over_a_set_says_how_long_and_can_be_cancelled(ready: Server, page: Page) -> None:
    page.goto(ready.url + LINK + "&scope=exploratory")
    start = page.get_by_role("button", name=re.compile(r"Ablate each head on \d+ prompts"))
    expect(start).to_be_visible()
    assert re.search(r"about \d+ (s|min)", start.inner_text())
    start.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Its results are discarded.")).to_be_visible()
