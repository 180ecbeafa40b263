"""The sample organisation on the record pages: shown until there are records, hidden, removed, and never written to."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from toy.pdf_text import read_pages
from toy.register import freeze_by_hand, tell

from audit_core.errors import SampleRefused
from audit_core.packs import ExportOptions
from audit_core.review import ReviewDecision, list_cases
from audit_core.sample import count_records, is_removed, open_sample, restore_sample
from audit_core.store import Action, Register
from audit_core.tables import make_table
from tests.pages.test_signed_in import Provider, open_app, provider  # noqa: F401
from ui.flow import actions, sample
from ui.parts import sample_mark

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("overview", "models", "claims", "desk", "changes", "audit_log")
BANNER = "Sample organisation: recorded on"
DRAWN = [
    path
    for name in ("claims", "desk", "cards", "overview", "log", "changes")
    for path in sorted((ROOT / "ui" / name).glob("*.py"))
]


@pytest.fixture
def fresh(home: Path) -> Path:
    """A data directory as a first visitor has it."""
    restore_sample(home)
    return home


@pytest.fixture
def on_sample(fresh: Path) -> Iterator[Path]:
    """The sample's data directory, as shown by a page of this session."""
    folder = open_sample(fresh)
    assert folder is not None
    sample_mark.mark_page(folder)
    yield folder
    sample_mark.mark_page(None)


def open_page(name: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / f"pages/{name}.py"), default_timeout=90)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def has_banner(test: AppTest) -> bool:
    assert not test.exception, test.exception
    return any(BANNER in one.value for one in test.markdown)


@pytest.mark.parametrize("page", PAGES)
def test_a_first_visit_shows_the_sample_with_its_banner(fresh: Path, page: str) -> None:
    test = open_page(page)
    assert has_banner(test)
    assert test.dataframe or test.get("plotly_chart"), "the page shows records"
    assert count_records(fresh).events == 0, "and writes none"


@pytest.mark.parametrize("page", PAGES)
def test_a_record_of_ones_own_replaces_the_sample(fresh: Path, page: str) -> None:
    freeze_by_hand(fresh, name="a claim of my own")
    test = open_page(page)
    assert not has_banner(test)
    assert not [one for one in test.markdown if "Sample:" in one.value]


def test_claims_open_on_one_whose_pack_waits_for_a_decision(fresh: Path) -> None:
    test = open_page("claims")
    assert test.selectbox(key="claim").value == "C-0001"


def test_runs_alone_keep_the_sample_except_on_the_log(fresh: Path) -> None:
    tell(fresh, Action.RUN_STARTED, "a run", kind="sweep", claim_id=None)
    assert has_banner(open_page("claims"))
    assert not has_banner(open_page("audit_log"))


def test_it_is_hidden_for_a_session_and_shown_again(fresh: Path) -> None:
    test = open_page("claims")
    test.button(key="sample-hide").click().run()
    assert not has_banner(test)
    assert "New claim" in [one.value for one in test.header]
    assert has_banner(open_page("claims")), "another session still has it"
    test.button(key="sample-show").click().run()
    assert has_banner(test)


def test_it_is_removed_from_the_installation(fresh: Path) -> None:
    test = open_page("claims")
    test.button(key="sample-remove").click().run()
    assert not has_banner(test)
    assert is_removed(fresh)
    assert not has_banner(open_page("overview"))
    restore_sample(fresh)
    assert has_banner(open_page("overview"))


def test_only_an_admin_removes_it(provider: Provider) -> None:  # noqa: F811
    restore_sample(provider.home)
    provider.sign_in("anna", "viewer")
    test = open_app("claims")
    assert "sample-remove" not in [one.key for one in test.button]
    provider.sign_in("ada", "admin")
    test = open_app("claims")
    provider.claims["groups"] = ["team-view"]
    test.button(key="sample-remove").click().run()
    assert not is_removed(provider.home), "the click of a lost role is refused"
    assert ("ada", "manage_people", "not_allowed") in provider.refusals()


def test_a_decision_on_the_sample_is_refused_and_says_so(fresh: Path) -> None:
    test = open_page("desk")
    assert test.selectbox(key="viewer").value == "sample-ben"
    for key in ("verdicts", "against", "limits"):
        test.checkbox(key=f"read-{key}").check()
    test.radio(key="role").set_value("reviewer")
    test.radio(key="decision").set_value("approve")
    test.text_input(key="independence").set_value("another team")
    next(one for one in test.button if one.label == "Check my decision").click().run()
    next(one for one in test.button if one.label.startswith("Sign")).click().run()
    assert "read-only: nothing was signed" in test.error[0].value.replace("\\", "")
    folder = open_sample(fresh)
    assert folder is not None
    assert {len(case.decisions) for case in list_cases(folder)} == {0, 2}


def test_no_action_on_a_record_of_the_sample_reaches_a_record_of_ones_own(on_sample: Path, fresh: Path) -> None:
    """Claim ids of the sample exist in a register of one's own too: another session may freeze one meanwhile."""
    claim_id = freeze_by_hand(fresh)
    known = Register(fresh).find(claim_id)
    before = count_records(fresh)
    digest = list_cases(on_sample)[0].pack.root_digest
    for act in (
        lambda: actions.attempt(None, known, "attempt"),  # type: ignore[arg-type]
        lambda: actions.write_pack(claim_id, ExportOptions("sample-ada", "")),
        lambda: actions.decide_case(digest, ReviewDecision("reviewer", "approve", "another team"), "sample-ben", ""),
        lambda: actions.declare(claim_id, "it broke"),
        lambda: actions.link_sentence(1, claim_id),
    ):
        with pytest.raises(SampleRefused):
            act()
    assert count_records(fresh) == before
    assert not any(actions.may(one) for one in sample.NOT_OFFERED)
    assert actions.may(actions.Permission.FREEZE)


def test_a_file_from_a_page_with_the_sample_says_so_in_name_and_content(on_sample: Path) -> None:
    table = make_table(("claim", "status"), [("C-0001", "supported")])
    assert sample_mark.name_file("claims.csv") == "sample_claims.csv"
    assert list(sample_mark.mark_table(table)["source"]) == [sample_mark.WORDS]
    sample_mark.mark_page(None)
    assert sample_mark.name_file("claims.csv") == "claims.csv"
    assert list(sample_mark.mark_table(table).columns) == ["claim", "status"]


@pytest.mark.parametrize(("page", "number"), [("overview", 1), ("claims", 1), ("desk", 2), ("audit_log", 2)])
def test_every_file_that_a_page_offers_from_the_sample_says_so(
    fresh: Path, page: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: dict[str, bytes] = {}

    def offer(label: str, data: Any, *, file_name: str, **options: Any) -> None:
        # In a thread of its own, as a click arrives: the page's session is not available there.
        found = ThreadPoolExecutor(1).submit(data).result() if callable(data) else data
        offered[file_name] = found.encode() if isinstance(found, str) else found

    monkeypatch.setattr(st, "download_button", offer)
    open_page(page, claim="C-0001")
    assert len(offered) >= number
    for name, data in offered.items():
        assert name.startswith("sample_")
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as pack:
                data = pack.read("pack.json")
        if name.endswith(".pdf"):
            data = read_pages(data)[0].encode()
            assert page != "overview" or b"sample organisation" in data.lower()
        # A signed note has no room for a word more than its digests.
        assert name.endswith("checkpoint.txt") or b"ample" in data, name


def _names_its_file(call: ast.Call) -> bool:
    named = [word.value for word in call.keywords if word.arg == "file_name"]
    return bool(named) and isinstance(named[0], ast.Call) and ast.unparse(named[0].func).endswith("name_file")


@pytest.mark.parametrize(
    "path", [*DRAWN, ROOT / "ui/parts/header.py"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_every_download_of_a_record_page_asks_for_its_name(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    downloads = [call for call in calls if ast.unparse(call.func).endswith("download_button")]
    assert [call.lineno for call in downloads if not _names_its_file(call)] == []


def test_a_damaged_sample_leaves_the_page_usable(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit_core.errors import IntegrityError

    def refuse(home: Path) -> None:
        raise IntegrityError("The sample does not match its digest.")

    monkeypatch.setattr(sample, "open_sample", refuse)
    test = open_page("claims")
    assert not has_banner(test)
    assert "does not match its digest" in test.error[0].value
    assert "New claim" in [one.value for one in test.header]
