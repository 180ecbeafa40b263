"""Sign-in against a real provider process, in real browsers: deep links, two people at once, and who is put out."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from audit_core.store import RunLog
from tests.browser.signed_in import House, authorize, go, read_text, see_title, sign_in

pytestmark = pytest.mark.browser
CANARY = {"anna": "words-of-anna-77", "bela": "words-of-bela-88"}


def find_kept(house: House, words: str) -> str:
    """Id under which prompts with these words are kept, once they are."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in (house.home / "prompts").glob("of-*/*.jsonl"):
            if words in path.read_text():
                return path.stem
        time.sleep(0.1)
    pytest.fail(f"{words} was not kept")


def test_a_deep_link_is_kept_through_sign_in_and_sign_out_closes_the_door(house: House, visit: Any) -> None:
    house.employ("dora", "team-view")
    page = visit()
    page.goto(f"{house.url}/audit_log?action=person.signed_in")
    see_title(page, "Assay")
    assert page.locator("[data-testid=stSidebarNav]").count() == 0
    assert "Events" not in read_text(page)
    sign_in(page, "dora")
    see_title(page, "Audit log")
    assert urlparse(page.url).path == "/audit_log"
    assert parse_qs(urlparse(page.url).query)["action"] == ["person.signed_in"]
    page.get_by_text("Dora: viewer").wait_for()
    links = page.locator("[data-testid=stSidebarNav]").inner_text()
    assert "Claims" in links
    assert not re.search("Sweep|People|Live audit", links), "what a viewer may not open is not listed"
    page.get_by_role("link", name="Claims").click()
    see_title(page, "Claims")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(re.escape(house.issuer)))
    page.goto(f"{house.url}/claims")
    see_title(page, "Assay")


def test_a_sign_out_closes_the_other_tab_and_every_copy_of_the_cookie(house: House, visit: Any) -> None:
    house.employ("cleo", "team-view")
    first, thief = visit(), visit()
    first.goto(f"{house.url}/claims")
    sign_in(first, "cleo")
    see_title(first, "Claims")
    second = first.context.new_page()
    second.goto(f"{house.url}/claims")
    see_title(second, "Claims")
    thief.context.add_cookies(first.context.cookies())
    thief.goto(f"{house.url}/claims")
    see_title(thief, "Claims")
    first.get_by_role("button", name="Sign out").click()
    first.wait_for_url(re.compile(re.escape(house.issuer)))
    for page in (second, thief):
        page.get_by_role("link", name="Calibration").click()
        page.get_by_text("has signed out").wait_for()
    thief.reload()
    thief.get_by_text("has signed out").wait_for()
    sign_in(second, "cleo")
    see_title(second, "Calibration")
    thief.reload()
    thief.get_by_text("has signed out").wait_for()
    (event,) = house.list_told("person.signed_out")[-1:]
    assert event.actor == house.name("cleo")


def test_what_one_person_types_never_reaches_another(house: House, visit: Any) -> None:
    """Two people at once, interleaved: on the page, by the other's link, in the logs, in what both may read."""
    pages = {}
    for subject in CANARY:
        house.employ(subject, "team-research", "team-review")
        pages[subject] = visit()
        pages[subject].goto(house.url)
        sign_in(pages[subject], subject)
    for subject, page in pages.items():
        see_title(page, "Live audit")
        page.get_by_role("button", name="Your own prompts").click()
        page.get_by_text("Type one pair").click()
        page.get_by_label("Clean prompt").fill(f"{CANARY[subject]} went to the store")
        page.get_by_label("Corrupted prompt").fill(f"{CANARY[subject]} came to the store")
        page.get_by_label("Answer, with its leading space").fill(" a")
        page.get_by_label("Foil, with its leading space").fill(" b")
    for page in pages.values():
        page.get_by_role("button", name="Use this pair").click()
    keys = {}
    for subject, page in pages.items():
        page.get_by_text(f"{CANARY[subject]} went").first.wait_for()
        keys[subject] = find_kept(house, CANARY[subject])
    for subject, other in (("anna", "bela"), ("bela", "anna")):
        page = pages[subject]
        assert CANARY[other] not in page.content()
        page.goto(f"{house.url}/?set={keys[other]}")
        page.get_by_text(f"No prompts '{keys[other]}' here").wait_for()
        assert CANARY[other] not in page.content()
        go(page, "/audit_log")
        see_title(page, "Audit log")
        with page.expect_download() as caught:
            page.get_by_role("button", name="Export every event").click()
        exported = Path(caught.value.path()).read_text()
        assert "person.signed_in" in exported
        assert "words-of-" not in exported
        go(page, f"/?set={keys[subject]}")
        page.get_by_text(f"{CANARY[subject]} went").first.wait_for()
    assert "words-of-" not in (house.home / "server.log").read_text()
    assert "words-of-" not in json.dumps(list(RunLog(house.home).export()))


def test_a_person_whom_an_admin_disables_is_refused_at_their_next_action(house: House, visit: Any) -> None:
    olga = house.employ("olga", "team-view")
    house.employ("ada", "team-admin")
    watched, admin = visit(), visit()
    for page, subject in ((watched, "olga"), (admin, "ada")):
        page.goto(f"{house.url}/claims")
        sign_in(page, subject)
        see_title(page, "Claims")
    # The menu lists the pages of a group on its own pages.
    admin.get_by_role("link", name="Crosswalk").click()
    admin.get_by_role("link", name="People").click()
    see_title(admin, "People")
    admin.get_by_role("combobox", name="Person").click()
    admin.get_by_role("option", name=re.compile("Olga")).click()
    admin.get_by_label("Reason").fill("left the team")
    admin.get_by_label("Reason").press("Tab")
    admin.get_by_role("button", name="Disable access").click()
    admin.get_by_text("Done and logged").wait_for()
    watched.get_by_role("link", name="Calibration").click()
    watched.get_by_text("is disabled here").wait_for()
    watched.reload()
    watched.get_by_text("is disabled here").wait_for()
    (event,) = [event for event in house.list_told("person.disabled") if event.object_id == olga]
    assert event.actor == f"{house.issuer}|ada"


def test_a_sign_in_that_has_ended_is_asked_for_again(house: House, visit: Any) -> None:
    """The provider's token ends in three quarters of a minute; Streamlit's cookie lasts thirty days."""
    ends = int(time.time()) + 45
    house.employ("eva", "team-view", exp=ends)
    page = visit()
    page.goto(f"{house.url}/claims")
    sign_in(page, "eva")
    see_title(page, "Claims")
    page.wait_for_timeout(max(0.0, ends + 0.5 - time.time()) * 1000)
    page.get_by_role("link", name="Calibration").click()
    page.get_by_text("The sign-in ended at").wait_for()
    page.reload()
    page.get_by_text("The sign-in ended at").wait_for()
    house.employ("eva", "team-view")
    sign_in(page, "eva")
    see_title(page, "Calibration")


def test_signing_in_again_asks_the_provider_for_the_password(house: House, visit: Any) -> None:
    """What an approval needs; `[auth.again]` carries both parameters to the provider, which then tells a new time."""
    otto = house.employ("otto", "team-approve", auth_time=int(time.time()) - 7200)
    page = visit()
    page.goto(f"{house.url}/audit_log")
    sign_in(page, "otto")
    see_title(page, "Audit log")
    house.employ("otto", "team-approve")
    page.get_by_role("button", name="Sign in again").click()
    page.locator("input[name=sub]").wait_for()
    asked = parse_qs(urlparse(page.url).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    authorize(page, "otto")
    see_title(page, "Audit log")
    first, second = (
        event.payload["signed_in_at"] for event in house.list_told("person.signed_in") if event.actor == otto
    )
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) >= timedelta(hours=2)


def test_every_answer_refuses_to_be_framed_and_the_cookie_stays_out_of_scripts(house: House, visit: Any) -> None:
    for path in ("/", "/claims", "/_stcore/health", "/readyz", "/nothing-here"):
        request = urllib.request.Request(f"{house.url}{path}")
        try:
            headers = urllib.request.urlopen(request, timeout=10).headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        assert headers["X-Frame-Options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers.get_all("Content-Security-Policy")[-1], path
    house.employ("fay", "team-view")
    page = visit()
    page.goto(f"{house.url}/claims")
    sign_in(page, "fay")
    see_title(page, "Claims")
    assert page.request.get(f"{house.url}/auth/login?provider=forged").url.startswith(house.url), "no provider by hand"
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["_streamlit_user"]["httpOnly"] is True
