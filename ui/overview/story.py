"""The guided story: five steps through one recorded audit of the default model, and a sixth that opens it live."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import AuditError, Estimate, State, format_estimate, load_prompt_set, make_table
from audit_core.calibration import quote_calibration
from audit_core.governance import Permission
from audit_core.story import Story, StoryClaim, load_story
from audit_core.tables import estimate_cells
from ui.flow import actions, answers, choice
from ui.overview import maps
from ui.parts.header import conditions_line, controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.verdict_card import STATES, show_families, show_null
from ui.shell import link
from ui.shell.navigation import live_audit

FIELDS = (link.Field("step", "1"),)
WHY = {
    "looks_most": "attends most to the right name",
    "looks": "attends most among heads with almost no effect",
    "first_look": "was chosen from a first look at six prompts",
    "acts": "has the largest effect",
}
"""Why each head is in the story; `docs/circuits.md` gives the rules."""


def read() -> Story | None:
    """The recorded story, or None after showing the error."""
    try:
        return load_story()
    except AuditError as error:
        answers.show_refusal(error)
        return None


def show_story(story: Story) -> None:
    """Show provenance, navigation, and the step that the address names."""
    st.header("What attention shows, and what it does not", anchor=False)
    _show_origin(story)
    link.repair("step", tuple(_STEPS))
    st.radio("Step", list(_STEPS), key="step", format_func=lambda key: f"{key}. {_STEPS[key][0]}", horizontal=True)
    at = int(st.session_state.step)
    with st.container(horizontal=True, gap="small"):
        st.button("Back", key="back", icon=":material/arrow_back:", disabled=at == 1, on_click=_go, args=(at - 1,))
        st.button(
            "Next",
            key="next",
            icon=":material/arrow_forward:",
            disabled=at == len(_STEPS),
            on_click=_go,
            args=(at + 1,),
        )
    title, show = _STEPS[st.session_state.step]
    show(story, f"Step {at} of {len(_STEPS)}: {title}")


def _go(step: int) -> None:
    st.session_state.step = str(min(max(step, 1), len(_STEPS)))


def _show_origin(story: Story) -> None:
    """Show what was measured, when and with which versions, so that a record is not mistaken for a live number."""
    made, prompts = story.measured_with, story.prompts
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(f"recorded {made.recorded_at[:10]}", icon=":material/history:", color="blue")
        st.markdown(
            f"{plain(made.identity['model'])}, weights `{made.identity['weights_sha256'][:12]}`, prompts "
            f"`{prompts.exploratory_sha256[:12]}` and `{prompts.confirmatory_sha256[:12]}`, code `{made.code_sha256[:12]}`. "
            "Steps 1 to 5 show recorded numbers."
        )
    if changed := story.list_changes():
        st.warning(
            f"Stale: {' and '.join(changed)} changed since this was recorded.",
            icon=":material/history:",
        )
    rows = [
        ("recorded at, UTC", made.recorded_at), *made.identity.items(), ("code_sha256", made.code_sha256),
        ("verdict rule", str(made.rule_version)), ("seed", str(made.seed)), ("prompt set", prompts.name),
        (f"exploratory split, n = {prompts.exploratory_n}", prompts.exploratory_sha256),
        (f"confirmatory split, n = {prompts.confirmatory_n}", prompts.confirmatory_sha256), *made.versions.items(),
    ]  # fmt: skip
    table_with_csv(lambda: make_table(("what", "value"), rows), "What it was measured with", "story-origin")


def _show_sentence(story: Story, title: str) -> None:
    head = story.find_head("looks_most")
    figure_header(
        title, "observational recorded",
        "each cell is a head, with layers from left to right. The digit is the share of its attention to the right name, in tenths. "
        "A head can attend to a token and have no effect.",
    )  # fmt: skip
    example = next(p for p in load_prompt_set(story.prompts.name).prompts if p.id == story.prompts.example)
    st.markdown(
        f"The prompt: *{plain(example.clean)}* … The right next word is **{plain(example.answer.strip())}**. A report claims "
        f"*“{head.component} carries the answer: it attends to the right name.”* This picture suggests it."
    )
    maps.draw_attention(story)
    st.markdown(
        f"{head.component} has {plain(format_estimate(head.attention))} of its attention on the right name, the most of all {len(story.heads)} heads. "
        "No component was ablated for this picture, so it shows no causal effect."
    )
    maps.tabulate(story, "story-looks", is_attention_only=True)


def _show_both(story: Story, title: str) -> None:
    figure_header(
        title, "recorded", "both maps show the same heads. Pick one to outline it on both. The two maps share no numbers."
    )  # fmt: skip
    left, right = st.columns(2, gap="small")
    with left:
        figure_header("Attention", "observational", "share of attention on the right name, in tenths.")
        maps.draw_attention(story)
    with right:
        figure_header(
            "Causal effect", "causal",
            f"each head ablated alone ({story.replacement}, {story.direction}). + supports the answer, − opposes it.",
        )  # fmt: skip
        maps.draw_effects(story)
    rows = [
        (head.component, _bracket(head.attention), _bracket(head.effect), _describe_direction(head.effect), WHY[key])
        for key, head in ((key, story.find_head(key)) for key in story.named)
    ]
    effect = story.heads[0].effect
    columns = ("head", "attention, share", f"causal effect, {effect.unit}", "direction", "why it is in the story")
    st.table(
        make_table(columns, rows),
        alt="The four heads of the story: attention and causal effect of each.",
    )
    st.markdown(f"Brackets: {effect.level:.0%} intervals over {effect.templates} templates.")
    conditions_line(
        (("granularity", "nodes"), ("component type", "head"), ("ablation", story.replacement), ("positions", "all"),
         ("direction", story.direction), ("set", "each head alone")), effect.n,
    )  # fmt: skip
    maps.show_focus(story)
    st.markdown(
        "These numbers are from the exploratory split. Three of the heads were chosen on it, so their values are biased upwards. "
        "The next steps judge them on the confirmatory split."
    )
    maps.tabulate(story, "story-both", is_attention_only=False)


def _bracket(estimate: Estimate) -> str:
    """Value and interval; unit, level and n are given beside the table."""
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _describe_direction(effect: Estimate) -> str:
    """The sign in words, if the interval excludes zero."""
    if effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "not distinguishable from zero"
    return "supports the answer" if effect.low > 0 else "opposes the answer"


def _show_controls(story: Story, title: str) -> None:
    acting = story.find_claim("acts")
    figure_header(
        title, "causal recorded",
        "every interval against ±δ, the smallest effect of interest. The marks below are effects of random sets, the random baseline.",
    )  # fmt: skip
    st.markdown("A run whose instrument controls fail reports no number. Controls of the effect map:")
    controls_line(story.controls)
    st.markdown(f"Controls of the claim *{plain(acting.stated.name)}*, on the confirmatory split:")
    controls_line(acting.result.controls)
    show_families(acting.result, acting.stated, "-story-chance")
    if acting.result.null is not None:
        show_null(acting.result.null)
    conditions_line(acting.result.conditions, acting.result.clean.n)
    others = [
        found
        for found in story.claims
        if found is not acting and (found.result.null is None or found.result.null.p is None)
    ]
    st.markdown(
        f"The random baseline was not drawn for {len(others)} of the {len(story.claims)} claims. It could only lower a “supported” verdict."
    )


def _show_verdicts(story: Story, title: str) -> None:
    figure_header(
        title, "causal recorded",
        "the state reports where the interval lies relative to δ. Each claim was tested on the confirmatory split.",
    )  # fmt: skip
    for found in story.claims:
        icon, words = STATES[State(found.result.state)]
        if found.claim["role"] == "sufficient" and found.result.state == State.NEGLIGIBLE:
            words = f"Below the threshold for sufficiency, {found.stated.delta:g}"
        st.markdown(
            f"{icon} **{words}.** *{plain(found.stated.name)}* (δ = {found.stated.delta:g}). {plain(found.result.sentence)}"
        )
    names = {found.stated.name: found for found in story.claims}
    st.session_state.setdefault("story_claim", story.find_claim("acts").stated.name)
    st.selectbox("Raw numbers of", list(names), key="story_claim")
    chosen = names[st.session_state.story_claim]
    table_with_csv(lambda: _list_items(chosen), "Every prompt under every ablation", "story-items")
    _show_estimates(chosen)


def _show_estimates(found: StoryClaim) -> None:
    is_necessary = found.claim["role"] == "necessary"
    over = "mean(clean − judged)" if is_necessary else "mean(judged − empty)"
    st.markdown(
        f"Each value is {over} / mean(clean − empty) over the {found.result.clean.n} prompts, under the named ablation:"
    )
    rows = [(family, *estimate_cells(e)) for family, e in found.result.families.items() if e is not None]
    show_table(make_table(("ablation", "value", "low", "high", "n", "unit"), rows), key="story-families")


def _list_items(found: StoryClaim) -> object:
    columns = ("prompt", "template", "ablation", "clean", "corrupted", "judged", "empty", "unit")
    rows = [
        (
            item.prompt,
            item.template,
            item.family,
            item.clean,
            item.corrupted,
            item.judged,
            item.empty,
            found.result.clean.unit,
        )
        for item in found.result.items
    ]
    return make_table(columns, rows)


def _show_limits(story: Story, title: str) -> None:
    st.subheader(title, anchor=False)
    alone, clean = story.find_claim("acts", "sufficient"), story.find_claim("acts").result.clean
    lines = (
        f"That one head is sufficient. {plain(alone.result.sentence)}",
        f"Anything beyond these weights, this task, the logit difference, and {clean.n} prompts in {clean.templates} templates. Both splits "
        "share templates and some names.",
        "Joint effects of heads. Each claim is about one head. The Circuit page tests sets.",
        "That the attention values are wrong. They show where a head attends, not its effect.",
        "A preregistered finding. A script fixed the heads and δ beforehand, but no plan was frozen. "
        "This split had been judged before, so a policy treats the result as exploratory.",
        f"How often the rule is right on real models. {plain(quote_calibration())}",
    )
    st.markdown("This record does **not** show:\n\n" + "\n".join(f"* {line}" for line in lines))


def _show_live(story: Story, title: str) -> None:
    st.subheader(title, anchor=False)
    acting = story.find_head("acts").component
    st.markdown(
        f"Open the same prompt with {acting} ablated. Every number is then measured on this machine and logged. "
        "Try another head, and see whether the verdict changes."
    )
    if not actions.may(Permission.RUN):
        st.info("Your role is read-only. Ask a researcher or a reviewer to open it with you.")
        return
    opened = st.button(
        "Open it in the live audit", key="go-live", icon=":material/experiment:", type="primary", on_click=_choose_live, args=(story, acting)
    )  # fmt: skip
    if opened:
        st.switch_page(live_audit())


def _choose_live(story: Story, component: str) -> None:
    """Set every field of the live audit, so that no value of an earlier visit remains."""
    chosen = {field.key: field.default for field in choice.FIELDS}
    chosen |= {"set": story.prompts.name, "prompt": story.prompts.example, "c": component, "head": component}
    link.keep(chosen)


_STEPS: dict[str, tuple[str, Callable[[Story, str], None]]] = {
    "1": ("The claim", _show_sentence),
    "2": ("Attention vs. effect", _show_both),
    "3": ("Controls and random baseline", _show_controls),
    "4": ("Verdicts", _show_verdicts),
    "5": ("Not shown", _show_limits),
    "6": ("Live audit", _show_live),
}
