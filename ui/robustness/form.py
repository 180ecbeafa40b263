"""Inputs of the page of robustness."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from audit_core import (
    AuditError,
    Claim,
    Kind,
    PromptSet,
    Replacement,
    Role,
    Subject,
    TokenisedPrompts,
    format_components,
    parse_components,
)
from audit_core.audits import RobustnessRequest
from audit_core.claim import DEFAULT_DELTA, Universe
from audit_core.errors import ClaimRefused, IntegrityError
from audit_core.models import EDITED
from audit_core.other_models import find_others
from audit_core.prompts import choose_metric, take_tokenised_split
from audit_core.robustness_record import RecordedRobustness, list_recorded_robustness
from ui.flow import subject_form
from ui.flow.choice import ABLATIONS
from ui.parts.header import plain, recorded_line
from ui.parts.refusal import show_refusal
from ui.parts.workbench import Frame
from ui.robustness import show
from ui.shell import link

WAYS = ("resample", "mean", "zero")
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"),
    link.Field("prompt", ""), link.Field("c", "L23.H3"), link.Field("ab", "resample"), link.Field("role", "necessary"),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link: the head that acts most, on the default model."""
    return FIELDS


def ask_claim(subject: Subject, whole: TokenisedPrompts) -> RobustnessRequest:
    """Read the claim, once the model is loaded.

    Raises:
        ClaimRefused: no components.
    """
    heads, mlps = subject.components(Kind.HEAD), subject.components(Kind.MLP)
    components = subject_form.ask_circuit(whole.name, subject.identity, heads, mlps)
    link.repair("role", tuple(Role))
    link.repair("ab", WAYS)
    st.selectbox("Role", [role.value for role in Role], key="role")
    st.selectbox("Replaced by", WAYS, key="ab", format_func=ABLATIONS.get)
    others = st.text_input(
        "Other models", key="robustness-others", max_chars=600,
        help=f"Of the same shape, apart by commas. **{plain(EDITED.name)}** is the default model without what one head writes; it is made "
        "on this machine, in half a gigabyte.",
    )  # fmt: skip
    with st.spinner("Looking for the other models …"):
        find_others(others)
    if not components:
        raise ClaimRefused("No components.", wanted="at least one.", remedy="choose a circuit or name components.")
    explored, judged = (take_tokenised_split(whole, exploratory=split) for split in (True, False))
    claim = replace(make_claim(), components=components, universe=_fit(components))
    return RobustnessRequest(
        judged,
        explored,
        claim.components,
        claim.role,
        claim.delta,
        claim.ablation,
        claim.universe,
        choose_metric(whole),
        others,
    )


def make_claim() -> Claim:
    """The claim of the link, for a page whose model is not loaded yet.

    Raises:
        AuditError: not a claim.
    """
    components = parse_components(st.session_state.c)
    role = Role(st.session_state.role)
    return Claim(
        format_components(components), components, _fit(components), role,
        ablation=Replacement(st.session_state.ab), delta=DEFAULT_DELTA[role.value],
    )  # fmt: skip


def _fit(components: tuple[object, ...]) -> Universe:
    has_mlp = any(getattr(component, "kind", None) is Kind.MLP for component in components)
    return Universe.HEADS_MLPS if has_mlp else Universe.HEADS


def find_recorded(
    model: str, prompts: PromptSet | TokenisedPrompts, claim: Claim, weights_sha256: str | None = None
) -> RecordedRobustness | None:
    """The shipped record, if it is the answer to exactly the question that the page asks."""
    if st.session_state.form != "written":
        return None
    try:
        found = list_recorded_robustness()
    except IntegrityError as error:
        show_refusal(error)
        return None
    return next((one for one in found if one.is_about(model, prompts, claim, weights_sha256=weights_sha256)), None)


def show_while_loading(frame: Frame, model: str, prompts: PromptSet, _: str) -> bool:
    """Draw the record until the model is loaded; False without one."""
    try:
        found = find_recorded(model, prompts, make_claim())
    except (AuditError, ValueError):
        # The page itself refuses it, with a remedy, once the model is loaded.
        return False
    if found is None:
        return False
    show_recorded(frame, found)
    return True


def show_recorded(frame: Frame, found: RecordedRobustness) -> None:
    """Show sentence and figure of a record under the badge *recorded*."""
    with frame.answer:
        show.show_answer(found.result, "causal recorded")
    with frame.panes:
        show.show_effects(found.result)
    with frame.below:
        recorded_line(found.measured_with.recorded_at, found.wall_s)
