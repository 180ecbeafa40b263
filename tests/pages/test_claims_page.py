"""Claims and audit log opened by Streamlit's own test driver, on an empty home and on one with a claim."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.planted import make_induction

from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.evidence.keys import make_key
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import Action, Register, RunLog, append_event, revoke_log_key
from audit_core.store.database.connection import open_database
from audit_core.subjects.transformer import TransformerSubject
from tests.pages.test_live_audit_page import ROOT
from ui.parts.header import plain

HOSTILE = "<img src=x onerror=alert(1)> **bold** `code`"


def open_page(name: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / f"pages/{name}.py"), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


@pytest.fixture
def claimed(home: Path, planted: TransformerSubject) -> Path:
    """One claim with one attempt."""
    plan = freeze_claim(
        Register(home), planted, Claim(HOSTILE, (head(1, 0),)), make_induction(40, change="query", n_templates=6), load_shipped_policy(),
        owner="anna", model="planted", questions=(),
    )  # fmt: skip
    run_confirmatory(
        Register(home), plan.claim_id, lambda name: Auditor(planted, RunLog(home)), actor=Actor("anna", "t")
    )
    return home


def test_an_empty_register_says_what_to_do(home: Path) -> None:
    test = open_page("claims")
    assert not test.exception
    assert "No claim is registered yet" in test.info[0].value


def test_a_claim_shows_its_plan_attempts_and_verdict(claimed: Path) -> None:
    test = open_page("claims", claim="C-9999")
    assert not test.exception
    assert test.selectbox(key="claim").value == "C-0001", "what a link names and nobody has is repaired"
    headings = [one.value for one in test.header]
    assert "Attempts (1)" in headings
    assert "Findings of the last attempt" in headings
    plan = test.dataframe[0].value
    assert list(plan.iloc[0]) == ["components", "L1.H0"]
    assert not [one for one in test.markdown if "<img" in one.value and "\\<" not in one.value]


def test_a_pack_from_the_page_can_withhold_its_prompts(claimed: Path) -> None:
    make_key(claimed, "anna")
    test = open_page("claims")
    test.text_input(key="organisation").set_value("anna@bank.invalid")
    test.checkbox(key="withhold-prompts").check()
    test.button(key="write-pack").click()
    test.run()
    assert "personal data" in test.error[0].value
    test.checkbox(key="acknowledge-personal-data").check()
    test.button(key="write-pack").click()
    test.run()
    assert not test.exception
    assert any("40 prompts are withheld" in one.value for one in test.markdown)
    with zipfile.ZipFile(io.BytesIO(test.session_state["pack"].data)) as pack:
        assert json.loads(pack.read("pack.json"))["withheld_count"] == 40
        assert not [name for name in pack.namelist() if name.startswith("prompts/") and name.endswith("items.jsonl")]
    assert len(list((claimed / "openings").iterdir())) == 1


def test_a_claim_without_an_owner_is_not_frozen(home: Path) -> None:
    test = open_page("claims")
    test.button(key="FormSubmitter:freeze-Freeze").click()
    test.run()
    assert not test.exception
    assert "No owner" in test.error[0].value
    assert Register(home).list_claims() == ()


def test_a_claim_that_is_no_toml_is_refused(home: Path) -> None:
    test = open_page("claims")
    test.text_area(key="toml").set_value("name = ")
    test.text_input(key="freeze_owner").set_value("anna")
    test.text_input(key="freeze_model").set_value("./no-such-folder")
    test.button(key="FormSubmitter:freeze-Freeze").click()
    test.run()
    assert not test.exception
    assert Register(home).list_claims() == ()


def test_the_log_page_lists_events_and_narrows_them(claimed: Path) -> None:
    test = open_page("audit_log")
    assert not test.exception
    listed = _events(test)
    assert {"prereg.frozen", "run.started", "run.ended", "verdict.reached"} <= set(listed["action"])
    assert set(listed["state"]) == {"as written, unanchored"}
    test.selectbox(key="action").set_value("run.started")
    test.run()
    assert set(_events(test)["action"]) == {"run.started"}
    test.text_input(key="about").set_value("nobody at all")
    test.run()
    assert not test.exception


def test_a_changed_event_is_named_on_the_page(claimed: Path) -> None:
    with open_database(claimed) as connection:
        connection.execute("DROP TRIGGER event_fixed ON audit_event")
        connection.execute("UPDATE audit_event SET actor = 'mallory' WHERE seq = 2")
    test = open_page("audit_log")
    assert not test.exception
    assert "First bad event: 2" in test.error[0].value
    states = dict(zip(_events(test)["number"], _events(test)["state"], strict=True))
    assert states[1] == "as written, unanchored"
    assert "actor" in states[2]
    assert states[3] == "after the first bad event"


def test_the_log_page_names_packs_nobody_is_known_to_have_and_keys_that_leaked(own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    with open_database(own_home) as connection:
        append_event(connection, actor="a", action=Action.PACK_EXPORTED, object_id="P-*1*", payload={"claims": {}})
    revoke_log_key(own_home, actor="a", reason="<b>stolen</b>")
    test = open_page("audit_log")
    assert not test.exception
    text = " ".join(one.value for one in test.markdown)
    assert "not yet recorded as external: 1. The newest" in text
    assert plain("P-*1*") in text
    assert "Checkpoints signed by that key only: 1." in test.warning[0].value
    assert plain("<b>stolen</b>") in test.warning[0].value
    assert test.metric[2].value == "3 events"


def _events(test: AppTest):  # type: ignore[no-untyped-def]
    return next(one.value for one in test.dataframe if "action" in one.value)
