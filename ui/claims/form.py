"""Actions on one claim: its report and decision, an attempt, and its evidence pack."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from audit_core.governance import Permission
from audit_core.home import ClaimHistory, render_claim_report, render_result
from audit_core.jobs import JobState
from audit_core.packs import ExportOptions
from audit_core.review import find_case
from ui.claims.show import PACK
from ui.desk.bring import put_on_desk, show_taken
from ui.findings.link import offer_findings
from ui.flow import actions, model_question, sample, signing_key
from ui.flow.answers import wait_for_model
from ui.flow.history import name_run
from ui.flow.job_panel import job_panel
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.parts.sample_mark import name_file
from ui.shell import navigation

MOST_ANSWERS = 20
"""Answers that one pack takes from the page; the command has no such limit."""


def offer_decision(history: ClaimHistory) -> None:
    """Offer the report to file, and the decision at the desk if there is a pack."""
    now = sample.records_now()
    claim_id, home = history.claim.claim_id, sample.records_home()
    case, names = find_case(home, claim_id), actions.list_own_names()
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        offer_findings(claim_id)
        if case is not None:
            st.page_link(
                navigation.desk(), label=f"Decide on the review desk ({plain(case.state)})", icon=":material/rate_review:",
                query_params={"case": case.pack.root_digest},
            )  # fmt: skip
        st.download_button(
            "Report as PDF", key="claim-pdf", type="primary", icon=":material/picture_as_pdf:", mime="application/pdf", on_click="ignore",
            data=actions.offer(
                Permission.LOOK, claim_id, lambda: render_claim_report(home, claim_id, now=now, names=names)
            ),
            file_name=name_file(f"{claim_id}-report.pdf"),
        )  # fmt: skip


def name_next_step(history: ClaimHistory) -> None:
    """Say what is missing for a decision."""
    if find_case(sample.records_home(), history.claim.claim_id) is not None:
        return
    if not any(line.outcome == "done" for line in history.attempts):
        missing = "test the claim first."
    elif not history.packs:
        missing = f"write its pack in the tab *{PACK}*, then put it on the review desk."
    else:
        missing = "put its pack on the review desk."
    st.markdown(f"**:material/rate_review: To decide:** {missing}")


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
    if under_way := next((line for line in history.attempts if line.is_running), None):
        st.info(f"Attempt {under_way.number} is {plain(under_way.outcome)}.", icon=":material/hourglass_top:")
        return
    _confirm_attempt(history, key)
    if st.session_state.get("opening") == key:
        _start_attempt(history, key)


def _confirm_attempt(history: ClaimHistory, key: str) -> None:
    number = len(history.attempts) + 1
    label = "Test this claim" if number == 1 else "Test this claim again"
    with st.expander(plain(label), icon=":material/lock_open:", expanded=number == 1):
        st.markdown(
            f"This is attempt {number}. It is logged before it starts, and every pack discloses it, whatever it finds."
        )
        sure = st.checkbox(f"I want to make attempt {number}", key=f"sure-{key}")
        st.button(
            f"Start attempt {number}", key="attempt", icon=":material/play_arrow:", disabled=not sure, on_click=_open_split,
            args=(key, history.claim.model),
        )  # fmt: skip


def _start_attempt(history: ClaimHistory, key: str) -> None:
    known = history.claim
    try:
        model_question.begin(known.model)
    except AuditError as error:
        del st.session_state.opening
        show_refusal(error)
        return
    auditor = wait_for_model(known.model)
    del st.session_state.opening
    try:
        title = f"Attempt {len(history.attempts) + 1}"
        st.session_state.jobs[key] = actions.attempt(auditor, known, title)
    except AuditError as error:
        show_refusal(error)
    else:
        st.rerun()


def _open_split(key: str, model: str) -> None:
    st.session_state.opening = key
    model_question.press(model)


def ask_pack(history: ClaimHistory) -> None:
    """Form to write a signed pack, and the pack to download."""
    if history.packs:
        st.markdown(f"Exported so far: {plain(', '.join(history.packs))}.")
    offer_page(history)
    if not actions.may(Permission.EXPORT_PACK):
        return
    people = actions.list_signers()
    if any(line.is_running for line in history.attempts):
        st.info("A pack can be written once the running attempt has ended.", icon=":material/info:")
        return
    signing_key.show_made()
    if not history.attempts:
        st.info("A pack needs an attempt.", icon=":material/info:")
        return
    if not people:
        signing_key.ask_new_key("pack")
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
    _ask_answers()
    st.text_input("Passphrase of your key, if it has one", key="pack-passphrase", type="password", max_chars=200)
    if st.button("Write the pack", icon=":material/inventory_2:", key="write-pack", on_click=_take_passphrase):
        asked = st.session_state
        issue = ExportOptions(
            person, organisation, withhold_prompts=asked["withhold-prompts"],
            acknowledge_personal_data=asked["acknowledge-personal-data"],
        )  # fmt: skip
        try:
            st.session_state.pack = actions.write_pack(
                history.claim.claim_id, issue, asked.pop("pack_secret", ""), asked.get("pack-answers", ())
            )
        except AuditError as error:
            show_refusal(error)
    _offer_pack(history)
    show_taken()


def _ask_answers() -> None:
    """Choose answers to other audits that go into the pack; nothing to choose before the first."""
    names = {record.run_id: name_run(record) for record in actions.list_own_answers()}
    if names:
        st.multiselect(
            "Answers to other audits that go into the pack", list(names), key="pack-answers", format_func=names.get,
            max_selections=MOST_ANSWERS, placeholder="None",
            help="Yours alone are listed. Each is a document and a page in the pack, and is bound to the log. No verdict rests on it.",
        )  # fmt: skip


def _take_passphrase() -> None:
    """Callback: the passphrase leaves its field, and the session with its one use."""
    asked = st.session_state
    asked.pack_secret, asked["pack-passphrase"] = asked["pack-passphrase"], ""


def _offer_pack(history: ClaimHistory) -> None:
    made = st.session_state.get("pack")
    if made is None or made.claim_id != history.claim.claim_id:
        return
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


def offer_page(history: ClaimHistory) -> None:
    """Offer the last attempt as one HTML file."""
    done, home = [line.run_id for line in history.attempts if line.outcome == "done"], sample.records_home()
    if done:
        st.download_button(
            "Last attempt as one HTML page", data=actions.offer(Permission.LOOK, done[-1], lambda: render_result(home, done[-1])),
            file_name=name_file(f"{history.claim.claim_id}.html"),
            mime="text/html", icon=":material/description:", on_click="ignore",
        )  # fmt: skip
