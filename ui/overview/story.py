"""The guided story: six short steps through one recorded audit of the default model, the last of them live."""

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
    "looks": "attends most among the heads that do next to nothing",
    "first_look": "was named by a first look at six prompts",
    "acts": "has the largest effect",
}
"""Why each head is in the story; the rules stand in `docs/circuits.md`."""


def read() -> Story | None:
    """The record, or why there is none."""
    try:
        return load_story()
    except AuditError as error:
        answers.show_refusal(error)
        return None


def show_story(story: Story) -> None:
    """Where it comes from, the way through, and the step that the address names."""
    st.header("What a picture of attention tells, and what it does not", anchor=False)
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
    """What was measured, when and with what: nobody must take a record for a live number."""
    made, prompts = story.measured_with, story.prompts
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(f"recorded {made.recorded_at[:10]}", icon=":material/history:", color="blue")
        st.markdown(
            f"{plain(made.identity['model'])}, weights `{made.identity['weights_sha256'][:12]}`, prompts "
            f"`{prompts.exploratory_sha256[:12]}` and `{prompts.confirmatory_sha256[:12]}`, code `{made.code_sha256[:12]}`. "
            "Nothing is computed here before the last step."
        )
    if changed := story.list_changes():
        st.warning(
            f"Stale: since this was recorded, {' and '.join(changed)} changed. Read it as history.",
            icon=":material/history:",
        )
    rows = [
        ("recorded at, UTC", made.recorded_at), *made.identity.items(), ("code_sha256", made.code_sha256),
        ("rule of verdicts", str(made.rule_version)), ("seed", str(made.seed)), ("prompt set", prompts.name),
        (f"exploratory half, n = {prompts.exploratory_n}", prompts.exploratory_sha256),
        (f"confirmatory half, n = {prompts.confirmatory_n}", prompts.confirmatory_sha256), *made.versions.items(),
    ]  # fmt: skip
    table_with_csv(lambda: make_table(("what", "value"), rows), "What it was measured with", "story-origin")


def _show_sentence(story: Story, title: str) -> None:
    head = story.find_head("looks_most")
    figure_header(
        title, "observational recorded",
        "each cell is a head, layers from left to right; the digit is the tenths of its attention, from the answer position, that rest "
        "on the right name. A head can look at a token and do nothing with it.",
    )  # fmt: skip
    example = next(p for p in load_prompt_set(story.prompts.name).prompts if p.id == story.prompts.example)
    st.markdown(
        f"The prompt: *{plain(example.clean)}* … The right next word is **{plain(example.answer.strip())}**. Somebody wants to sign "
        f"*“{head.component} carries the answer: look how it attends to the right name.”* This is the picture that suggests it."
    )
    maps.draw_looks(story)
    st.markdown(
        f"{head.component} rests {plain(format_estimate(head.attention))} on the right name, the most of all {len(story.heads)} heads. "
        "Nothing was taken away from the model to draw this, so nothing here says what any head does."
    )
    maps.tabulate(story, "story-looks", only_looks=True)


def _show_both(story: Story, title: str) -> None:
    figure_header(
        title, "recorded", "the same heads twice; pick one on either map to outline it on both. No number of one map enters the other."
    )  # fmt: skip
    left, right = st.columns(2, gap="small")
    with left:
        figure_header("Where it looks", "observational", "tenths of attention on the right name.")
        maps.draw_looks(story)
    with right:
        figure_header(
            "What it does", "causal",
            f"each head replaced alone ({story.replacement}, {story.direction}); + pushes towards the answer, − against it.",
        )  # fmt: skip
        maps.draw_does(story)
    rows = [
        (head.component, _bracket(head.attention), _bracket(head.effect), _say_direction(head.effect), WHY[key])
        for key, head in ((key, story.find_head(key)) for key in story.named)
    ]
    effect = story.heads[0].effect
    columns = ("head", "looks: share of attention", f"does: {effect.unit}", "that is", "in the story since it")
    st.table(
        make_table(columns, rows),
        alt="The four heads of the story: where each looks, and what it does.",
    )
    st.markdown(f"Brackets: {effect.level:.0%} intervals over {effect.templates} templates.")
    conditions_line(
        (("granularity", "nodes"), ("component type", "head"), ("ablation", story.replacement), ("positions", "all"),
         ("direction", story.direction), ("set", "each head alone")), effect.n,
    )  # fmt: skip
    maps.show_focus(story)
    st.markdown(
        "All of it from the exploratory half, on which three of the heads were chosen: their values here flatter them. What is judged "
        "next is the other half."
    )
    maps.tabulate(story, "story-both", only_looks=False)


def _bracket(estimate: Estimate) -> str:
    """Value and interval; unit, level and n stand beside the table."""
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _say_direction(effect: Estimate) -> str:
    """The sign in words, where the interval allows one."""
    if effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "not told apart from none"
    return "towards the answer" if effect.low > 0 else "against the answer"


def _show_controls(story: Story, title: str) -> None:
    acting = story.find_claim("acts")
    figure_header(
        title, "causal recorded",
        "every interval against ±δ, the smallest effect that matters, and below them one mark for each random set: chance does "
        "what the marks do.",
    )  # fmt: skip
    st.markdown(
        "The instrument itself comes first: a run whose controls fail ends without a number. For the map of effects:"
    )
    controls_line(story.controls)
    st.markdown(f"And for the claim *{plain(acting.stated.name)}*, on the half that judges:")
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
        f"Chance was not drawn for {len(others)} of the {len(story.claims)} claims: it can only take “supported” away."
    )


def _show_verdicts(story: Story, title: str) -> None:
    figure_header(
        title, "causal recorded",
        "the state says where the interval lies against δ. Each claim was held against the half that chose no head.",
    )  # fmt: skip
    for found in story.claims:
        icon, words = STATES[State(found.result.state)]
        if found.claim["role"] == "sufficient" and found.result.state == State.NEGLIGIBLE:
            words = f"Below the {found.stated.delta:g} that would be enough"
        st.markdown(
            f"{icon} **{words}.** *{plain(found.stated.name)}* (δ = {found.stated.delta:g}). {plain(found.result.sentence)}"
        )
    names = {found.stated.name: found for found in story.claims}
    st.session_state.setdefault("story_claim", story.find_claim("acts").stated.name)
    st.selectbox("The raw numbers behind", list(names), key="story_claim")
    chosen = names[st.session_state.story_claim]
    table_with_csv(lambda: _list_items(chosen), "Every prompt under every way of replacing", "story-items")
    _show_estimates(chosen)


def _show_estimates(found: StoryClaim) -> None:
    is_necessary = found.claim["role"] == "necessary"
    over = "mean(clean − judged)" if is_necessary else "mean(judged − empty)"
    st.markdown(
        f"Each value is {over} / mean(clean − empty) over the {found.result.clean.n} prompts, in the way of replacing that is named:"
    )
    rows = [(family, *estimate_cells(e)) for family, e in found.result.families.items() if e is not None]
    show_table(make_table(("replaced by", "value", "low", "high", "n", "unit"), rows), key="story-families")


def _list_items(found: StoryClaim) -> object:
    columns = ("prompt", "template", "replaced by", "clean", "corrupted", "judged", "empty", "unit")
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
        f"That one head is enough: {plain(alone.result.sentence)}",
        f"Anything beyond these weights, this task, the logit difference, and {clean.n} prompts in {clean.templates} templates. Both halves "
        "share templates and some names.",
        "What heads do together: each claim is about one. The page Circuit asks about sets, and about what a set lacks.",
        "That attention was read wrongly. Where a head looks is where it looks; what follows from it is another question.",
        "A preregistered finding. The heads and δ stood in a script beforehand, but no plan was frozen and this half had been judged before: a "
        "policy takes it as exploratory.",
        f"How often the rule is right on real models. {plain(quote_calibration())}",
    )
    st.markdown("This record does **not** show:\n\n" + "\n".join(f"* {line}" for line in lines))


def _show_live(story: Story, title: str) -> None:
    st.subheader(title, anchor=False)
    acting = story.find_head("acts").component
    st.markdown(
        f"Open the same prompt with {acting} taken away. From there on every number is measured when you ask for it, on this machine, "
        "and stands in the log. Put another head in its place, and see whether a verdict moves."
    )
    if not actions.may(Permission.RUN):
        st.info("Your role looks and does not run. Ask a researcher or a reviewer to open it with you.")
        return
    opened = st.button(
        "Open it in the live audit", key="go-live", icon=":material/experiment:", type="primary", on_click=_choose_live, args=(story, acting)
    )  # fmt: skip
    if opened:
        st.switch_page(live_audit())


def _choose_live(story: Story, component: str) -> None:
    """All that the live audit asks for, so that nothing from an earlier visit stands in the way."""
    chosen = {field.key: field.default for field in choice.FIELDS}
    chosen |= {"set": story.prompts.name, "prompt": story.prompts.example, "c": component, "head": component}
    st.session_state.update(chosen)


_STEPS: dict[str, tuple[str, Callable[[Story, str], None]]] = {
    "1": ("The sentence", _show_sentence),
    "2": ("Looks and does", _show_both),
    "3": ("Controls and chance", _show_controls),
    "4": ("Verdicts", _show_verdicts),
    "5": ("Not shown", _show_limits),
    "6": ("Go live", _show_live),
}
