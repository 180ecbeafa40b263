"""The page Policies opened by Streamlit's own test driver: read, changed, tried on the desk's packs, saved, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.packs import genuine_members, zip_up
from toy.planted import make_induction
from toy.register import freeze_by_hand

from audit_core.governance import edit_policy
from audit_core.policy_choice import load_policy_choice, save_own_policy
from audit_core.review import read_trial_packs, take_pack, try_policy
from audit_core.shipped import load_shipped_policy
from audit_core.store import Register, list_policies
from tests.pages.test_claims_page import HOSTILE, open_page
from ui.policies.drawings import RESULTS, draw_trial, list_claim_rows, tabulate

SHIPPED = load_shipped_policy()
NECESSITY = ("criteria", "necessity")


@pytest.fixture
def desk(home: Path) -> Path:
    take_pack(home, zip_up(genuine_members()), by="ada")
    return home


def read(test: AppTest) -> str:
    kinds = (test.markdown, test.info, test.error, test.success, test.warning)
    return "\n".join(str(one.value) for kind in kinds for one in kind).replace("\\", "")


def field(*place: str, policy: str = SHIPPED.sha256) -> str:
    return f"policy:{policy[:12]}:{'.'.join(place)}"


def open_tab(test: AppTest, name: str) -> AppTest:
    test.session_state["policy-tab"] = name
    return test.run()


def change_necessity(test: AppTest, threshold: float, source: str | None) -> AppTest:
    test.session_state["policy_criterion"] = "necessity"
    test.run()
    test.number_input(key=field(*NECESSITY, "threshold")).set_value(threshold)
    if source is not None:
        test.selectbox(key=field(*NECESSITY, "source")).set_value(source)
    return test.run()


def save(test: AppTest, policy_id: str, reason: str, by: str = "Ada", base: str = SHIPPED.sha256) -> AppTest:
    open_tab(test, "Save")
    test.text_input(key=field("id", policy=base)).set_value(policy_id)
    test.text_input(key="policy_by").set_value(by)
    test.text_area(key="policy_reason").set_value(reason)
    # Pressed in the same moment: the button must save what is typed and not what was drawn.
    return test.button(key="policy-save").click().run()


def test_without_packs_the_page_shows_the_thresholds_and_says_that_nothing_is_tried(home: Path) -> None:
    test = open_page("policies")
    assert not test.exception
    assert "No pack is on the desk" in read(test)
    assert "0 of 8 thresholds are your own" in read(test)
    assert not test.get("plotly_chart")
    assert len(test.dataframe[0].value) == len(SHIPPED.criteria)


def test_a_changed_threshold_is_tried_saved_and_offered_for_new_claims(desk: Path) -> None:
    test = change_necessity(open_page("policies"), 1.5, "organisation")
    assert not test.exception
    assert "**1 stricter**" in read(test)
    assert "1 of 8 thresholds are your own" in read(test)
    test = save(test, "bank-1", "Board, item 4.")
    assert not test.exception
    assert "bank-1, version 1, is saved" in read(test)
    (saved,) = list_policies(desk)
    assert (saved.by, saved.reason) == ("Ada", "Board, item 4.")
    kept = load_policy_choice(desk, "bank-1").resolved()
    assert (kept["criteria"]["necessity"]["threshold"], kept["criteria"]["necessity"]["source"]) == (
        1.5,
        "organisation",
    )
    assert test.selectbox(key="policy").value == saved.sha256
    assert open_page("policies").selectbox(key="policy").value == saved.sha256, "an own policy comes before the example"
    claims = open_page("claims", view="new")
    assert claims.selectbox(key="claim_policy").options[0] == "bank-1, version 1"
    assert "bank-1, 12 required criteria" in read(claims)


def test_a_version_is_taken_out_of_force_with_a_reason_and_is_no_longer_offered(home: Path) -> None:
    own = edit_policy(SHIPPED, {("id",): "bank-1", (*NECESSITY, "source"): "organisation"})
    save_own_policy(home, own, based_on="", reason="Board.", by="Ada")
    test = open_tab(open_page("policies"), "Versions")
    test.button(key="policy-retire").click().run()
    assert "A reason of 0 characters" in read(test)
    test.text_input(key="policy_retired_by").set_value("Ben")
    test.text_area(key="policy_retired_reason").set_value(HOSTILE)
    test = test.button(key="policy-retire").click().run()
    assert not test.exception
    assert "bank-1, version 1, is out of force" in read(test)
    (saved,) = list_policies(home)
    assert saved.retired is not None
    assert (saved.retired.by, saved.retired.reason) == ("Ben", HOSTILE.strip())
    assert test.selectbox(key="policy").options == [f"{SHIPPED.id} (example of this project)"]
    assert not [one for one in test.button if one.key == "policy-retire"]
    assert not [one for one in test.markdown if "<script" in one.value]


def test_a_locked_claim_is_amended_to_the_policy_that_is_chosen(home: Path) -> None:
    freeze_by_hand(home, name=HOSTILE, prompts=make_induction(2, change="query"))
    own = edit_policy(SHIPPED, {("id",): "bank-1", (*NECESSITY, "source"): "organisation"})
    saved = save_own_policy(home, own, based_on="", reason="Board.", by="Ada")
    test = open_tab(open_page("policies"), "Claims")
    assert not test.exception
    assert "1 claim, of them 0 locked under bank-1" in read(test)
    assert list(test.dataframe[-1].value["locked under"]) == ["a policy that is not kept here"]
    test.button(key="policy-amend").click().run()
    assert "No reason" in read(test)
    assert Register(home).find("C-0001").plan.version == 1
    test.text_input(key="policy_amend_by").set_value("Ben")
    test.text_area(key="policy_amend_reason").set_value("The board's policy applies.")
    test = test.button(key="policy-amend").click().run()
    assert not test.exception
    assert "C-0001, version 2, is locked under bank-1: an amendment" in read(test)
    claim = Register(home).find("C-0001")
    assert (claim.plan.version, claim.plan.pins.policy_sha256) == (2, saved.sha256)
    assert [(row.by, row.field, row.is_deviation) for row in claim.deviations] == [("Ben", "pins.policy_sha256", False)]
    assert list(test.dataframe[-1].value["locked under"]) == ["bank-1, version 1"]
    assert not [one for one in test.button if one.key == "policy-amend"]
    test.session_state[field("gate", "max_waivers", policy=saved.sha256)] = 0
    assert "Save this one first" in read(test.run()), "a draft is no policy"


def test_a_change_keeps_what_was_typed_when_it_is_refused(desk: Path) -> None:
    test = change_necessity(open_page("policies"), 0.4, None)
    assert "say whose judgement it is" in read(test)
    test = save(test, "bank-1", "why")
    assert "necessity names this project as the source" in read(test)
    assert "**1 stricter**" in read(test), "the draft is not lost"
    assert list_policies(desk) == ()
    open_tab(test, "Thresholds")
    test.selectbox(key=field(*NECESSITY, "source")).set_value("regulator").run()
    assert "say whose judgement it is" not in read(test)
    test = save(test, "bank-1", "")
    assert "A reason of 0 characters" in read(test)
    test.button(key="policy-discard").click().run()
    assert "stricter" not in read(test)


def test_a_criterion_is_left_out_and_a_threshold_on_an_answer_added(desk: Path) -> None:
    test = open_page("policies")
    test.session_state["policy_criterion"] = "stability"
    test.run()
    test.segmented_control(key=field("counts", "stability")).set_value("left out").run()
    assert "requires 11 criteria" in read(test)
    assert "**1 laxer" in read(test)
    test.session_state["policy_criterion"] = "a new one, on an audit's answer"
    test.run()
    for label, value in (("Name", "follows"), ("Number", "edits[edit=edited].followed")):
        next(one for one in test.text_input if one.label == label).set_value(value)
    next(one for one in test.selectbox if one.label == "Audit").set_value("tools")
    next(one for one in test.text_area if one.label == "Why").set_value("The answer must come from the result.")
    test = next(one for one in test.button if one.label == "Add it").click().run()
    assert not test.exception
    assert test.selectbox(key="policy").value == "policy_text"
    assert "requires 12 criteria" in read(test)
    shown = test.dataframe[0].value
    assert "follows" in list(shown["criterion"])
    assert "stability" not in list(shown["criterion"])


def test_a_hostile_file_is_refused_and_a_hostile_reason_is_shown_as_text(desk: Path) -> None:
    own = edit_policy(
        SHIPPED,
        {
            ("id",): "bank-1",
            (*NECESSITY, "source"): "organisation",
            (*NECESSITY, "why"): HOSTILE,
            ("gate", "ci_level"): 0.9999,
            ("approval", "max_age_days"): 3660,
        },
    )
    save_own_policy(desk, own, based_on="", reason=HOSTILE, by=HOSTILE)
    test = open_page("policies", policy=own.sha256)
    for tab in ("Thresholds", "People and waivers", "Save", "Changes", "Versions", "File"):
        open_tab(test, tab)
        assert not test.exception
        assert not [one for one in test.markdown if "<script" in one.value]


def test_the_picture_has_a_sign_for_each_result_and_a_ring_where_it_changes(desk: Path) -> None:
    packs = read_trial_packs(desk)
    strict = edit_policy(packs[0].own, {("gate", "required"): [one for one in packs[0].own.required if one != "rerun"]})
    from datetime import UTC, datetime

    tried = try_policy(packs, None, strict, now=datetime(2026, 11, 29, tzinfo=UTC))
    rows = [row for row in list_claim_rows(tried) if row.after is not None]
    figure = draw_trial(tried)
    signs = [text for trace in figure.data if trace.text is not None for text in trace.text if text]
    assert len(signs) == len(rows)
    assert set(signs) <= {sign for _, sign, *_ in RESULTS.values()}
    table = tabulate(tried)
    assert len(table) == sum(len(pack.rows) for pack in tried) > len(list_claim_rows(tried))
    assert f"pack {packs[0].root_digest[:8]}" in set(table["claim"]), "signatures decide too, and are in the table"
    assert set(table[table["criterion"] == "rerun"]["counts"]) <= {"left out"}


def test_a_claim_and_a_question_are_frozen_under_the_policy_that_was_chosen(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from ui.flow import actions

    own = edit_policy(SHIPPED, {("id",): "bank-1"})
    save_own_policy(home, own, based_on="", reason="why", by="ada")
    given: list[str] = []
    monkeypatch.setattr(actions, "freeze_claim", lambda *args, **_: given.append(args[4].sha256))
    form = actions.FreezeForm(
        'name = "s"\ncomponents = ["L0.H0"]\n', "m", "indirect_object", (), "nothing_run", "anna", own.sha256
    )
    actions.freeze(SimpleNamespace(subject=None), form)  # type: ignore[arg-type]

    def freeze(*args: object, is_seen: bool) -> SimpleNamespace:
        given.append(args[3].sha256)  # type: ignore[attr-defined]
        return SimpleNamespace(question=SimpleNamespace(question_id="Q-1"), is_exploratory=is_seen)

    monkeypatch.setattr(actions, "freeze_question", freeze)

    def page() -> None:
        from ui.flow.freeze import offer_freeze

        offer_freeze(None, "tools", None, "k", lambda: None)  # type: ignore[arg-type]

    test = AppTest.from_function(page).run()
    assert not test.exception
    assert test.button(key="freeze-k").disabled
    test.selectbox(key="saved-policy-k").set_value(own.sha256).run()
    test.button(key="freeze-k").click().run()
    assert given == [own.sha256] * 2
