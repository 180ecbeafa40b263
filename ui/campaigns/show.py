"""A campaign on the page: a sentence, the picture, cost predicted and spent, failures, questions, and the commands."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, audit_home, make_table
from audit_core.campaigns import CampaignStatus, CostLine, QuestionState, read_status
from ui.campaigns import act, form
from ui.campaigns.drawings import MOST_ROWS, draw_states, name_state
from ui.flow import services
from ui.parts import figures
from ui.parts.header import column_widths, counted, plain, show_rows, show_table
from ui.parts.refusal import show_refusal

POLL_S = 3.0
_COST_WIDTHS = {"audit": 90, "model": 140, "ended": 75, "predicted": 75, "spent": 65, "spent ÷ predicted": 140}
_MISSING = "–"


def show_progress(campaign_id: str) -> None:
    """Show a campaign of this installation, and read it again while it runs."""

    @st.fragment(run_every=POLL_S)
    def watch() -> None:
        if services.find_active_actor() is None:
            return
        try:
            status = read_status(audit_home(), campaign_id)
        except AuditError as error:
            show_refusal(error)
            return
        show_answer(status)
        form.offer_cancel(status)
        if not status.is_running and act.is_starting(campaign_id):
            st.markdown("Its process is starting or ending.")
        elif not status.is_running:
            # The tabs below the picture are drawn once: they need the last state.
            st.rerun()

    # Alone in its place: see job_panel.
    with st.container():
        watch()


def show_answer(status: CampaignStatus) -> None:
    """Show how far it is in a sentence, the picture, and what it costs."""
    failed = status.counts[QuestionState.FAILED]
    done = status.n_answered - len(status.failures)
    mark = f":material/warning: {counted(failed, 'question')} failed." if failed else "None failed."
    kinds = ", ".join(f"{n} {plain(name_state(state))}" for state, n in status.counts.items() if n)
    where = "Running now." if status.is_running else "Cancelled." if status.stopped_by else _describe_rest(status)
    st.markdown(
        f"**{counted(status.n_answered, 'question')} of {len(status.lines):,} ended, {done:,} with a result. {mark}** {where}  \n"
        f"By state: {kinds}. {_describe_cost(status)}"
    )
    left, right = st.columns([6, 6])
    with left:
        figures.show(
            draw_states(status), "campaign-states",
            "Bars per audit and model, divided by the state of the questions. The table beside it has their cost.",
        )  # fmt: skip
        if len(status.costs) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS} of {len(status.costs)} rows. The table has all.")
    with right:
        show_table(
            make_table(tuple(_COST_WIDTHS), [_list_cost(cost) for cost in status.costs]), key="campaign-costs",
            column_config=column_widths(_COST_WIDTHS),
        )  # fmt: skip


def _describe_rest(status: CampaignStatus) -> str:
    rest = len(status.lines) - status.n_answered
    if not rest:
        return "It has ended."
    return f"Nothing runs it now. The rest is predicted to take {write_s(status.remaining_s)} on one worker."


def _describe_cost(status: CampaignStatus) -> str:
    predicted = [line.predicted_s for line in status.lines if line.spent_s is not None]
    if not predicted or any(one is None for one in predicted):
        return f"Spent: {write_s(status.spent_s)} of worker time."
    return f"Predicted for what was computed: {write_s(sum(one or 0.0 for one in predicted))}. Spent: {write_s(status.spent_s)} of worker time."


def _list_cost(cost: CostLine) -> tuple[str, ...]:
    ratio = _MISSING
    if cost.predicted_of_computed_s and cost.spent_s:
        ratio = f"{cost.spent_s / cost.predicted_of_computed_s:.1f} ×"
    spent = write_s(cost.spent_s) if cost.spent_s else _MISSING
    return (
        cost.audit,
        cost.model,
        f"{cost.n_answered} of {cost.n}",
        _MISSING if cost.predicted_s is None else write_s(cost.predicted_s),
        spent,
        ratio,
    )


def show_failures(status: CampaignStatus) -> None:
    """Show questions that have an answer and no result, each with its reason."""
    if not status.failures:
        st.markdown("Every answer so far is a result.")
        return
    st.markdown(
        "These questions have no result. The log has each as a run with this reason. `campaign run --retry` asks failed ones again."
    )
    rows = [(line.number, name_state(line.state), line.audit, line.model, line.prompts, line.reason, line.detail) for line in status.failures]  # fmt: skip
    widths = column_widths(
        {"no.": 45, "state": 95, "audit": 85, "model": 125, "prompts": 130, "reason": 130, "detail": 520}
    )
    show_table(make_table(tuple(widths), rows), lines=4, key="campaign-failures", column_config=widths)


def show_questions(status: CampaignStatus) -> None:
    """Show every question with its cost."""
    rows = [
        (line.number, line.audit, line.options, line.model, line.prompts, line.part or _MISSING, line.n_prompts, name_state(line.state),
         write_s(line.predicted_s), _MISSING if line.spent_s is None else write_s(line.spent_s),
         _MISSING if line.cpu_s is None else write_s(line.cpu_s), line.machine or _MISSING)
        for line in status.lines
    ]  # fmt: skip
    columns = (
        "no.", "audit", "options", "model", "prompts", "part", "prompts, n", "state", "predicted", "wall time", "CPU time", "machine",
    )  # fmt: skip
    st.markdown("Each question is one run of the log. Equal earlier results are reused and cost nothing.")
    show_rows(make_table(columns, rows), "campaign-questions")


def show_commands(status: CampaignStatus) -> None:
    """Ask for a new campaign, and show how commands write, run, resume and cancel one."""
    form.ask_new()
    st.markdown(
        "A campaign runs as a process of its own, on this machine. Commands take your own files, too, and a Ray cluster."
    )
    st.code(
        "python -m audit_core campaign plan FILE.toml\npython -m audit_core campaign run FILE.toml\n"
        "python -m audit_core campaign run FILE.toml --engine ray --address HOST:6379\n"
        "python -m audit_core campaign cancel FILE.toml",
        language="bash",
    )
    st.markdown(
        f"Campaign {plain(status.campaign_id)}, planned on {plain(status.made_at[:16])} UTC in {counted(status.n_tasks, 'task')} "
        f"of {counted(status.threads, 'thread')} each."
    )


def write_s(seconds: float | None) -> str:
    """Seconds with their unit."""
    if seconds is None:
        return "not predicted"
    return (
        f"{seconds / 3600:,.1f} h" if seconds >= 5400 else f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    )
