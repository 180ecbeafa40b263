"""Every page, light and dark, under axe-core: nothing but what Streamlit itself draws, each by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from toy.packs import genuine_members, zip_up

from audit_core.review.desk import take_pack
from tests.browser.signed_in import House, go, see_title, sign_in
from ui.shell.navigation import PLACES

pytestmark = pytest.mark.browser
APP = "[data-testid=stApp]"
QUIET = """app => {
    const isDrawn = !document.querySelector('[data-stale=true], .st-key-grid-growing')
    const isQuiet = isDrawn && document.querySelector(app)?.dataset.testScriptState === 'notRunning'
    window.quietSince = isQuiet ? window.quietSince ?? performance.now() : undefined
    return performance.now() - window.quietSince > 333
}"""
OF_MODEL = {
    "live_audit.py": "?model=planted-or",
    "sweep.py": "?model=planted-or",
    "circuit.py": "?model=planted-or",
    "audits.py": "?model=planted-or",
}
"""Pages that open a model: a planted one is there within seconds."""


@dataclass(frozen=True)
class Flaw:
    """What axe-core finds in markup that Streamlit draws and that nothing here can change."""

    rule: str
    within: str
    """Selector of Streamlit's element around it."""


NAV = "[data-testid=stSidebarNav]"
CONTROLS = "[data-testid=stSidebar] :is(a, button, input, select, [tabindex='0'])"
MOST_CONTROLS = 15
STREAMLITS = (
    # Each section of the menu is a <div> straight inside the menu's <ul>, and the <li> stand in that.
    Flaw("list", NAV),
    Flaw("listitem", NAV),
    # A place to drop files is marked as mere decoration, named, and can be reached by script.
    Flaw("presentation-role-conflict", "[data-testid=stFileUploaderDropzone]"),
    # The column of boxes by which rows are chosen has no name.
    Flaw("empty-table-header", "[data-testid=stDataFrame]"),
)


THEMES = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}
"""Background of the app in each."""
OF_COLOUR = ["color-contrast", "link-in-text-block"]
"""Rules about colours. All others are about markup, which is the same in the dark as in the light."""


def test_no_page_has_a_flaw_of_ours(house: House, visit: Any) -> None:
    take_pack(house.home, zip_up(genuine_members()), by="anna")
    house.employ("alva", "team-research", "team-review", "team-approve", "team-admin")
    page, found = visit(), set()
    page.goto(f"{house.url}/claims")
    sign_in(page, "alva")
    see_title(page, "Claims")
    for number, place in enumerate(PLACES):
        # The first page has no path of its own.
        path = "" if place.title == "Live audit" else place.file.removesuffix(".py")
        go(page, f"/{path}{OF_MODEL.get(place.file, '')}")
        see_title(page, place.title)
        page.get_by_text("The model is loading").wait_for(state="hidden")
        settle(page)
        assert page.locator(f"{NAV} a[aria-current=page]").inner_text().endswith(place.title)
        names = page.locator(CONTROLS).evaluate_all("all => all.map(one => one.ariaLabel || one.innerText)")
        # A button and the target of its tooltip, which has the button's text, are one control.
        controls = {"".join(name.split()) for name in names}
        assert len(controls) <= MOST_CONTROLS, f"the side bar of {place.title}: {controls}"
        page.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach(one => one.click())")
        settle(page)
        # What a run redraws fades in: half way its contrast is that of no page anybody reads.
        page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
        # A change of theme runs the page again, so that each page begins in the theme that the one before ended in.
        for theme, background in sorted(THEMES.items(), reverse=number % 2 == 0):
            page.emulate_media(color_scheme=theme)
            page.locator(f"{APP}[data-drawn-for={theme}]").wait_for()
            settle(page)
            draw_tables(page)
            assert page.locator("[data-testid=stException]").count() == 0, f"{place.title} is broken"
            shown = page.locator(APP).evaluate("app => getComputedStyle(app).backgroundColor")
            assert shown == background, f"{theme} is not what is drawn"
            found |= {(place.title, theme, *flaw) for flaw in list_flaws(page, OF_COLOUR if theme == "dark" else None)}
    ours = sorted(row for row in found if not isinstance(row[2], Flaw))
    assert not ours, json.dumps(ours, indent=1)
    # A table whose rows are chosen is only there once runs are listed, which a first pass over the pages may not see.
    missing = {flaw for flaw in STREAMLITS if flaw.rule != "empty-table-header"} - {row[2] for row in found}
    assert missing == set(), "what Streamlit has corrected is taken off the list"


def settle(page: Any) -> None:
    """Until the page's run has ended with nothing left of the run before, and no other began within a third of a second.

    What a run is about to replace is faded, and a sweep that still grows runs again and again."""
    page.evaluate("delete window.quietSince")
    page.wait_for_function(QUIET, arg=APP, polling=100)


def draw_tables(page: Any) -> None:
    """Until each table that is on the page has drawn its cells, which it does after the run has ended."""
    for table in page.locator("[data-testid=stDataFrame]").filter(visible=True).all():
        table.locator("canvas").first.wait_for()
        table.locator("table tbody tr").first.wait_for(state="attached")


def list_flaws(page: Any, rules: list[str] | None) -> Iterator[tuple[Any, ...]]:
    """Rule and markup of what is found, slight or serious; of what is Streamlit's, the line of the list it stands on."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for violation in page.evaluate("async options => (await axe.run(options)).violations", options):
        for node in violation["nodes"]:
            known = [flaw for flaw in STREAMLITS if flaw.rule == violation["id"] and is_within(page, node, flaw.within)]
            yield (known[0],) if known else (violation["id"], str(node["target"]), node["html"][:300])


def is_within(page: Any, node: dict[str, Any], selector: str) -> bool:
    return bool(page.locator(node["target"][0]).first.evaluate("(one, wanted) => !!one.closest(wanted)", selector))
