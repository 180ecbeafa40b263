"""The findings register in real browsers, by role: recorded, worked on, refused and logged, closed; and under axe-core."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect
from toy.people import make_person

from audit_core.governance import PersonRole
from audit_core.store import FindingRegister, PersonLog
from tests.browser.signed_in import House, see_title, sign_in
from tests.browser.test_accessibility_in_the_browser import Flaw, list_flaws, settle
from ui.parts.figures import TEXT

pytestmark = pytest.mark.browser


def check_flaws(page: Any) -> None:
    settle(page)
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    ours = [flaw for flaw in list_flaws(page, None) if not isinstance(flaw[0], Flaw)]
    assert not ours, json.dumps(ours, indent=1)


def enter(visit: Any, house: House, subject: str, *groups: str, path: str = "findings") -> Any:
    house.employ(subject, *groups)
    page = visit()
    page.goto(f"{house.url}/{path}")
    sign_in(page, subject)
    see_title(page, "Findings")
    settle(page)
    return page


def test_a_finding_goes_through_the_hands_of_three_roles_and_a_disabled_person_is_refused(
    house: House, visit: Any
) -> None:
    register = FindingRegister(house.home)
    reviewer = enter(visit, house, "rob", "team-review", path="findings?view=new&about=C-0001")
    reviewer.get_by_label("Title").fill("Null not drawn")
    reviewer.get_by_label("Finding", exact=True).fill("The random baseline was not drawn.")
    reviewer.get_by_label("Owner").fill("Bela")
    reviewer.get_by_label("Severity").click()
    reviewer.get_by_role("option", name="high: 30 days").click()
    check_flaws(reviewer)
    reviewer.get_by_role("button", name="Record the finding").click()
    reviewer.get_by_text("is recorded and logged").wait_for()
    (made,) = register.list_findings()
    assert (made.severity, made.history[0].by) == ("high", house.name("rob"))
    reviewer.get_by_text("1 finding to resolve").wait_for()
    check_flaws(reviewer)
    for theme, ink in TEXT.items():
        reviewer.emulate_media(color_scheme=theme)
        # The last: while the page is drawn again, the figure of the other theme stands before it.
        shown = reviewer.locator(".js-plotly-plot .xtitle").last
        expect(shown).to_have_css("fill", "rgb({}, {}, {})".format(*bytes.fromhex(ink[1:])))

    viewer = enter(visit, house, "dora", "team-view")
    viewer.get_by_text("1 finding to resolve").wait_for()
    for label in ("New finding", "Change it", "Close it"):
        assert viewer.get_by_text(label, exact=True).count() == 0

    researcher = enter(visit, house, "bela", "team-research")
    assert researcher.get_by_role("button", name="Close it").count() == 0
    researcher.get_by_text("Change it", exact=True).click()
    researcher.get_by_text("in remediation", exact=True).click()
    researcher.get_by_label("Reason").fill("begun")
    researcher.get_by_role("button", name="Save the change").click()
    researcher.get_by_text("is changed and logged").wait_for()

    # The reviewer's form is still the one of the version before.
    reviewer.get_by_label("Reason").fill("my reason")
    reviewer.get_by_role("button", name="Close it").click()
    reviewer.get_by_text("yours is based on 1").wait_for()
    reviewer.get_by_text("What you entered, not saved").wait_for()
    assert register.find("F-0001").status == "in_remediation"

    PersonLog(house.home).disable(house.name("rob"), by=make_person("ada", PersonRole.ADMIN), reason="left")
    reviewer.get_by_label("Reason").fill("done")
    reviewer.get_by_role("button", name="Close it").click()
    reviewer.get_by_text("is disabled").first.wait_for()
    assert register.find("F-0001").version == 2
    assert [event.payload["deed"] for event in house.list_told("person.refused") if event.actor == house.name("rob")][
        :1
    ] == ["close_finding"]

    approver = enter(visit, house, "olaf", "team-approve")
    approver.get_by_label("Reason").fill("drawn, and below 0.05")
    approver.get_by_role("button", name="Close it").click()
    approver.get_by_text("is closed").wait_for()
    assert [one.action for one in house.list_told("finding.closed")] == ["finding.closed"]
