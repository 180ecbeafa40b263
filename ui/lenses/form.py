"""Inputs of the page Lenses, and its recorded answer."""

from __future__ import annotations

import streamlit as st

from audit_core import PromptSet, Replacement, TokenisedPrompts
from audit_core.errors import IntegrityError, PromptRefused
from audit_core.lenses import LensesRequest, LensesResult
from audit_core.prompts import take_tokenised_split
from audit_core.recorded import RecordedAnswer, load_recorded
from ui.flow.choice import ABLATIONS
from ui.lenses import show
from ui.parts.header import recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
from ui.shell import link

WAYS = ("resample", "mean", "zero")
TEXTS = ("0", "2", "4", "8", "16")
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"),
    link.Field("prompt", ""), link.Field("ab", "resample"),
    link.Field("jt", "8"),
)  # fmt: skip


def ask_lenses(whole: TokenisedPrompts) -> LensesRequest:
    """Read the replacement, once the model is loaded; the prompts are those that claims are not judged on."""
    link.repair("ab", WAYS)
    st.selectbox("Replaced by", WAYS, key="ab", format_func=ABLATIONS.get)
    link.repair("jt", TEXTS)
    st.selectbox(
        "Texts of the Jacobian lens", TEXTS, key="jt", format_func=lambda n: "without it" if n == "0" else n,
        help="Prompts that it is fitted on. Each costs hundreds of runs; 0 leaves the lens out.",
    )  # fmt: skip
    explored = take_tokenised_split(whole, exploratory=True)
    if not explored.pairs:
        raise PromptRefused(
            f"{whole.name} has no prompt in its exploratory split.",
            wanted="prompts that no claim is judged on.",
            remedy="add prompts: about half of them fall in each split.",
        )
    return LensesRequest(explored, explored, Replacement(st.session_state.ab), int(st.session_state.jt))


def find_recorded(model: str, prompts: PromptSet | TokenisedPrompts) -> RecordedAnswer[LensesResult] | None:
    """The shipped answer about these prompts; the model need not be loaded."""
    if st.session_state.form != "written":
        return None
    try:
        found = load_recorded("lenses")
    except IntegrityError as error:
        show_refusal(error)
        return None
    return next(
        (
            one
            for one in found
            if one.is_of(model)
            and one.result.prompt_set_sha256 == prompts.sha256
            and one.result.replacement == st.session_state.ab
            and str(one.asked.get("jacobian", 0)) == st.session_state.jt
        ),
        None,
    )


def show_while_loading(frame: Frame, model: str, prompts: PromptSet, _: str) -> bool:
    """Draw the record until the model is loaded; False without one."""
    found = find_recorded(model, prompts)
    if found is None:
        return False
    show_recorded(frame, found)
    return True


def show_result(frame: Frame, result: LensesResult, badges: str = "observational causal") -> None:
    """Show the sentence and the two panes."""
    with frame.answer:
        show.show_answer(result, badges)
    with frame.panes:
        show.show_panes(result)


def show_recorded(frame: Frame, found: RecordedAnswer[LensesResult]) -> None:
    """Show a shipped answer under the badge *recorded*."""
    show_result(frame, found.result, "observational causal recorded")
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)
