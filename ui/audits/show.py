"""What the page of all audits shows: the answer, its drawing, and the list of audits."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import Subject, list_plugins, make_table
from audit_core.audit import Audit
from audit_core.result_layout import list_kinds_of_evidence
from audit_core.tables import shade_rows
from ui.audits.form import explain_not_offered
from ui.parts.header import column_widths, show_table
from ui.parts.workbench import show_sentence
from ui.results import show_result


def show_answer(audit: Audit, n: int) -> None:
    """Show the question, with a badge per kind of evidence of its answer."""
    show_sentence(audit.question, " ".join(list_kinds_of_evidence(audit.result)), n)


def show_drawing(audit: Audit, result: Any) -> None:
    """Draw the result."""
    show_result(audit.name, result, "-audits")


def show_shelf(subject: Subject) -> None:
    """List every audit; those that this page cannot ask about the model are grey, with the reason."""
    st.markdown("Every audit of this installation. Grey rows cannot be asked here.")
    rows, is_grey = [], []
    for name, audit in list_plugins("audits").items():
        why = explain_not_offered(audit, subject)
        is_grey.append(bool(why))
        kinds = ", ".join(list_kinds_of_evidence(audit.result))
        demands = ", ".join(demand.name for demand in audit.demands) or "components"
        rows.append((name, "not here" if why else "yes", audit.question, demands, kinds, why))
    widths = {"audit": 115, "can be asked": 95, "question": 330, "demands": 155, "evidence": 135, "why not": 190}
    table = make_table(tuple(widths), rows)
    show_table(shade_rows(table, is_grey), key="shelf", lines=3, column_config=column_widths(widths))
