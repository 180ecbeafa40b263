"""Inputs of the sweep page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from audit_core import (
    Direction,
    Kind,
    PromptSet,
    Replacement,
    Subject,
    SweepRequest,
    TokenisedPrompts,
    get_plugin,
    list_plugins,
)
from audit_core.prompts import SEQUENCE_METRIC, choose_metric
from ui.flow import choice
from ui.flow.choice import ABLATIONS, DIRECTIONS, pick_one, pick_reference
from ui.shell import link

KINDS = {
    "head": "Heads",
    "mlp": "MLPs",
    "expert": "Experts",
    "resid": "Residual stream, layer by position",
    "query": "Queries",
    "key": "Keys",
    "value": "Values",
}
NO_ESTIMATE = "none"
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"), link.Field("scope", "one"),
    link.Field("prompt", ""), link.Field("kind", "head"), link.Field("ab", "resample"), link.Field("dir", "noising"),
    link.Field("screen", "attribution_patching"), link.Field("c", ""),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link: prompts and circuit of the live audit's example."""
    shared = {field.key: field for field in choice.first_visit()}
    return tuple(shared.get(field.key, field) for field in FIELDS)


def ask_sweep(
    subject: Subject, whole: TokenisedPrompts, measured: PromptSet, prompt_id: str, more: Any
) -> SweepRequest:
    """Read kind, ablation, direction and estimator, once the model is loaded; the last two are in the popover `more`."""
    kept = {prompt.id for prompt in measured.prompts}
    split = replace(whole, pairs=tuple(p for p in whole.pairs if p.prompt.id in kept))
    prompts = pick_one(whole, prompt_id) if st.session_state.scope == "one" else split
    kinds = tuple(kind for kind in KINDS if subject.components(Kind(kind)))
    link.repair("kind", kinds)
    ways = tuple(way for way in ABLATIONS if way != "scale")
    link.repair("ab", ways)
    link.repair("dir", tuple(DIRECTIONS))
    st.selectbox("Components", kinds, key="kind", format_func=KINDS.get)
    st.selectbox("Ablation", ways, key="ab", format_func=ABLATIONS.get)
    kind, replacement = Kind(st.session_state.kind), Replacement(st.session_state.ab)
    metric = choose_metric(prompts)
    with more:
        if st.session_state.ab == "resample":
            st.selectbox("Direction", list(DIRECTIONS), key="dir", format_func=DIRECTIONS.get)
        else:
            st.session_state.dir = "noising"
        screen = "" if subject.fallback or metric == SEQUENCE_METRIC else _ask_estimator(kind, replacement)
    return SweepRequest(
        prompts,
        pick_reference(prompts, whole),
        kind,
        replacement,
        Direction(st.session_state.dir),
        metric=metric,
        screen=screen,
    )


def _ask_estimator(kind: Kind, replacement: Replacement) -> str:
    """Choose the estimator that orders the work, among those that support this sweep."""
    able = [
        key
        for key, method in list_plugins("estimators").items()
        if kind in method.kinds and replacement in method.replacements and kind is not Kind.RESID
    ]
    options = (NO_ESTIMATE, *able)
    link.repair("screen", options)
    st.selectbox(
        "Estimator", options, key="screen", format_func=lambda key: key.replace("_", " "),
        help="A fast estimate orders the work, so that the largest effects are measured first. It is shown beside the measurements.",
    )  # fmt: skip
    if st.session_state.screen == NO_ESTIMATE:
        return ""
    st.markdown(get_plugin("estimators", st.session_state.screen).question)
    return str(st.session_state.screen)
