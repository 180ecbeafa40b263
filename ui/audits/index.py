"""The page of all audits: each as a drawing, a link and the question that it answers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ui.audits.drawings import draw
from ui.shell.navigation import CHECKS, INPUTS, INSIDE, SHOWN, Place, make_link

QUESTIONS = {
    "live_audit.py": "Which heads matter on one prompt? Attention beside the effect of replacing them.",
    "sweep.py": "Which component matters most? The effect of each one, over a prompt set.",
    "circuit.py": "Is this set of heads enough, necessary, and free of idle members?",
    "experts.py": "Which experts matter in a mixture? Routing beside the effect of each expert.",
    "lenses.py": "Do the parts that a lens points at change the answer when they are replaced?",
    "probes.py": "Is a property readable inside, and does the answer rely on it? Two separate measurements.",
    "features.py": "What does a feature fire on, does its label hold, and does the answer rely on it?",
    "documents.py": "Which document decides the answer? Attention beside replacing each document.",
    "source_tokens.py": "Which source tokens decide the translation? For encoder–decoders.",
    "rationale.py": "Does the answer follow the written steps? Steps are edited, and answers compared.",
    "decisions.py": "Which attribute changes a decision about a person, alone or through another one?",
    "tools.py": "What decides which tool is chosen, and does the answer use its result?",
    "calibration.py": "How often is a verdict right? Tested on models with known wiring.",
    "robustness.py": "Does a verdict hold when the prompts, the decoding or the model change?",
    "benchmarks.py": "Is the model able to do the task? Accuracy beside the effect of a claim.",
    "explanations.py": "Do attribution scores agree with measured effects? Against random orders.",
    "vision.py": "Does an image classifier rely on a region? Maps beside swapping its pixels.",
    "audits.py": "Every audit of this installation, by its name and options.",
}
"""What each page answers, by its file."""
OF_EXPLORE = ("features.py", "audits.py")
"""Pages that are listed beside this one."""
COLUMNS = {
    INSIDE: "Change a part inside, and read the answer.",
    INPUTS: "Change a part of the input, and read the answer.",
    SHOWN: "Take what is shown as an explanation, and measure whether it holds.",
    CHECKS: "Find out how far a result can be trusted.",
}
"""Groups in their order, and what their audits have in common."""


def show_index(places: Sequence[Place]) -> None:
    """Show the audits among the pages that the person may open, in one column a group."""
    for column, (group, words) in zip(st.columns(len(COLUMNS), gap="medium"), COLUMNS.items(), strict=True):
        with column:
            st.header(group, anchor=False)
            st.markdown(words)
            for place in places:
                if place.group == group:
                    _show_audit(place)


def show_others(places: Sequence[Place]) -> None:
    """Show the browser of features and the form that asks any audit, and links to the pages that are no audits."""
    left, right = st.columns([1, 2], gap="medium")
    with left:
        st.header("Search, and any audit", anchor=False)
        for place in places:
            if place.file in OF_EXPLORE:
                _show_audit(place)
    with right:
        st.header("Other pages", anchor=False)
        with st.container(horizontal=True):
            for place in places:
                if place.file not in QUESTIONS and place.title != "All audits":
                    st.page_link(make_link(place), label=place.title, icon=place.icon, width="content")


def _show_audit(place: Place) -> None:
    with st.container(key=f"index-{place.file.removesuffix('.py')}", horizontal=True, gap="small", border=True):
        st.html(draw(place.file), width="content")
        with st.container(gap=None):
            st.page_link(make_link(place), label=f"**{place.title}**")
            st.markdown(QUESTIONS[place.file])
