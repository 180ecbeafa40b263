"""Form to write and lock a claim in plain language, with a preview of the plan before it is locked."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import streamlit as st

from audit_core import AuditError, Claim, audit_home, get_plugin, list_prompt_sets
from audit_core.circuits import list_claim_questions
from audit_core.claim import DEFAULT_DELTA, Role, Universe, dump_claim, fit_universe, read_claim
from audit_core.component import Kind, format_components, parse_components
from audit_core.governance import Permission
from audit_core.intervention import Replacement
from audit_core.policy_choice import list_policy_choices, load_policy_choice
from audit_core.preregistration import PriorAccess
from audit_core.prompts import PromptSet
from ui.claims.preview import SplitCounts, count_splits, describe_size, describe_splits, preview_claim
from ui.flow import actions, model_question, own_prompts, services
from ui.flow.answers import wait_for_model
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import link

EXAMPLE = {"name": "L23.H3 is needed to name the indirect object", "parts": "L23.H3", "set": "indirect_object"}
"""The statement and the prompt set of the example belong together."""
ROLES = {"necessary": "needed: without them, it gets clearly worse", "sufficient": "enough: alone, they keep it"}
ACCESS = {
    PriorAccess.NOTHING_RUN: "no runs on it",
    PriorAccess.NO_RESULTS_SEEN: "runs exist, no results seen",
    PriorAccess.RESULTS_NOT_OPENED: "results exist, not opened",
    PriorAccess.RESULTS_SEEN: "results were seen",
}
ABLATIONS = {
    "resample": "the other prompt's values (resample)",
    "mean": "their mean over the prompts (mean)",
    "zero": "zero",
}
UNIVERSES = {
    "heads": "heads",
    "heads+mlps": "heads and MLPs",
    "experts": "experts",
    "heads+experts": "heads and experts",
    "experts+shared": "experts and shared paths",
    "heads+experts+shared": "heads, experts and shared paths",
    "features": "features of the model's dictionary",
}
GAP = (
    "The gap is the difference between the whole model and the model with every such component replaced. "
    "At 10 %, a loss below a tenth of it counts as no effect. A smaller threshold needs more prompts."
)


def open_form() -> None:
    """Callback: show the form in place of the claim."""
    st.session_state.view = "new"


def _close() -> None:
    st.session_state.view = ""


def ask_claim(*, has_claims: bool) -> None:
    """Show the form, the plan that it describes, and the button that locks it."""
    title, back = st.columns([8, 2], vertical_alignment="bottom")
    title.title("Claims", anchor=False)
    title.header("New claim", anchor=False)
    if has_claims:
        back.button("Back to claims", key="back-to-claims", icon=":material/arrow_back:", on_click=_close)
    _fill_in()
    left, right = st.columns([6, 5])
    with left:
        _ask_what()
        prompts = _ask_prompts()
        _ask_circumstances()
        _offer_upload()
    with right.container(border=True):
        claim = _read_claim()
        if claim is not None and prompts is not None:
            _preview(claim, prompts)
    _lock(claim, prompts)


def _fill_in() -> None:
    """Set the first values: from the link or the pages before, else from the example."""
    asked = st.session_state
    carried = {name: st.query_params.get(name) or link.read_kept(name) for name in ("c", "set", "ab", "model")}
    is_example = not carried["c"] or (carried["c"] == EXAMPLE["parts"] and carried["set"] in ("", EXAMPLE["set"]))
    known = carried["set"] in list_prompt_sets(carried["model"] or "") or carried["set"].startswith("own-")
    asked.setdefault("claim_name", EXAMPLE["name"] if is_example else "")
    asked.setdefault("claim_parts", carried["c"] or EXAMPLE["parts"])
    asked.setdefault("claim_set", carried["set"] if known else EXAMPLE["set"])
    asked.setdefault("claim_ablation", carried["ab"] if carried["ab"] in ABLATIONS else "resample")
    asked.setdefault("claim_model", carried["model"] or model_question.DEFAULT)
    asked.setdefault("claim_role", Role.NECESSARY.value)
    asked.setdefault("claim_percent", 100 * DEFAULT_DELTA[asked.claim_role])
    asked.setdefault("claim_universe", Universe.HEADS.value)
    asked.setdefault("claim_metric", "logit_difference")
    asked.setdefault("claim_alpha", 0.05)
    asked.setdefault("claim_asks", list(list_claim_questions(usual=True)))
    # Streamlit forgets the value of a widget that one run does not draw.
    for key in [key for key in asked if str(key).startswith("claim_")]:
        asked[key] = asked[key]


def _ask_what() -> None:
    st.text_area(
        "Statement: what do you claim?", key="claim_name", height=70, max_chars=200,
        placeholder="L23.H3 is needed to name the indirect object",
    )  # fmt: skip
    st.text_input(
        "Components", key="claim_parts", max_chars=2000, on_change=_take_link,
        help="Such as L23.H3, L24.MLP. Or paste the address of a Live audit or Circuit page.",
    )  # fmt: skip
    left, right = st.columns(2)
    left.radio("They are", list(ROLES), key="claim_role", format_func=ROLES.get, on_change=_take_default)
    right.number_input(
        "Smallest effect that matters, in % of the gap",
        1.0,
        200.0,
        step=1.0,
        key="claim_percent",
        format="%g",
        help=GAP,
    )


def _take_link() -> None:
    """Callback: read components, prompt set, ablation and model from a pasted address."""
    text = st.session_state.claim_parts
    if "?" not in text:
        return
    found = {name: values[0] for name, values in parse_qs(urlsplit(text.strip()).query).items()}
    st.session_state.claim_parts = found.get("c", "")
    if found.get("set", "") in list_prompt_sets(found.get("model", "")) or found.get("set", "").startswith("own-"):
        st.session_state.claim_set = found["set"]
    if found.get("ab") in ABLATIONS:
        st.session_state.claim_ablation = found["ab"]
    if found.get("model"):
        st.session_state.claim_model = found["model"]


def _take_default() -> None:
    st.session_state.claim_percent = 100 * DEFAULT_DELTA[st.session_state.claim_role]


def _ask_prompts() -> PromptSet | None:
    chosen = st.session_state.claim_set
    options = list(dict.fromkeys((*own_prompts.list_sets(), chosen)))
    left, right = st.columns(2)
    left.selectbox("Prompt set", options, key="claim_set", format_func=own_prompts.name_set)
    right.text_input("Model", key="claim_model", help="A known or planted name, a folder, or a hub id.")
    try:
        prompts = actions.load_set(st.session_state.claim_set)
    except AuditError as error:
        show_refusal(error)
        return None
    st.markdown(f"**Prompts:** {plain(describe_splits(count_splits(prompts)))}")
    return prompts


def _ask_circumstances() -> None:
    if _is_on_features():
        st.markdown("Further checks in the same run: none, as they are about circuits and not about features.")
    else:
        st.multiselect(
            "Further checks in the same run", list_claim_questions(), key="claim_asks",
            format_func=lambda name: get_plugin("audits", name).question,
        )  # fmt: skip
    left, right = st.columns(2)
    left.selectbox(
        "What you know of the test prompts", list(ACCESS), key="claim_access", format_func=ACCESS.get,
        help="The run log is searched as well. It can only lower the status.",
    )  # fmt: skip
    policies = {one.key: one.label for one in list_policy_choices(audit_home())}
    if st.session_state.get("claim_policy") not in policies:
        st.session_state.claim_policy = next(iter(policies))
    right.selectbox(
        "Policy", list(policies), key="claim_policy", format_func=lambda key: policies[key],
        help="The thresholds that the evidence must reach; the page Policies shows them in words.",
    )  # fmt: skip
    left, _ = st.columns(2)
    person = services.person()
    if person.is_local:
        left.text_input("Owner", key="claim_owner", placeholder="person responsible for the claim", max_chars=80)
    else:
        left.markdown(f"Owner: **{plain(person.name)}**, as signed in")
    with st.expander("Ablation, metric and level", icon=":material/tune:"):
        left, right = st.columns(2)
        left.selectbox("Replace with", list(ABLATIONS), key="claim_ablation", format_func=ABLATIONS.get)
        right.selectbox(
            "Components that count as everything", list(UNIVERSES), key="claim_universe", format_func=UNIVERSES.get
        )
        left.text_input("Metric", key="claim_metric", max_chars=80)
        right.number_input(
            "Level α", 0.001, 0.5, step=0.01, key="claim_alpha", format="%.3f", help="0.05 gives 95 % intervals."
        )


def _offer_upload() -> None:
    with st.expander("Use a claim file", icon=":material/upload_file:"):
        st.file_uploader("Claim file, TOML or JSON", type=["toml", "json"], key="brought_claim", on_change=_take_file)
        if (error := st.session_state.pop("refused_claim", None)) is not None:
            show_refusal(error)


def _take_file() -> None:
    """Callback: fill the form from an uploaded claim."""
    brought = st.session_state.brought_claim
    if brought is None:
        return
    try:
        claim = read_claim(brought.getvalue(), name=brought.name)
    except AuditError as error:
        st.session_state.refused_claim = error
        return
    asked = st.session_state
    asked.claim_name, asked.claim_parts = claim.name, format_components(claim.components)
    asked.claim_role, asked.claim_percent = claim.role.value, 100 * claim.delta
    asked.claim_ablation, asked.claim_metric = claim.ablation.value, claim.metric
    asked.claim_universe, asked.claim_alpha = claim.universe.value, claim.alpha


def _read_claim() -> Claim | None:
    """The claim as typed; None after showing what is wrong with it."""
    asked = st.session_state
    try:
        parts = parse_components(asked.claim_parts)
        return Claim(
            asked.claim_name.strip(), parts, fit_universe(parts, Universe(asked.claim_universe)), Role(asked.claim_role),
            asked.claim_metric.strip(), Replacement(asked.claim_ablation), asked.claim_percent / 100, asked.claim_alpha,
        )  # fmt: skip
    except AuditError as error:
        show_refusal(error)
        return None


def _is_on_features() -> bool:
    try:
        return any(part.kind is Kind.FEATURE for part in parse_components(st.session_state.claim_parts))
    except AuditError:
        return False


def _list_asked() -> tuple[str, ...]:
    """The chosen further checks that a claim on these components can have."""
    return () if _is_on_features() else tuple(st.session_state.claim_asks)


def _preview(claim: Claim, prompts: PromptSet) -> None:
    counts: SplitCounts = count_splits(prompts)
    st.subheader("The plan, as it will be locked", anchor=False)
    asked = st.session_state
    questions = tuple(get_plugin("audits", name).question for name in _list_asked())
    owner = asked.get("claim_owner", "") if services.person().is_local else services.person().name
    policy = load_policy_choice(audit_home(), asked.claim_policy)
    shown = preview_claim(
        claim, counts, model=asked.claim_model, prompts=asked.claim_set.replace("_", " "), questions=questions, owner=owner,
        policy=f"{policy.id}, {len(policy.required)} required criteria",
    )  # fmt: skip
    for title, text in shown:
        st.markdown(f"**{plain(title)}:** {plain(text)}")
    size, is_enough = describe_size(claim, counts, policy)
    if is_enough:
        st.success(plain(size), icon=":material/check:")
    else:
        st.warning(plain(f"{size} The verdict may stay inconclusive."), icon=":material/warning:")


def _lock(claim: Claim | None, prompts: PromptSet | None) -> None:
    asked = st.session_state
    st.button("Lock this claim", key="lock", type="primary", icon=":material/lock:", on_click=_press)
    if not asked.get("freezing"):
        return
    wanted = _find_missing(claim, prompts)
    if wanted:
        asked.freezing = False
        st.error(plain(wanted), icon=":material/error:")
        return
    assert claim is not None
    form = actions.FreezeForm(
        dump_claim(claim), asked.claim_model, asked.claim_set, _list_asked(), asked.claim_access, asked.get("claim_owner", "").strip(), asked.claim_policy,
    )  # fmt: skip
    _freeze(form)
    asked.freezing = False


def _press() -> None:
    # Stored in the session, because the page reruns while the model loads.
    st.session_state.freezing = True
    model_question.press(st.session_state.claim_model)


def _find_missing(claim: Claim | None, prompts: PromptSet | None) -> str:
    asked: Any = st.session_state
    if claim is None or prompts is None:
        return (
            "The claim cannot be locked. Wanted: a valid claim and prompt set. What to do: fix the field named above."
        )
    if not claim.name:
        return "No statement. Wanted: one sentence that can be true or false. What to do: write what you claim."
    if services.person().is_local and not asked.claim_owner.strip():
        return "No owner. Wanted: the person responsible for the claim. What to do: fill in the field."
    counts = count_splits(prompts)
    if not counts.tested or not counts.explored:
        empty = "test" if not counts.tested else "explore"
        return f"No prompt to {empty}. Wanted: prompts in both splits. What to do: add pairs with other texts."
    return ""


def _freeze(form: actions.FreezeForm) -> None:
    try:
        services.authorize(Permission.FREEZE, f"a claim about {form.model}")
        model_question.begin(form.model)
        plan = actions.freeze(wait_for_model(form.model), form)
    except AuditError as error:
        show_refusal(error)
    else:
        st.session_state.frozen, st.session_state.freezing = plan.claim_id, False
        st.rerun()
