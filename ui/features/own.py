"""Dictionaries of one's own on the page: trained here, imported from SAELens, or made as a baseline; each by a job."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import AuditError, Auditor
from audit_core.features import BASELINES, DictionaryEntry, Origin, Recipe
from audit_core.jobs import JobState
from ui.features import act, texts
from ui.flow.answers import show_refusal
from ui.flow.job_panel import job_panel
from ui.parts.header import plain

MADE = "dictionary_made"
"""Session key: the name of a dictionary that a job made, to be chosen by the next run."""
_JOB = "dictionary_job"
_MOST_WEIGHTS_MB = 512
_TRAIN, _IMPORT, _BASELINE = "Train one", "Import from SAELens", "Add a baseline"


def show_adding(model: str, auditor: Auditor | None, entry: DictionaryEntry | None) -> None:
    """Ask how a dictionary is made, and make it by a job.

    Args:
        entry: the chosen one, which a baseline is matched to; None where the model has none.
    """
    st.subheader("Add a dictionary", anchor=False)
    st.markdown(
        "It is kept in the data directory under its name, and its digest is logged. Then it can be chosen above, opened with the model, "
        "and named in claims."
    )
    show_refused()
    if auditor is None:
        st.info("Adding one reads the model. It can start when the model is loaded.", icon=":material/hourglass_top:")
        return
    if (job := st.session_state.get(_JOB)) is not None and _follow(job):
        return
    ways = [_TRAIN, _IMPORT, *([] if entry is None else [_BASELINE])]
    way = st.segmented_control("How", ways, default=_TRAIN, key="dictionary-way", label_visibility="collapsed")
    name = st.text_input(
        "Its name", key="dictionary-name", max_chars=40, placeholder="lower-case letters, digits, hyphens"
    )
    try:
        if way == _IMPORT:
            _ask_import(auditor, model, name)
        elif way == _BASELINE and entry is not None:
            _ask_baseline(auditor, model, name, entry)
        else:
            _ask_training(auditor, model, name)
    except AuditError as error:
        show_refusal(error)


def _follow(job: str) -> bool:
    """Show the job; whether it is still running."""
    snapshot = job_panel(job)
    if snapshot is None or snapshot.is_active:
        return snapshot is not None
    del st.session_state[_JOB]
    if snapshot.state is JobState.DONE:
        made: DictionaryEntry = snapshot.result
        st.session_state[MADE] = made.name
        st.rerun()
    if snapshot.state is JobState.CANCELLED:
        st.info("Cancelled. Nothing was kept.", icon=":material/stop_circle:")
    else:
        st.error(plain(snapshot.error), icon=":material/error:")
    return False


def _ask_training(auditor: Auditor, model: str, name: str) -> None:
    plain_recipe, n_layers = Recipe(), auditor.subject.geometry.n_layers
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = st.number_input("Layer", 0, n_layers - 1, n_layers // 2, key="dictionary-layer", width=140)
        width = st.number_input("Features", 2, 16_384, plain_recipe.width, key="dictionary-width", width=140)
        active = st.number_input("Active per token", 1, 512, plain_recipe.active, key="dictionary-active", width=160)
        steps = st.number_input("Steps", 1, 100_000, 500, key="dictionary-steps", width=140)
        upload = texts.ask_upload("training")
    recipe = Recipe(width=int(width), active=int(active), steps=int(steps))
    about = act.predict_training_s(recipe, auditor.subject.geometry.d_model)
    st.button(
        f"Train a dictionary (about {about / 60:.0f} min, and reading the texts)" if about > 90 else "Train a dictionary",
        key="dictionary-train", icon=":material/play_arrow:", disabled=not name.strip(),
        on_click=_start, args=("train", auditor, model, name, (int(layer), recipe, upload)),
    )  # fmt: skip


def _ask_import(auditor: Auditor, model: str, name: str) -> None:
    st.markdown(
        "The two files of a SAELens folder, of the residual stream of this model, architecture *standard* or *jumprelu*. Nothing in "
        "them is executed."
    )
    config: Any = st.file_uploader("cfg.json", type="json", max_upload_size=1, key="dictionary-config")
    weights: Any = st.file_uploader(
        "sae_weights.safetensors", type="safetensors", max_upload_size=_MOST_WEIGHTS_MB, key="dictionary-weights"
    )
    files = () if config is None or weights is None else (config.getvalue(), weights.getvalue())
    st.button(
        "Import it", key="dictionary-import", icon=":material/upload:", disabled=not name.strip() or not files,
        on_click=_start, args=("import", auditor, model, name, files),
    )  # fmt: skip


def _ask_baseline(auditor: Auditor, model: str, name: str, entry: DictionaryEntry) -> None:
    kind = st.selectbox("Directions", [one.value for one in BASELINES], key="dictionary-baseline")
    st.markdown(f"At the layer of **{plain(entry.name)}**: random directions fire as often as its features.")
    st.button(
        "Add it", key="dictionary-add", icon=":material/add:", disabled=not name.strip(),
        on_click=_start, args=("baseline", auditor, model, name, (entry.name, Origin(kind))),
    )  # fmt: skip


def _start(way: str, auditor: Auditor, model: str, name: str, asked: tuple[Any, ...]) -> None:
    make = {"train": act.train, "import": act.import_files, "baseline": act.add_baseline}[way]
    try:
        st.session_state[_JOB] = make(auditor, model, name.strip(), *asked)
    except AuditError as error:
        st.session_state["dictionary_refused"] = error


def show_refused() -> None:
    """Show why a press started nothing."""
    if (error := st.session_state.pop("dictionary_refused", None)) is not None:
        show_refusal(error)
