"""Inputs of the page Benchmarks: model, file, components, and how items are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import AuditError, Auditor, get_plugin
from audit_core.benchmarks import MAX_FILE_BYTES, OWN_FACTS, RecordedRun, read_benchmark, read_own_facts, read_recorded
from audit_core.request import Request
from ui.flow import subject_form
from ui.flow.choice import ABLATIONS
from ui.flow.recorded_first import RecordedFirst
from ui.parts.header import plain
from ui.shell import link

PROMPT_FORMATS = {"text": "Text of each option", "letter": "Letter of each option"}
REPLACEMENTS = ("resample", "mean", "zero")
FIELDS = (
    link.Field("model", "default"), link.Field("parts", "L23.H3"), link.Field("replace", "resample"),
    link.Field("ask", "text"), link.Field("items", "100"), link.Field("format", ""),
)  # fmt: skip
_MOST_ITEMS = 2_000
LIVE = RecordedFirst("benchmarks")


@dataclass(frozen=True)
class GivenFile:
    """The bytes of a benchmark file, and its name."""

    name: str
    raw: bytes


def ask_model() -> str:
    """Select the model; it is loaded when something is to be measured."""
    return subject_form.ask_model()


def ask_file() -> GivenFile:
    """Take the uploaded file, or the shipped benchmark without one."""
    with st.popover("Your own file", icon=":material/upload_file:"):
        st.markdown("GSM8K, MATH, BIG-Bench Hard, MMLU, ARC or DROP, in the form they are published in.")
        upload = st.file_uploader(
            "JSON, JSON Lines or CSV", max_upload_size=MAX_FILE_BYTES // 1024**2, key="benchmark-file"
        )
        formats = get_plugin("audits", "benchmark").file_form
        choices = next(field for field in _list_fields(formats) if field.name == "format").choices
        link.repair("format", choices)
        st.selectbox("File format", choices, key="format", format_func=lambda name: _title(name))
    if upload is None:
        st.markdown(f"File: **{plain(OWN_FACTS)}**, shipped with Assay")
        return GivenFile(OWN_FACTS, read_own_facts())
    given = GivenFile(upload.name, upload.getvalue())
    # Read once here, so that a bad file is refused before a model is loaded.
    found = read_benchmark(given.raw, name=given.name, form=st.session_state.format)
    left = f", {len(found.faults)} left out" if found.faults else ""
    st.markdown(
        f"File: **{plain(given.name)}**, read as {plain(_title(found.format))}: {len(found.items)} items{plain(left)}"
    )
    if found.faults:
        with st.popover("Left out", type="tertiary"):
            st.markdown("\n".join(f"- {plain(str(fault))}" for fault in found.faults[:20]))
    return given


def _list_fields(form: Any) -> Any:
    from audit_core.request_form import list_form_fields

    return list_form_fields(form)


def _title(name: str) -> str:
    return str(get_plugin("benchmark_formats", name).title) if name else "Found from the first rows"


def ask_answers(more: Any) -> dict[str, str]:
    """Read components, ablation and the form of the prompts, as text."""
    st.text_input("Components", key="parts", max_chars=2000, help="Heads and MLPs, such as L23.H3 L20.MLP.")
    link.repair("replace", REPLACEMENTS)
    st.selectbox(
        "Ablation", REPLACEMENTS, key="replace",
        format_func=lambda name: "Resample: another item's activation" if name == "resample" else ABLATIONS[name],
    )  # fmt: skip
    link.repair("ask", tuple(PROMPT_FORMATS))
    with more:
        st.selectbox("Score", list(PROMPT_FORMATS), key="ask", format_func=PROMPT_FORMATS.get)
        st.text_input("Items, at most", key="items", max_chars=5, help=f"2 to {_MOST_ITEMS:,}, spread over the file.")
    state = st.session_state
    return {
        "components": state.parts, "format": state.format, "prompt_format": state.ask, "replacement": state.replace,
        "most_items": state["items"],
    }  # fmt: skip


def find_recorded(file: GivenFile, asked: dict[str, str], model: str) -> RecordedRun | None:
    """The recorded run, if the page asks exactly its question and the user did not ask to measure it again."""
    found = read_recorded()
    is_its = file.name == OWN_FACTS and asked == found.answers and model == found.model
    return found if is_its and not LIVE.is_live else None


def make_request(auditor: Auditor, file: GivenFile, asked: dict[str, str]) -> Request:
    """The request of these answers.

    Raises:
        AuditError: the file or an answer cannot be used.
    """
    try:
        request: Request = get_plugin("audits", "benchmark").ask_file(auditor.subject, file.raw, file.name, asked)
    except AuditError:
        LIVE.give_up()
        raise
    return request
