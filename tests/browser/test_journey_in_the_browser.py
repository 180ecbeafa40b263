"""A pack's way over the review desk, each person in a browser of their own: what holds when they meet, and what the log tells."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from toy.packs import retell, zip_up

from audit_core.verifier.trust import read_trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack
from tests.browser.keyboard import tab_to
from tests.browser.signed_in import House, authorize, go, read_text, see_title, sign_in
from ui.desk.form import MUST_READ, READ

pytestmark = pytest.mark.browser
GROUPS = {"anna": "research", "ben": "review", "cleo": "approve", "cora": "approve", "dora": "approve", "vera": "view"}
SIGN = "Sign this decision"


@dataclass(frozen=True)
class Office:
    """People at work: the page of each, signed in, and whose signatures count."""

    house: House
    pages: dict[str, Any]

    def open_desk(self, subject: str, digest: str = "") -> Any:
        """A person's page, with the pack before them."""
        page = self.pages[subject]
        # A page behind another one is drawn so rarely that its figures take minutes.
        page.bring_to_front()
        # By way of another page: on the desk itself, what was chosen there counts and not the address.
        go(page, "/changes")
        see_title(page, "Changes")
        go(page, "/desk" + f"?case={digest}" * bool(digest))
        see_title(page, "Review desk")
        if digest:
            page.get_by_role("heading", name="Decisions").wait_for()
        return page

    def list_told(self, action: str, digest: str) -> list[tuple[str, str]]:
        """Who, and as what or why, of each event about one pack."""
        return [
            (event.actor.rpartition("|")[2], event.payload.get("why") or event.payload.get("reason") or event.payload["role"])
            for event in self.house.list_told(action)
            if digest in (event.object_id, event.payload.get("root_digest"))
        ]  # fmt: skip

    def download(self, subject: str) -> Verification:
        """What the verifier says of the pack that a person takes away."""
        with self.pages[subject].expect_download() as caught:
            self.pages[subject].get_by_role("button", name="Download the pack with its signatures").click()
        return verify_pack(Path(caught.value.path()).read_bytes(), read_trust(self.house.trust))


@pytest.fixture(scope="module")
def office(house: House, lend_profile: Any) -> Iterator[Office]:
    with ExitStack() as stack:
        yield open_office(house, {who: stack.enter_context(lend_profile()).new_page() for who in GROUPS})


def open_office(house: House, pages: dict[str, Any]) -> Office:
    """Everybody signs in."""
    made = Office(house, pages)
    for who, page in made.pages.items():
        page.set_default_timeout(60_000)
        # Dora showed the provider who she is two hours ago.
        house.employ(who, f"team-{GROUPS[who]}", auth_time=int(time.time()) - 7200 * (who == "dora"))
        page.goto(f"{house.url}/changes")
        sign_in(page, who)
        see_title(page, "Changes")
    return made


def make_pack(limit: str) -> bytes:
    """A pack that Anna prepared; another limit makes it another pack."""

    def change(story: Any) -> None:
        story.documents["pack.json"]["limitations"] = [limit]

    return zip_up(retell(change))


def put_on_desk(office: Office, data: bytes) -> str:
    """Anna brings a pack; returns its digest."""
    page = office.open_desk("anna")
    page.get_by_text("Add or read a pack").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "pack.zip", "mimeType": "application/zip", "buffer": data}
    )
    page.get_by_role("button", name="Put it on the desk").click()
    page.get_by_text("On the desk:").wait_for()
    digest = verify_pack(data, None).manifest_sha256
    assert digest is not None
    return digest


def fill(page: Any, independence: str = "another team") -> None:
    """Fill in an approval and ask for its confirmation."""
    page.get_by_role("radiogroup", name="Decision").get_by_text("approve", exact=True).click()
    for words in MUST_READ:
        page.get_by_text(READ[words], exact=True).click()
    page.get_by_label("Your relationship to the preparer (independence)").fill(independence)
    page.get_by_role("button", name="Check my decision").click()
    page.get_by_role("button", name=SIGN).wait_for()


def sign(page: Any, answer: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=SIGN).click()
    page.get_by_text(answer).first.wait_for()


def test_three_people_take_a_pack_over_the_desk_and_a_fourth_reads_it(office: Office) -> None:
    digest = put_on_desk(office, make_pack("Nothing beyond toys."))
    assert office.pages["anna"].get_by_role("button", name=SIGN).count() == 0, "who prepares has no form"
    ben = office.open_desk("ben", digest)
    fill(ben, "canary-of-ben, another team")
    dora = office.open_desk("dora", digest)
    fill(dora, "canary-of-dora, no part in it")
    assert "canary-of-dora" not in ben.content()
    sign(ben, "is signed and in the log")
    assert "canary-of-ben" not in dora.content()
    # The age counts from the first sign-in of these tests, some of which may have taken minutes.
    sign(dora, re.compile(r"The provider reports a sign-in 1[23]\d minutes ago"))
    office.house.employ("dora", "team-approve")
    dora.get_by_role("button", name="Sign in again").click()
    authorize(dora, "dora")
    dora.get_by_text("waiting for approval").first.wait_for()
    fill(dora, "canary-of-dora, no part in it")
    sign(dora, "is signed and in the log")
    vera = office.open_desk("vera", digest)
    vera.get_by_text("State: signed by all three").wait_for()
    assert vera.get_by_role("button", name=SIGN).count() == 0, "who looks has no form"
    assert "canary" not in vera.content()
    found = office.download("vera")
    assert (found.integrity, found.authenticity) == ("INTEGRITY_VERIFIED", "SIGNER_VERIFIED")
    assert {(one.role, one.person) for one in found.signers} == {
        ("preparer", "anna"),
        ("reviewer", "ben"),
        ("approver", "dora"),
    }
    assert office.list_told("decision.made", digest) == [("ben", "reviewer"), ("dora", "approver")]
    assert office.list_told("person.refused", digest) == [("dora", "not_recent")]


def test_the_preparer_of_a_pack_does_not_review_it_whatever_role_they_are_given(office: Office) -> None:
    digest = put_on_desk(office, make_pack("Prepared and reviewed by one."))
    office.house.give(anna="reviewer")
    anna = office.open_desk("anna", digest)
    fill(anna)
    sign(anna, "prepared this pack or owns a claim in it")
    office.house.give()
    sign(anna, "may not review")
    office.open_desk("anna", digest).get_by_text("State: waiting for review").wait_for()
    assert office.list_told("decision.made", digest) == []
    assert office.list_told("decision.refused", digest) == [("anna", "author")]
    assert office.list_told("person.refused", digest) == [("anna", "not_allowed")]


def test_of_two_approvals_at_once_one_is_recorded(office: Office) -> None:
    digest = put_on_desk(office, make_pack("Raced for."))
    ben = office.open_desk("ben", digest)
    fill(ben)
    sign(ben, "is signed and in the log")
    racers = {who: office.open_desk(who, digest) for who in ("cleo", "cora")}
    for page in racers.values():
        fill(page)
    at = int(time.time() * 1000) + 500
    for page in racers.values():
        button = page.get_by_role("button", name=SIGN)
        button.evaluate("(button, at) => { setTimeout(() => button.click(), at - Date.now()); }", at)
    answers = {}
    for who, page in racers.items():
        page.get_by_text("is signed and in the log").or_(
            page.get_by_text("An approver has signed this pack.")
        ).first.wait_for()
        answers[who] = "is signed and in the log" in read_text(page)
    assert sorted(answers.values()) == [False, True]
    winner, loser = sorted(answers, key=lambda who: not answers[who])
    assert office.list_told("decision.made", digest) == [("ben", "reviewer"), (winner, "approver")]
    assert office.list_told("decision.refused", digest) == [(loser, "approved_before")]


def test_a_signature_is_about_the_pack_that_was_shown(office: Office) -> None:
    shown = put_on_desk(office, make_pack("Shown to Ben."))
    ben = office.open_desk("ben", shown)
    fill(ben)
    swapped = put_on_desk(office, make_pack("Put there while Ben reads."))
    sign(ben, "is signed and in the log")
    assert office.list_told("decision.made", shown) == [("ben", "reviewer")]
    assert office.list_told("decision.made", swapped) == []
    office.open_desk("ben", swapped).get_by_text("State: waiting for review").wait_for()


def test_a_review_is_signed_by_keyboard_and_by_nothing_but_its_button(office: Office) -> None:
    digest = put_on_desk(office, make_pack("Signed without a mouse."))
    ben = office.open_desk("ben", digest)
    tab_to(ben, ben.get_by_role("radio", name="approve", exact=True))
    ben.keyboard.press("Space")
    for words in MUST_READ:
        tab_to(ben, ben.get_by_role("checkbox", name=READ[words]))
        ben.keyboard.press("Space")
    tab_to(ben, ben.get_by_label("Your relationship to the preparer (independence)"))
    ben.keyboard.type("another team")
    ben.keyboard.press("Enter")
    tab_to(ben, ben.get_by_role("button", name="Check my decision"))
    ben.keyboard.press("Enter")
    tab_to(ben, ben.get_by_role("button", name=SIGN))
    assert office.list_told("decision.made", digest) == [], "Enter in a field signs nothing"
    ben.keyboard.press("Enter")
    ben.get_by_text("is signed and in the log").wait_for()
    assert office.list_told("decision.made", digest) == [("ben", "reviewer")]
