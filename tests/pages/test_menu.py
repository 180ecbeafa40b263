"""The menu: short for everybody, and no page out of reach."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.governance import Permission
from audit_core.governance.people import LOCAL_PERSON, Person, PersonRole
from ui.audits.drawings import draw
from ui.audits.index import COLUMNS, QUESTIONS
from ui.shell.navigation import MOST_LINKS, PLACES, list_listed, list_open_to

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {place.group for place in PLACES}
PEOPLE = [LOCAL_PERSON] + [
    Person("issuer|anna", "Anna", frozenset(roles), None, None)
    for n in range(1, len(PersonRole) + 1)
    for roles in combinations(PersonRole, n)
]


def list_links(person: Person, group: str) -> list[str]:
    return [place.title for place in list_listed(person, group)]


def test_no_person_has_more_links_than_fit() -> None:
    longest = max(len(list_links(person, group)) for person in PEOPLE for group in GROUPS)
    assert longest == MOST_LINKS, "the side bar has three buttons at most, and shall have 15 controls at most"


def test_every_page_is_listed_on_the_pages_of_its_group_and_its_group_is_reached_by_one_link() -> None:
    for person in PEOPLE:
        for place in list_open_to(person):
            assert place.title in list_links(person, place.group)
            always = {one.title for one in PLACES if one.group == place.group} & set(list_links(person, ""))
            assert always, f"{person.roles} find no way to {place.title}"


def test_the_menu_lists_nothing_that_a_person_may_not_open() -> None:
    for person in PEOPLE:
        titles = {place.title for place in PLACES if not person.may(place.permission)}
        assert not titles & {title for group in GROUPS for title in list_links(person, group)}
    assert "People" not in list_links(LOCAL_PERSON, "Govern")


def test_the_index_has_a_question_and_a_drawing_for_every_audit() -> None:
    audits = {place.file for place in PLACES if place.group in COLUMNS}
    assert set(QUESTIONS) == audits | {"audits.py", "features.py"}
    drawings = {file: draw(file) for file in QUESTIONS}
    assert len(set(drawings.values())) == len(QUESTIONS)


def open_index(person: Person, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Paths that the index links to."""
    monkeypatch.setattr("ui.shell.auth.who", lambda: person)
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    test.switch_page(str(ROOT / "pages/all_audits.py"))
    test.run()
    assert not test.exception
    assert [one.value for one in test.title] == ["All audits"]
    return {link.proto.page for link in test.get("page_link")}


def test_the_index_leads_to_every_page_a_person_may_open_and_to_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def path(file: str) -> str:
        return "" if file == "live_audit.py" else file.removesuffix(".py")

    researcher = replace(LOCAL_PERSON, roles=frozenset({PersonRole.RESEARCHER}))
    expected = {path(place.file) for place in PLACES if place.permission in (Permission.LOOK, Permission.RUN)}
    assert open_index(researcher, monkeypatch) == expected - {"all_audits"}
