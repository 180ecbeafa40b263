"""Forms of the claims page: freeze a claim, make an attempt, write a pack."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import AuditError, Claim, head, list_prompt_sets
from audit_core.audits import CIRCUIT_QUESTIONS
from audit_core.claim import dump_claim
from audit_core.governance import Permission
from audit_core.home import ClaimHistory, render_result
from audit_core.jobs import JobState
from audit_core.packs import ExportOptions
from audit_core.preregistration import PriorAccess
from ui.desk.form import put_on_desk, show_taken
from ui.flow import actions, model_question, sample, services
from ui.flow.answers import show_refusal, wait_for_model
from ui.flow.job_panel import job_panel
from ui.parts.header import plain
from ui.parts.sample_mark import name_file

EXAMPLE = dump_claim(Claim("L23.H3 is needed to name the indirect object", (head(23, 3),)))
ACCESS = {
    PriorAccess.NOTHING_RUN: "no runs on it",
    PriorAccess.NO_RESULTS_SEEN: "runs exist, no results seen",
    PriorAccess.RESULTS_NOT_OPENED: "results exist, not opened",
    PriorAccess.RESULTS_SEEN: "results were seen",
}


def ask_freeze() -> None:
    """Form to freeze a claim with its prompts, questions and prior access, once its model is loaded."""
    with st.form("freeze", border=False):
        st.text_area("Claim, in TOML", EXAMPLE, key="toml", height=230, max_chars=8000)
        left, right = st.columns(2)
        left.text_input("Model", "default", key="freeze_model", help="A known or planted name, a folder, or a hub id.")
        right.selectbox("Prompt set, judged on its confirmatory split", list_prompt_sets(), key="freeze_set")
        questions = [name for name in CIRCUIT_QUESTIONS if name != "specificity"]
        left.multiselect(
            "Robustness checks in the same run", questions, ["circuit", "stability", "transfer"], key="freeze_asks"
        )
        right.selectbox(
            "Your prior access to that split", list(ACCESS), key="freeze_access", format_func=ACCESS.get,
            help="The run log is searched as well. It can only lower the status.",
        )  # fmt: skip
        _ask_owner(left)
        if st.form_submit_button("Freeze", icon=":material/lock:"):
            # Stored in the session, because the page reruns while the model loads.
            st.session_state.freezing = True
            model_question.press(st.session_state.freeze_model)
    has_owner = not services.person().is_local or st.session_state.freeze_owner.strip()
    if st.session_state.get("freezing") and not has_owner:
        st.session_state.freezing = False
        st.error(
            "No owner. Wanted: the person responsible for the claim. What to do: fill in the field.",
            icon=":material/error:",
        )
    if st.session_state.get("freezing"):
        _freeze_as_asked()
        st.session_state.freezing = False


def _ask_owner(column: Any) -> None:
    person = services.person()
    if person.is_local:
        column.text_input("Owner", key="freeze_owner", placeholder="person responsible for the claim", max_chars=80)
    else:
        column.markdown(f"Owner: **{plain(person.name)}**, as signed in")


def _freeze_as_asked() -> None:
    asked = st.session_state
    form = actions.FreezeForm(
        asked.toml, asked.freeze_model, asked.freeze_set, tuple(asked.freeze_asks), asked.freeze_access, asked.get("freeze_owner", ""),
    )  # fmt: skip
    try:
        services.authorize(Permission.FREEZE, f"a claim about {form.model}")
        model_question.begin(form.model)
        plan = actions.freeze(wait_for_model(form.model), form)
    except AuditError as error:
        show_refusal(error)
    else:
        st.session_state.frozen, st.session_state.freezing = plan.claim_id, False
        st.rerun()


def ask_attempt(history: ClaimHistory) -> None:
    """Show a button for the next attempt, its progress, and its outcome."""
    known, mine = history.claim, st.session_state.setdefault("jobs", {})
    key = f"attempt {known.claim_id} {len(history.attempts)}"
    running = [job for name, job in mine.items() if name.startswith(f"attempt {known.claim_id} ")]
    if running and (snapshot := job_panel(running[-1], place="attempt")) is not None:
        if snapshot.is_active:
            return
        if snapshot.state is JobState.FAILED:
            st.error(plain(snapshot.error), icon=":material/error:")
        if snapshot.state is JobState.CANCELLED:
            st.info(
                "Cancelled. The attempt stays in the log. Its results are discarded.", icon=":material/stop_circle:"
            )
    if known.withdrawn or not actions.may(Permission.ATTEMPT):
        return
    words = "Open the split: first attempt" if not history.attempts else f"Make attempt {len(history.attempts) + 1}"
    st.button(
        words, key="attempt", icon=":material/lock_open:", on_click=_open_split, args=(key, known.model),
        help="The attempt is logged before it starts and counts whatever its outcome.",
    )  # fmt: skip
    if st.session_state.get("opening") == key:
        try:
            model_question.begin(known.model)
        except AuditError as error:
            del st.session_state.opening
            show_refusal(error)
            return
        auditor = wait_for_model(known.model)
        del st.session_state.opening
        try:
            mine[key] = actions.attempt(auditor, known, words)
        except AuditError as error:
            show_refusal(error)
        else:
            st.rerun()


def _open_split(key: str, model: str) -> None:
    st.session_state.opening = key
    model_question.press(model)


def ask_pack(history: ClaimHistory) -> None:
    """Form to write a signed pack, and the pack to download."""
    st.header("Evidence pack", anchor=False)
    if history.packs:
        st.markdown(f"Exported so far: {plain(', '.join(history.packs))}.")
    if not actions.may(Permission.EXPORT_PACK):
        return
    people = actions.list_signers()
    if not history.attempts or not people:
        key = "a key of your own: `python -m audit_core keys make NAME`, and your name under [keys] in people.toml where people sign in"
        missing = "an attempt" if not history.attempts else key
        st.info(f"A pack needs {missing}.", icon=":material/info:")
        return
    left, right = st.columns(2)
    person = left.selectbox("Prepared and signed by", people, key="signer")
    organisation = right.text_input("Organisation", key="organisation", max_chars=120)
    left.checkbox(
        "Withhold the prompts' text", key="withhold-prompts",
        help="The pack then has salted commitments instead of each prompt's text and numbers. The data directory keeps the openings.",
    )  # fmt: skip
    right.checkbox(
        "Allow personal data in the pack", key="acknowledge-personal-data",
        help="E-mail addresses and names of this machine block the export unless you allow them. The pack records your consent.",
    )  # fmt: skip
    if st.button("Write the pack", icon=":material/inventory_2:", key="write-pack"):
        asked = st.session_state
        issue = ExportOptions(
            person, organisation, withhold_prompts=asked["withhold-prompts"],
            acknowledge_personal_data=asked["acknowledge-personal-data"],
        )  # fmt: skip
        try:
            st.session_state.pack = actions.write_pack(history.claim.claim_id, issue)
        except AuditError as error:
            show_refusal(error)
    made = st.session_state.get("pack")
    if made is not None and made.claim_id == history.claim.claim_id:
        st.markdown(
            f"Under the frozen policy: **{plain(made.overall.replace('_', ' ').lower())}**. Manifest `{made.digest}`. The pack has every attempt. "
            "Give `verify_pack.py` and a trust file to the verifier, through a separate channel."
        )
        if made.withheld:
            st.markdown(
                f"{made.withheld} prompts are withheld. `python -m audit_core openings PACK --out F` writes their openings."
            )
        with st.container(horizontal=True):
            st.download_button("Download the pack", made.data, file_name=name_file(made.name), mime="application/zip", icon=":material/download:", on_click="ignore")  # fmt: skip
            st.button("Put it on the review desk", key="to-desk", icon=":material/rate_review:", on_click=put_on_desk, args=(made.data,))  # fmt: skip
    show_taken()


def offer_page(history: ClaimHistory) -> None:
    """Offer the last attempt as one HTML file."""
    done, home = [line.run_id for line in history.attempts if line.outcome == "done"], sample.records_home()
    if done:
        st.download_button(
            "Last attempt as one HTML page", data=actions.offer(Permission.LOOK, done[-1], lambda: render_result(home, done[-1])),
            file_name=name_file(f"{history.claim.claim_id}.html"),
            mime="text/html", icon=":material/description:", on_click="ignore",
        )  # fmt: skip
