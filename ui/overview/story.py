"""The guided story: five steps through one recorded audit of the default model, and a sixth that opens it live."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import AuditError, Estimate, State, load_prompt_set, make_table
from audit_core.calibration import quote_calibration
from audit_core.governance import Permission
from audit_core.story import Story, StoryClaim, load_story
from audit_core.tables import estimate_cells
from ui.flow import actions, choice
from ui.overview import maps
from ui.parts import figures
from ui.parts.header import BADGES, conditions_line, controls_line, plain, show_rows, show_table, table_with_csv
from ui.parts.map_cells import SIGNS
from ui.parts.refusal import show_refusal
from ui.parts.verdict_card import STATES, show_families, show_null
from ui.parts.workbench import format_size, pane_header, signed, split_panes
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
        show_refusal(error)
        return None


def show_story(story: Story) -> None:
    """Show the step that the address names, its navigation, and what it was measured with."""
    link.repair("step", tuple(_STEPS))
    at = int(st.session_state.step)
    with st.container(key="story-title", horizontal=True, gap="small", vertical_alignment="center"):
        st.header("What attention shows, and what it does not", anchor=False, width="content")
        st.badge(f"recorded {story.measured_with.recorded_at[:10]}", icon=":material/history:", color="blue")
        st.space("stretch")
        with st.popover("Measured with", type="tertiary"):
            _show_origin(story)
    if changed := story.list_changes():
        st.warning(f"Stale: {' and '.join(changed)} changed since this was recorded.", icon=":material/history:")
    with st.container(key="story-steps", horizontal=True, gap="small", vertical_alignment="center"):
        st.segmented_control(
            "Step", list(_STEPS), key="step", format_func=lambda key: f"{key}. {_STEPS[key][0]}", label_visibility="collapsed", required=True
        )  # fmt: skip
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
    with st.container(key="story-step"):
        show(story, f"Step {at} of {len(_STEPS)}: {title}")


def _go(step: int) -> None:
    st.session_state.step = str(min(max(step, 1), len(_STEPS)))


def _show_origin(story: Story) -> None:
    """Show what was measured, when and with which versions, so that a record is not mistaken for a live number."""
    made, prompts = story.measured_with, story.prompts
    rows = [
        ("recorded at, UTC", made.recorded_at), *made.identity.items(), ("code_sha256", made.code_sha256),
        ("verdict rule", str(made.rule_version)), ("seed", str(made.seed)), ("prompt set", prompts.name),
        (f"exploratory split, n = {prompts.exploratory_n}", prompts.exploratory_sha256),
        (f"confirmatory split, n = {prompts.confirmatory_n}", prompts.confirmatory_sha256), *made.versions.items(),
    ]  # fmt: skip
    table_with_csv(lambda: make_table(("what", "value"), rows), "What it was measured with", "story-origin")


def _show_sentence(story: Story, title: str) -> None:
    head = story.find_head("looks_most")
    step_header(title, "observational", story.prompts.exploratory_n)
    example = next(p for p in load_prompt_set(story.prompts.name).prompts if p.id == story.prompts.example)
    st.markdown(
        f"*{plain(example.clean)}* … **{plain(example.answer.strip())}**. A report claims that {head.component} carries this answer: "
        f"it puts {describe_share(head.attention)} of its attention on the right name, the most of {len(story.heads)} heads."
    )
    maps.draw_attention(story)
    maps.tabulate(story, "story-looks", is_attention_only=True)


def _show_both(story: Story, title: str) -> None:
    most, acts = story.find_head("looks_most"), story.find_head("acts")
    step_header(title, "", story.prompts.exploratory_n)
    left, right = split_panes("story")
    reading = f"Each cell is a head: columns are layers. Both maps are of the exploratory split, n = {acts.effect.n} prompts. Pick a head to outline it on both."
    with left:
        pane_header(
            "Where it looks",
            "observational",
            f"{reading} The digit is the share of attention on the right name, in tenths.",
        )
        st.markdown(
            f"On the right name: {describe_share(most.attention)} of {most.component}'s attention, "
            f"{describe_share(acts.attention)} of {acts.component}'s."
        )
        maps.draw_attention(story)
    with right:
        pane_header(
            "What it does",
            "causal",
            f"{reading} Each head is ablated alone ({story.replacement}, {story.direction}). {SIGNS}",
        )
        st.markdown(
            f"Ablating {most.component} alone {describe_effect(most.effect)}. Ablating {acts.component} alone {describe_effect(acts.effect)}."
        )
        maps.draw_effects(story)
    maps.tabulate(story, "story-both", is_attention_only=False)


def _show_controls(story: Story, title: str) -> None:
    acting = story.find_claim("acts")
    step_header(title, "causal", story.prompts.confirmatory_n)
    level = next(e.level for e in acting.result.families.values() if e is not None and e.level)
    st.markdown(
        f"Bars are {level:.0%} intervals for {acting.stated.components[0]}, and dashed lines the smallest effect that counts. "
        "Each tick in the bottom row is a random set of heads: what chance alone does."
    )
    show_families(acting.result, acting.stated, "-story-chance")
    with st.popover("Instrument controls", type="tertiary"):
        controls_line(acting.result.controls)
        if acting.result.null is not None:
            show_null(acting.result.null)
        conditions_line(acting.result.conditions, acting.result.clean.n)


def _show_verdicts(story: Story, title: str) -> None:
    step_header(title, "causal", story.prompts.confirmatory_n)
    st.markdown(
        f"Each verdict compares an interval with the smallest effect that counts, on {story.prompts.confirmatory_n} prompts kept for this test."
    )
    judged = [(found, found.result.families.get(found.claim["ablation"])) for found in story.claims]
    names = [_name_claim(found) for found, _ in judged]
    figure = figures.interval_rows(
        names, [("this claim", "diamond", [estimate for _, estimate in judged])], unit="Effect, fraction of the gap",
        lines=sorted({(f.stated.delta, _THRESHOLDS[f.claim["role"]]) for f in story.claims}), is_effect=True,
    )  # fmt: skip
    figures.show(
        figure,
        "story-verdicts",
        "Interval of each claim against the smallest effect that counts. The table has the numbers.",
    )
    box = st.expander(
        "Verdicts in full, and the raw numbers", icon=":material/table:", key="open-verdicts", on_change="rerun"
    )
    if box.open:
        with box:
            _show_details(story)


_STATE_WORDS = {
    State.SUPPORTED: "supported",
    State.NEGLIGIBLE: "below the threshold",
    State.REVERSED: "reversed",
    State.INCONCLUSIVE: "inconclusive",
}
"""States short enough for an axis."""
_THRESHOLDS = {"necessary": "counts as needed", "sufficient": "counts as enough"}


def _name_claim(found: StoryClaim) -> str:
    """Components, role and state of a claim, short enough for an axis."""
    state = State(found.result.state)
    role = "needed" if found.claim["role"] == "necessary" else "enough alone"
    return f"{', '.join(map(str, found.stated.components))} {role}: {_STATE_WORDS[state]}"


def _show_details(story: Story) -> None:
    """Every verdict's sentence, and the raw numbers of one."""
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
    _show_estimates(chosen)
    items = _list_items(chosen)
    st.markdown("**Every prompt under every ablation**")
    show_rows(items, "story-items")


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
            item.prompt, item.template, item.family, item.clean, item.corrupted, item.judged, item.empty,
            found.result.clean.unit,
        )
        for item in found.result.items
    ]  # fmt: skip
    return make_table(columns, rows)


def _show_limits(story: Story, title: str) -> None:
    step_header(title, "")
    clean, alone = story.find_claim("acts").result.clean, story.find_claim("acts", "sufficient")
    is_enough = alone.result.state == State.SUPPORTED
    lines = (
        f"Anything beyond this model, this task and {clean.n} prompts in {clean.templates} templates.",
        *(() if is_enough else (f"That one head is enough. That claim is {_STATE_WORDS[State(alone.result.state)]}.",)),
        "Joint effects. Each claim is about one head.",
        "That the attention map is wrong. It does not show what a head does.",
        "A preregistered result. A policy treats it as exploratory.",
    )
    st.markdown("This record does **not** show:\n\n" + "\n".join(f"* {line}" for line in lines))
    st.markdown(f"*{plain(quote_calibration())}*")


def _show_live(story: Story, title: str) -> None:
    step_header(title, "")
    acting = story.find_head("acts").component
    st.markdown(
        f"Open the same prompt with {acting} ablated, and try another head. Every number is then measured live."
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


def step_header(title: str, kind: str, n: int | None = None) -> None:
    """Title of a step with its badges, and the number of prompts behind its numbers."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        for badge in (*kind.split(), "recorded"):
            icon, colour = BADGES[badge]
            st.badge(badge, icon=icon, color=colour)
        if n is not None:
            st.badge(f"n = {n} prompts", color="gray")


def describe_share(share: Estimate) -> str:
    """A share in percent with its interval."""
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def describe_effect(effect: Estimate) -> str:
    """What ablation did to the preference, in words and with its interval; the sign is in the verb."""
    if effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return f"changes the preference by no measurable amount [{signed(effect.low or 0)}, {signed(effect.high or 0)}]"
    return f"{'lowers' if effect.value > 0 else 'raises'} the preference by {format_size(effect)}"
