"""The dashboard as people meet it who have signed in: what each may open and do, and what happens to a replayed click."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from toy.people import ISSUER, ROLE_FILE, make_claims, make_person
from toy.planted import make_induction
from toy.register import freeze_by_hand

from audit_core.errors import AccessRefused, AuditError, PromptRefused
from audit_core.governance import edit_policy
from audit_core.governance.people import PersonRole
from audit_core.packs import ExportOptions
from audit_core.policy_choice import save_own_policy
from audit_core.preregistration import ChangeKind
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.references import load_checklist
from audit_core.review import ReviewDecision
from audit_core.shipped import load_shipped_policy
from audit_core.store import ChecklistDraft, FindingDraft, FindingEdit, PersonLog, Register, list_events, open_database

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {"viewer": "team-view", "researcher": "team-research", "reviewer": "team-review", "approver": "team-approve", "admin": "team-admin"}  # fmt: skip


class Provider:
    """What the cookie of whoever is asking says; a test changes it as sign-ins do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.claims: dict[str, Any] = {"is_logged_in": False}

    def to_dict(self) -> dict[str, Any]:
        return dict(self.claims)

    def sign_in(self, subject: str, *roles: str, lasts_s: float = 3600) -> None:
        self.claims = make_claims(subject, *(GROUPS[role] for role in roles), lasts_s=lasts_s)

    def refusals(self) -> list[tuple[str, str, str]]:
        with open_database(self.home) as connection:
            events = [event for event in list_events(connection) if event.action == "person.refused"]
        return [(event.actor.split("|")[1], event.payload["deed"], event.payload["why"]) for event in events]


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    import streamlit as st

    from ui.shell import auth

    found = Provider(home)
    (home / "people.toml").write_text(ROLE_FILE)
    monkeypatch.setattr(auth, "is_configured", lambda: True)
    monkeypatch.setattr(st, "user", found)
    return found


def open_app(page: str = "", **query: str) -> AppTest:
    """The router on its first page, or a page of its own behind it."""
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    if page:
        test.switch_page(str(ROOT / f"pages/{page}.py"))
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def titles(test: AppTest) -> list[str]:
    assert not test.exception
    return [one.value for one in test.title]


def errors(test: AppTest) -> str:
    return " ".join(one.value for one in test.error).replace("\\", "")


def test_an_unknown_visitor_sees_the_sign_in_and_no_page(provider: Provider) -> None:
    test = open_app()
    assert titles(test) == ["Assay"]
    assert [one.key for one in test.button] == ["sign-in"]
    assert not test.dataframe
    assert provider.refusals() == []


def test_a_person_without_a_role_sees_their_id_and_no_page(provider: Provider) -> None:
    provider.sign_in("anna")
    test = open_app()
    assert titles(test) == ["Assay"]
    assert f"{ISSUER}|anna" in errors(test)
    test.run()
    assert provider.refusals() == [("anna", "look", "no_role")], "told once, however often the browser asks"


@pytest.mark.parametrize(("role", "first"), [("viewer", "Overview"), ("approver", "Overview"), ("admin", "Overview")])  # fmt: skip
def test_a_person_who_may_not_run_begins_on_a_page_that_runs_nothing(provider: Provider, role: str, first: str) -> None:
    provider.sign_in("anna", role)
    test = open_app()
    assert titles(test) == [first]
    assert any(f"Anna: {role}" in one.value for one in test.sidebar.markdown)


def test_a_page_that_a_role_does_not_open_says_who_may(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    test = open_app("sweep")
    assert titles(test) == ["Sweep"]
    assert "researcher or reviewer" in errors(test)
    assert not test.selectbox
    test = open_app("people")
    assert not test.dataframe
    assert provider.refusals() == [("anna", "run", "not_allowed"), ("anna", "manage_people", "not_allowed")]


def test_a_people_page_opened_past_the_router_refuses_by_itself(provider: Provider) -> None:
    provider.sign_in("anna", "reviewer")
    test = AppTest.from_file(str(ROOT / "pages/people.py"), default_timeout=60).run()
    assert "may not manage people" in errors(test)
    assert not test.dataframe


def test_a_viewer_is_offered_nothing_that_writes(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    assert not open_app("claims").text_area
    assert not open_app("audit_log").get("download_button")
    provider.sign_in("rita", "researcher")
    assert open_app("claims").text_area
    provider.sign_in("rob", "reviewer")
    assert len(open_app("audit_log").get("download_button")) == 2


def test_an_ended_sign_in_closes_the_page_at_the_next_action(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    test = open_app("claims")
    assert titles(test) == ["Claims"]
    provider.claims["exp"] = provider.claims["auth_time"]
    test.run()
    assert titles(test) == ["Assay"]
    assert "ended at" in errors(test)
    assert "sign-in" in [one.key for one in test.button]


def test_a_disabled_person_is_out_at_the_next_action(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    test = open_app("claims")
    assert titles(test) == ["Claims"]
    PersonLog(provider.home).disable(f"{ISSUER}|anna", by=make_person("ada", PersonRole.ADMIN), reason="left")
    test.run()
    assert titles(test) == ["Assay"]
    assert "disabled" in errors(test)


def test_a_role_taken_away_on_the_server_is_gone_at_the_next_action(provider: Provider) -> None:
    provider.sign_in("rita", "researcher")
    test = open_app("claims")
    assert test.text_area
    (provider.home / "people.toml").write_text(ROLE_FILE.replace('"researcher"', '"viewer"'))
    test.run()
    assert not test.text_area
    (provider.home / "people.toml").write_text("[roles\n")
    assert titles(test.run()) == ["Assay"], "a file that cannot be read gives nobody a role"


@pytest.fixture
def leaves(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where Streamlit takes the cookie away, which a copy of it survives."""
    import streamlit as st

    found: list[str] = []
    monkeypatch.setattr(st, "logout", lambda: found.append("logout"))
    return found


def test_a_second_window_can_do_nothing_more_once_the_first_has_signed_out(
    provider: Provider, leaves: list[str]
) -> None:
    """Both hold the same token, which lasts for an hour."""
    from ui.flow import actions, services
    from ui.shell import auth

    provider.sign_in("anna", "researcher")
    first, second = open_app("claims"), open_app("claims")
    assert titles(second) == ["Claims"]
    first.button(key="sign-out").click().run()
    assert leaves == ["logout"]
    assert titles(second.run()) == ["Assay"]
    assert "has signed out" in errors(second)
    assert "sign-in" in [one.key for one in second.button]
    for permission in (
        lambda: services.authorize(actions.Permission.RUN, "sweep"),
        lambda: actions.keep_own(PromptSet("own pair", (Prompt("own-1", "a b", "a c", " x", " y", "own"),))),
        lambda: actions.write_pack("C-0001", ExportOptions("anna", "")),
        lambda: actions.compare("/nowhere", "/nowhere", ""),
        lambda: services.open_model("someone/model", is_asked=True),
    ):
        with pytest.raises(AccessRefused) as caught:
            permission()
        assert caught.value.why == "signed_out"
    assert titles(open_app("claims")) == ["Assay"], "a copied cookie opens no new window"
    assert auth.who() is not None, "the cookie itself still reads"
    provider.claims["nonce"] = "of the next sign-in"
    assert titles(open_app("claims")) == ["Claims"]


def test_a_replayed_sign_out_of_a_window_that_is_out_changes_nothing(provider: Provider, leaves: list[str]) -> None:
    provider.sign_in("anna", "viewer")
    test = open_app("claims")
    test.button(key="sign-out").click().run()
    test.button(key="sign-out").click().run()
    assert titles(test) == ["Assay"]


def test_a_download_that_was_drawn_before_the_sign_out_gives_nothing(provider: Provider, leaves: list[str]) -> None:
    from ui.flow import actions

    provider.sign_in("rob", "reviewer")
    test = open_app("audit_log")
    made = actions.offer(actions.Permission.EXPORT_LOG, "every event", lambda: "events")
    assert made() == "events"
    test.button(key="sign-out").click().run()
    with pytest.raises(AccessRefused):
        made()


def test_parts_of_a_page_that_run_by_themselves_have_the_whole_page_asked_again(
    provider: Provider, leaves: list[str]
) -> None:
    """A running job is drawn every second without a question to the log."""
    import threading

    import streamlit as st

    from ui.flow import services
    from ui.shell import auth

    provider.sign_in("anna", "researcher")
    assert auth.find_visitor()[1] is None
    assert not auth.has_changed()
    gate, begun = threading.Event(), threading.Event()

    def work(report: Any) -> None:
        begun.set()
        while not gate.wait(0.01):
            report(1, 2)

    job = services.jobs().submit("k", "t", work, owner=services.current_actor().session)
    assert begun.wait(5)
    person = auth.who()
    assert person is not None
    auth.sign_out(person)
    assert auth.has_changed()
    services.cancel_job(job)
    seen = services.jobs().get(job, owner=services.current_actor().session)
    assert seen is not None
    assert seen.is_active, "whoever is out cancels nothing; the run goes on, and is theirs when they are back"
    gate.set()
    st.session_state.clear()


def test_a_sign_out_that_cannot_be_kept_says_that_one_is_still_in(
    provider: Provider, leaves: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit_core.errors import StoreRefused

    def refuse(self: PersonLog, person: Any) -> None:
        raise StoreRefused("The disk is full.", wanted="room.", remedy="make room.")

    provider.sign_in("anna", "viewer")
    test = open_app("claims")
    monkeypatch.setattr(PersonLog, "sign_out", refuse)
    test.button(key="sign-out").click().run()
    assert titles(test) == ["Claims"]
    assert "still signed in" in errors(test)
    assert leaves == []


def test_an_admin_disables_a_person_and_enables_them_again(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    open_app()
    provider.sign_in("ada", "admin")
    test = open_app("people")
    assert list(test.dataframe[0].value["name"]) == ["Anna", "Ada"]
    test.text_input(key="person_reason").set_value("left")
    test.button(key="disable").click().run()
    assert list(test.dataframe[0].value["state"]) == ["disabled", "may sign in"]
    test.text_input(key="person_reason").set_value("came back")
    test.button(key="enable").click().run()
    assert list(test.dataframe[0].value["state"]) == ["may sign in", "may sign in"]
    test.button(key="disable").click().run()
    assert "reason has 0 characters" in errors(test)


@pytest.mark.parametrize("change", ["viewer", "expired"])
def test_a_replayed_click_is_refused_and_logged(provider: Provider, change: str) -> None:
    """The button was drawn for an admin; its state comes back from somebody who is none any more."""
    provider.sign_in("anna", "viewer")
    open_app()
    provider.sign_in("ada", "admin")
    test = open_app("people")
    test.text_input(key="person_reason").set_value("revenge")
    if change == "viewer":
        provider.claims["groups"] = ["team-view"]
    else:
        provider.claims["exp"] = provider.claims["auth_time"]
    test.button(key="disable").click().run()
    why = "not_allowed" if change == "viewer" else "expired"
    assert ("ada", "manage_people", why) in provider.refusals()
    assert not [one for one in PersonLog(provider.home).list_known() if one.is_disabled]


def test_a_researcher_amends_a_plan_to_a_policy_and_others_are_refused_and_logged(provider: Provider) -> None:
    freeze_by_hand(provider.home, prompts=make_induction(2, change="query"))
    own = edit_policy(load_shipped_policy(), {("id",): "bank-1"})
    save_own_policy(provider.home, own, based_on="", reason="Board.", by="otto")
    provider.sign_in("otto", "approver")
    test = open_app("policies")
    test.session_state["policy-tab"] = "Claims"
    assert "A plan is amended by a person with the role researcher." in [one.value for one in test.run().info]
    assert "policy-amend" not in [one.key for one in test.button]
    provider.sign_in("bela", "researcher")
    test = open_app("policies")
    test.session_state["policy-tab"] = "Claims"
    test.run().text_area(key="policy_amend_reason").set_value("The board's policy applies.")
    provider.claims["groups"] = ["team-approve"]
    test.button(key="policy-amend").click().run()
    assert provider.refusals() == [("bela", "amend", "not_allowed")]
    assert Register(provider.home).find("C-0001").plan.version == 1
    provider.claims["groups"] = ["team-research"]
    test = open_app("policies")
    test.session_state["policy-tab"] = "Claims"
    test.run().text_area(key="policy_amend_reason").set_value("The board's policy applies.")
    test.button(key="policy-amend").click().run()
    assert not test.exception
    claim = Register(provider.home).find("C-0001")
    assert (claim.plan.version, claim.plan.pins.policy_sha256) == (2, own.sha256)
    assert claim.deviations[0].by == f"{ISSUER}|bela"


def test_a_session_that_changes_hands_forgets_what_was_in_it(provider: Provider) -> None:
    provider.sign_in("anna", "viewer")
    test = open_app()
    test.session_state["jobs"] = {"of anna": "job"}
    assert "jobs" in test.run().session_state
    provider.sign_in("bela", "viewer")
    assert "jobs" not in test.run().session_state


def test_signing_in_again_comes_back_to_the_page_it_was_asked_on(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    from ui.shell import return_to

    asked: list[str | None] = []
    monkeypatch.setattr(st, "login", asked.append)
    monkeypatch.setattr(return_to, "browser_key", lambda: "one browser")
    monkeypatch.setattr(st, "secrets", {"auth": {"again": {}}})
    provider.sign_in("otto", "approver")
    test = open_app("claims")
    test.button(key="sign-in-again").click().run()
    assert asked == ["again"]
    back = open_app()
    assert titles(back) == ["Claims"]
    assert titles(open_app()) != ["Claims"], "once"


def test_prompts_that_a_person_brought_open_for_no_one_else(provider: Provider) -> None:
    from ui.flow import actions, services

    prompts = PromptSet("own pair", (Prompt("own-1", "CANARY-A one", "CANARY-A two", " x", " y", "own"),))
    provider.sign_in("anna", "researcher")
    key = actions.keep_own(prompts)
    assert actions.load_own(key) == actions.load_own(key)
    mine = services.current_actor().session
    provider.sign_in("bela", "researcher", "reviewer", "approver", "admin")
    with pytest.raises(PromptRefused) as caught:
        actions.load_own(key)
    assert "CANARY" not in str(caught.value)
    assert services.current_actor().session != mine, "history and jobs are a person's"
    provider.sign_in("anna", "researcher", lasts_s=9999)
    assert services.current_actor().session == mine


class Reached(AuditError):
    """The work behind a deed was reached."""


class WorkBehind:
    """Stands where a model would: whoever gets as far as to ask anything of it was let through."""

    subject: Any = None

    def __getattr__(self, name: str) -> Any:
        raise Reached(name)

    def content_key(self, audit: str, request: Any) -> str:
        return "key"

    def find_earlier(self, audit: str, request: Any) -> None:
        return None


ACTIONS = {
    "answer": "researcher reviewer",
    "submit": "researcher reviewer",
    "submit_work": "researcher reviewer",
    "open_model": "researcher reviewer",
    "keep_own": "researcher reviewer",
    "freeze": "researcher",
    "freeze_question": "researcher",
    "attempt": "researcher",
    "write_pack": "researcher",
    "take_to_desk": "researcher",
    "read_only": "viewer researcher reviewer approver admin",
    "compare": "researcher reviewer",
    "declare": "researcher reviewer approver admin",
    "decide_case: reviewer": "reviewer",
    "decide_case: approver": "approver",
    "keep_sentence": "researcher reviewer",
    "link_sentence": "researcher reviewer",
    "save_checklist": "reviewer",
    "offer: checkpoint": "reviewer approver admin",
    "offer: page of a run": "viewer researcher reviewer approver admin",
    "disable": "admin",
    "enable": "admin",
    "remove_from_installation": "admin",
    "make_own_key": "researcher reviewer approver",
    "cancel_campaign": "researcher reviewer",
    "plan_sent": "researcher reviewer",
    "start_campaign": "researcher reviewer",
    "record_finding": "reviewer approver",
    "write_label": "researcher reviewer",
    "save_policy": "approver",
    "retire_policy": "approver",
    "score_text": "researcher reviewer",
    "record_alarm: event": "researcher reviewer",
    "record_alarm: stale": "researcher reviewer approver admin",
    "amend_plan": "researcher",
    "withdraw_claim": "researcher",
    "change_finding": "researcher reviewer approver",
    "take_step: close": "reviewer approver",
    "take_step: accept": "approver",
    "take_step: reopen": "reviewer approver",
}
"""Every function of the dashboard that writes, and by hand who gets through."""


@pytest.mark.parametrize("role", [*GROUPS, "none"])
def test_each_function_that_writes_lets_its_roles_through_and_logs_the_others(
    provider: Provider, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui.campaigns import act as campaign_act
    from ui.claims import act as claim_act
    from ui.features import act as label_act
    from ui.findings import act
    from ui.flow import actions, sample, services, signing_key
    from ui.monitors import act as monitor_act
    from ui.policies import act as policy_act

    work: Any = WorkBehind()
    form = actions.FreezeForm("x = 1", "m", "indirect_object", (), "nothing_run", "anna")
    monitor: Any = SimpleNamespace(sha256="0" * 64)
    quiet: Any = SimpleNamespace(n_alarms=0, is_described=True)
    reader: Any = SimpleNamespace(tokenizer=SimpleNamespace(bos_id=0, encode=lambda text: [1]))
    pair = PromptSet("own pair", (Prompt("own-1", "a", "b", " x", " y", "own"),))
    monkeypatch.setattr(actions, "run_confirmatory", None)
    monkeypatch.setattr(services, "POOL", work)
    monkeypatch.setattr(actions, "predict_attempt_s", lambda known, auditor: auditor.predict())
    asked = {
        "answer": lambda: services.answer(work, "sweep", None),
        "submit": lambda: services.submit(work, "sweep", "title", None),
        "submit_work": lambda: services.submit_work("a dictionary", "title", lambda report: None, predicted_s=None),
        "open_model": lambda: services.open_model("someone/model", is_asked=True),
        "keep_own": lambda: actions.keep_own(pair),
        "freeze": lambda: actions.freeze(work, form),
        "freeze_question": lambda: actions.freeze_question(work, "tools", None, load_shipped_policy(), is_seen=False),  # type: ignore[arg-type]
        "attempt": lambda: actions.attempt(work, SimpleNamespace(claim_id="C-0001"), "title"),  # type: ignore[arg-type]
        "write_pack": lambda: actions.write_pack("C-0001", ExportOptions("anna", "")),
        "compare": lambda: actions.compare("/nowhere", "/nowhere", ""),
        "declare": lambda: actions.declare("C-9999", "it happened"),
        "take_to_desk": lambda: actions.take_to_desk(b"no pack"),
        "read_only": lambda: actions.read_only(b"no pack"),
        "decide_case: reviewer": lambda: actions.decide_case(
            "0" * 64, ReviewDecision("reviewer", "approve", "none"), "anna", ""
        ),
        "decide_case: approver": lambda: actions.decide_case(
            "0" * 64, ReviewDecision("approver", "reject", "none"), "anna", ""
        ),
        "keep_sentence": lambda: actions.keep_sentence("m", "s", "0" * 64),
        "link_sentence": lambda: actions.link_sentence(1, "C-0001"),
        "save_checklist": lambda: actions.save_checklist(
            load_checklist(), ChecklistDraft("a vendor", (), "P-9999", 7), "x"
        ),
        "offer: checkpoint": lambda: actions.offer(actions.Permission.EXPORT_LOG, "checkpoint", lambda: 1)(),
        "offer: page of a run": lambda: actions.offer(actions.Permission.LOOK, "run", lambda: 1)(),
        "disable": lambda: actions.disable(f"{ISSUER}|nobody", "left"),
        "enable": lambda: actions.enable(f"{ISSUER}|nobody", "left"),
        "remove_from_installation": sample.remove_from_installation,
        "make_own_key": lambda: signing_key.make_own_key("anna", "twelve letters", "twelve letters"),
        "write_label": lambda: label_act.write_label("0" * 64, "L1.F0", "a label", 0, None, "x"),
        "amend_plan": lambda: claim_act.amend_plan("C-9999", claim_act.PlanChange(0.2), "why", ChangeKind.OTHER, "x"),
        "withdraw_claim": lambda: claim_act.withdraw_claim("C-9999", "why", "x"),
        "save_policy": lambda: policy_act.save_policy(load_shipped_policy(), "", "", "x"),
        "retire_policy": lambda: policy_act.retire_policy(SimpleNamespace(policy_id="p", sha256="0" * 64), "why", "x"),  # type: ignore[arg-type]
        "cancel_campaign": lambda: campaign_act.cancel_campaign("none-000000000000"),
        "plan_sent": lambda: campaign_act.plan_sent(b"no campaign"),
        "start_campaign": lambda: campaign_act.start_campaign("none-000000000000"),
        "score_text": lambda: monitor_act.score_text(reader, monitor, "x"),
        "record_alarm: event": lambda: monitor_act.record_alarm(monitor, quiet, "x", marks_stale=False),
        "record_alarm: stale": lambda: monitor_act.record_alarm(monitor, quiet, "x", marks_stale=True),
        "record_finding": lambda: act.record_finding(FindingDraft("high", "t", "f", "", "o", claims=("C-0009",)), "x"),
        "change_finding": lambda: act.change_finding("F-0009", 1, FindingEdit(owner="o"), "why", "x"),
        "take_step: close": lambda: act.take_step("close", "F-0009", 1, "why", "x"),
        "take_step: accept": lambda: act.take_step("accept", "F-0009", 1, "why", "x"),
        "take_step: reopen": lambda: act.take_step("reopen", "F-0009", 1, "why", "x"),
    }
    assert set(asked) == set(ACTIONS)
    provider.sign_in("anna", *([] if role == "none" else [role]))
    through, refused = set(), set()
    for name, ask in asked.items():
        try:
            ask()
        except AccessRefused as refusal:
            (through if refusal.why == "not_theirs" else refused).add(name)
        except AuditError:
            through.add(name)
        else:
            through.add(name)
    assert through == {name for name, roles in ACTIONS.items() if role in roles.split()}
    logged = [entry for entry in provider.refusals() if entry[2] != "not_theirs"]
    assert len(logged) == len(refused)


def test_a_download_asks_when_it_is_clicked_and_not_only_when_it_is_drawn(provider: Provider) -> None:
    from ui.flow import actions

    provider.sign_in("rob", "reviewer")
    PersonLog(provider.home).note_sign_in(make_person("rob", PersonRole.REVIEWER))
    made = actions.offer(actions.Permission.EXPORT_LOG, "every event", lambda: "events")
    assert made() == "events"
    PersonLog(provider.home).disable(f"{ISSUER}|rob", by=make_person("ada", PersonRole.ADMIN), reason="left")
    with pytest.raises(AccessRefused):
        made()
    assert provider.refusals() == [("rob", "export_log", "disabled")]


def test_a_pack_is_signed_with_no_key_but_ones_own(provider: Provider) -> None:
    from audit_core.evidence.keys import make_key
    from ui.flow import actions

    make_key(provider.home, "anna")
    make_key(provider.home, "bela")
    provider.sign_in("anna", "researcher")
    assert actions.list_signers() == ()
    (provider.home / "people.toml").write_text(f'{ROLE_FILE}\n[keys]\n"{ISSUER}|anna" = "anna"\n')
    assert actions.list_signers() == ("anna",)
    with pytest.raises(AccessRefused) as caught:
        actions.write_pack("C-0001", ExportOptions("bela", ""))
    assert caught.value.why == "not_theirs"
    assert provider.refusals() == [("anna", "export_pack", "not_theirs")]


def test_a_signed_in_person_makes_the_key_that_people_toml_names_and_no_other(provider: Provider) -> None:
    from audit_core.store import load_key
    from ui.flow import actions, signing_key

    provider.sign_in("anna", "reviewer")
    assert signing_key.find_own_name() == ""
    (provider.home / "people.toml").write_text(f'{ROLE_FILE}\n[keys]\n"{ISSUER}|anna" = "anna"\n')
    with pytest.raises(AccessRefused) as caught:
        signing_key.make_own_key("bela", "twelve letters", "twelve letters")
    assert caught.value.why == "not_theirs"
    for typed in (("", ""), ("short", "short"), ("twelve letters", "twelve others.")):
        with pytest.raises(AuditError):
            signing_key.make_own_key("anna", *typed)
    assert actions.list_signers() == ()
    keyid = signing_key.make_own_key("anna", "twelve letters", "twelve letters")
    assert actions.list_signers() == ("anna",)
    path = provider.home / "keys/anna.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    assert load_key(provider.home, "anna", passphrase="twelve letters").keyid == keyid
    with pytest.raises(AuditError):
        load_key(provider.home, "anna", passphrase="another one")
    with pytest.raises(AuditError):
        signing_key.make_own_key("anna", "twelve letters", "twelve letters")


def test_the_owner_of_a_claim_is_the_signed_in_user(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.flow import actions

    seen: dict[str, Any] = {}
    monkeypatch.setattr(actions, "freeze_claim", lambda *given, **named: seen.update(named))
    provider.sign_in("anna", "researcher")
    toml = 'name = "s"\ncomponents = ["L0.H0"]\n'
    actions.freeze(
        SimpleNamespace(subject=None),  # type: ignore[arg-type]
        actions.FreezeForm(toml, "m", "indirect_object", (), "nothing_run", owner="somebody else"),
    )
    assert seen["owner"] == f"{ISSUER}|anna"


def test_an_open_address_is_for_those_who_sign_in(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    from ui.shell import auth

    monkeypatch.setattr(
        st, "get_option", lambda name, real=st.get_option: "0.0.0.0" if name == "server.address" else real(name)
    )
    provider.sign_in("anna", "viewer")
    assert titles(open_app()) == ["Overview"]
    monkeypatch.setattr(auth, "is_configured", lambda: False)
    test = open_app()
    assert titles(test) == ["Assay"]
    assert "without sign-in" in errors(test)
    with pytest.raises(AccessRefused):
        auth.who()


def test_secrets_that_cannot_be_read_are_no_reason_to_let_everybody_in(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    from ui.shell import auth

    path = home / "secrets.toml"
    path.write_text("[auth\n")
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: [str(path)] if name == "secrets.files" else real(name))
    with pytest.raises(AccessRefused, match=r"secrets\.toml"):
        auth.who()
    path.unlink()
    assert auth.who() is not None


@pytest.mark.parametrize(("secret", "is_valid"), [("x" * 31, False), ("x" * 32, True), ("", False)])
def test_a_cookie_secret_that_can_be_guessed_opens_nothing(
    secret: str, is_valid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    from ui.shell import auth

    class Secrets(dict):  # type: ignore[type-arg]
        def load_if_toml_exists(self) -> bool:
            return True

    monkeypatch.setattr(st, "secrets", Secrets(auth={"cookie_secret": secret}))
    if is_valid:
        assert auth.is_configured()
        return
    with pytest.raises(AccessRefused, match="guessed"):
        auth.who()


@pytest.mark.parametrize("ago_s", [60, 900])
def test_a_decision_wants_a_sign_in_of_the_last_ten_minutes(provider: Provider, ago_s: int) -> None:
    from ui.flow import actions

    provider.sign_in("otto", "approver")
    provider.claims["auth_time"] -= ago_s
    with pytest.raises(AccessRefused) as caught:
        actions.decide_case("0" * 64, ReviewDecision("approver", "approve", "none"), "otto", "")
    # Whoever is let through is stopped at the key, which is nobody's here.
    assert caught.value.why == ("not_theirs" if ago_s == 60 else "not_recent")


def test_the_author_of_checklist_answers_is_the_signed_in_user(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui.flow import actions

    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        actions, "Checklists", lambda home: SimpleNamespace(save=lambda *given, **named: seen.update(named))
    )
    provider.sign_in("rob", "reviewer")
    actions.save_checklist(load_checklist(), ChecklistDraft("a vendor", ()), "somebody else")
    assert seen["by"] == f"{ISSUER}|rob"
