"""Claims and audit log opened by Streamlit's own test driver, on an empty home and on one with a claim."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.pdf_text import read_pages
from toy.planted import make_induction

from audit_core.audits.ablation import AblationRequest
from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.errors import Refused
from audit_core.evidence.keys import make_key
from audit_core.governance import edit_policy
from audit_core.home import read_claim_history, render_claim_report
from audit_core.packs import ExportOptions
from audit_core.policy_choice import save_own_policy
from audit_core.prompts.alignment import tokenise
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import Action, Register, RunLog, append_event, revoke_log_key
from audit_core.store.database.connection import open_database
from audit_core.subjects.transformer import TransformerSubject
from audit_core.verifier.walk import verify_pack
from tests.pages.test_live_audit_page import ROOT
from ui.flow import actions
from ui.parts.header import plain

pytestmark = pytest.mark.usefixtures("short_draws")

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


def open_tab(test: AppTest, name: str) -> AppTest:
    """Open a tab of the claim, which the driver cannot click."""
    test.session_state["claim-tab"] = name
    return test.run()


def read(test: AppTest) -> str:
    assert not test.exception
    return " ".join(str(one.value) for one in (*test.markdown, *test.header, *test.subheader)).replace("\\", "")


def test_an_empty_register_opens_the_form(home: Path) -> None:
    test = open_page("claims")
    assert [one.value for one in test.header] == ["New claim"]
    assert "160 pairs: 80 to explore, 80 to test in 10 templates" in read(test)
    assert "None of these templates is used to explore." in read(test)
    assert "about 184 prompts in 23 templates. This set has 80 in 10" in test.warning[0].value.replace("\\", "")


def test_the_example_and_its_prompt_set_belong_together(home: Path) -> None:
    test = open_page("claims")
    assert (test.selectbox(key="claim_set").value, test.text_input(key="claim_parts").value) == (
        "indirect_object",
        "L23.H3",
    )
    assert "the indirect object" in test.text_area(key="claim_name").value
    test = open_page("claims", view="new", c="L3.H1", set="induction")
    assert (test.selectbox(key="claim_set").value, test.text_area(key="claim_name").value) == ("induction", "")


def test_a_pasted_address_gives_components_prompts_and_model(home: Path) -> None:
    test = open_page("claims")
    test.text_input(key="claim_parts").set_value(
        "http://localhost:8501/?model=m1&c=L2.H1%2CL3.MLP&set=greater_than&ab=zero"
    ).run()
    assert test.text_input(key="claim_parts").value == "L2.H1,L3.MLP"
    assert (test.selectbox(key="claim_set").value, test.text_input(key="claim_model").value) == ("greater_than", "m1")
    assert "is replaced by zero on 80 test prompts" in read(test)


def test_a_sufficient_claim_starts_from_its_own_threshold(home: Path) -> None:
    test = open_page("claims")
    test.radio(key="claim_role").set_value("sufficient").run()
    assert test.number_input(key="claim_percent").value == 80
    assert "What L23.H3 keeps is compared with 80% of the gap" in read(test)


def test_a_claim_shows_its_verdict_first_and_its_tables_in_tabs(claimed: Path) -> None:
    test = open_page("claims", claim="C-9999")
    assert test.selectbox(key="claim").value == "C-0001", "what a link names and nobody has is repaired"
    first = read(test)
    for words in (
        "Supported",
        "the model relies on L1.H0",
        "Without it, the loss is",
        "Not tested:",
        "The policy asks for 200 prompts",
    ):
        assert words in first
    assert not [one for one in test.markdown if "<img" in one.value and "\\<" not in one.value]
    plan = open_tab(test, "Preregistered plan").dataframe[0].value
    assert list(plan.iloc[0]) == ["components", "L1.H0"]
    assert list(open_tab(test, "Attempts (1)").dataframe[0].value["outcome"]) == ["done"]


def test_the_next_attempt_waits_for_a_confirmation(claimed: Path) -> None:
    test = open_page("claims")
    assert test.button(key="attempt").disabled
    test.checkbox(key="sure-attempt C-0001 1").check().run()
    assert not test.button(key="attempt").disabled


def test_an_attempt_that_never_ended_is_named_and_one_that_runs_offers_no_other(
    claimed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = Register(claimed).find("C-0001").plan.digest
    with open_database(claimed) as connection:
        payload = {
            "claim_id": "C-0001",
            "attempt_no": 2,
            "prereg_digest": digest,
            "kind": "confirmation",
        }
        append_event(connection, actor="anna", action=Action.RUN_STARTED, object_id="f" * 32, payload=payload)
    found = read_claim_history(claimed, "C-0001").attempts[-1]
    assert (found.outcome, found.is_running) == ("stopped without a result", False)
    monkeypatch.setattr("audit_core.home.claim_history.list_running", lambda home: frozenset({"f" * 32}))
    test = open_page("claims")
    assert not [one for one in test.button if one.key == "attempt"]
    assert "Attempt 2 is running since" in test.info[0].value


def test_the_report_of_a_claim_without_a_pack_has_its_verdict_on_the_first_page(claimed: Path) -> None:
    pages = read_pages(render_claim_report(claimed, "C-0001", now=datetime.now(UTC)))
    first, last = " ".join(pages[0].split()), " ".join(pages[-1].split())
    assert "Supported" in first
    assert "Without it, the loss is" in first
    assert "Not tested" in first
    assert "No person has signed it" in last


def test_a_pack_from_the_page_can_withhold_its_prompts(claimed: Path) -> None:
    make_key(claimed, "anna")
    test = open_tab(open_page("claims"), "Evidence pack")
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


def test_a_pack_takes_answers_of_its_own_writer_only(
    claimed: Path, planted: TransformerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(claimed, "anna")
    prompts = tokenise(make_induction(8, change="query", n_templates=4), planted.tokenizer)
    auditor, runs = Auditor(planted, RunLog(claimed)), {}
    for session, component in (("mine", head(1, 0)), ("another", head(1, 1))):
        asked = AblationRequest(prompts, prompts, (component,))
        runs[session] = auditor.run("ablation", asked, actor=Actor("local", session)).run_id
    monkeypatch.setattr("ui.flow.services.browser_key", lambda: "mine")
    test = open_tab(open_page("claims"), "Evidence pack")
    (offered,) = test.multiselect(key="pack-answers").options
    assert "ablation" in offered
    assert "L1.H0" in offered
    with pytest.raises(Refused, match="not an answer of yours"):
        actions.write_pack("C-0001", ExportOptions("anna", "A bank"), answers=(runs["another"],))
    test.multiselect(key="pack-answers").select(runs["mine"])
    test.text_input(key="organisation").set_value("A bank")
    test.button(key="write-pack").click()
    test.run()
    assert not test.exception
    data = test.session_state["pack"].data
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        assert [name for name in pack.namelist() if name.startswith("answers/")] == [f"answers/{runs['mine']}.json"]
    assert verify_pack(data, None).integrity == "INTEGRITY_VERIFIED"


def test_a_claim_without_an_owner_is_not_frozen(home: Path) -> None:
    test = open_page("claims")
    test.button(key="lock").click()
    test.run()
    assert not test.exception
    assert "No owner" in test.error[0].value
    assert Register(home).list_claims() == ()


def test_components_that_do_not_parse_are_refused_and_not_locked(home: Path) -> None:
    test = open_page("claims")
    test.text_input(key="claim_parts").set_value("head three").run()
    assert "three" in test.error[0].value or "head" in test.error[0].value
    test.text_input(key="claim_owner").set_value("anna")
    test.text_input(key="claim_model").set_value("./no-such-folder")
    test.button(key="lock").click().run()
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


def test_the_log_page_names_packs_without_a_recipient_and_keys_that_leaked(own_home: Path) -> None:
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


def test_a_plan_changed_after_its_results_is_a_deviation_and_a_claim_is_withdrawn_with_a_reason(claimed: Path) -> None:
    own = edit_policy(load_shipped_policy(), {("id",): "bank-1"})
    save_own_policy(claimed, own, based_on="", reason="why", by="ada")
    test = open_page("claims", claim="C-0001")
    test.session_state["amend-plan"] = test.session_state["withdraw-claim"] = True
    open_tab(test, "Preregistered plan")
    place = "amend:C-0001:1"
    test.number_input(key=f"{place}:delta").set_value(20.0)
    test.selectbox(key=f"{place}:policy").set_value(own.sha256)
    test.text_input(key=f"{place}:by").set_value("anna")
    test = test.button(key="amend-press").click().run()
    assert "No reason" in test.error[0].value
    assert Register(claimed).find("C-0001").plan.version == 1
    test.text_input(key=f"{place}:reason").set_value(HOSTILE)
    test = test.button(key="amend-press").click().run()
    assert "version 2, is locked: a deviation" in test.success[0].value.replace("\\", "")
    plan = Register(claimed).find("C-0001").plan
    assert (plan.version, plan.claim.delta, plan.is_exploratory) == (2, 0.2, True)
    assert plan.pins.policy_sha256 == own.sha256
    assert set(test.dataframe[1].value["why"]) == {HOSTILE}
    assert "Exploratory, cannot meet a policy" in test.warning[0].value
    test = test.button(key="withdraw-press").click().run()
    assert "No reason" in test.error[0].value
    assert Register(claimed).find("C-0001").withdrawn == ""
    test.text_input(key="withdraw:C-0001:reason").set_value("the question was wrong")
    test = test.button(key="withdraw-press").click().run()
    assert Register(claimed).find("C-0001").withdrawn == "the question was wrong"
    assert any("Withdrawn: the question was wrong" in one.value for one in test.info)
    assert not [one for one in test.button if one.key in ("amend-press", "withdraw-press")]
