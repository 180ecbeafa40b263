"""Choices on the live audit: widget labels, link state, and one frozen record of all inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from audit_core import (
    CLEAN_RUN,
    AblationRequest,
    AttentionRequest,
    Claim,
    ClaimTestRequest,
    Component,
    Direction,
    Intervention,
    Kind,
    Replacement,
    SweepRequest,
    TokenisedPrompts,
    format_components,
    head,
    intervene,
)
from audit_core.attention import Source, list_sources
from audit_core.audits import AttentionTestsRequest, EdgesRequest, TokenGradientsRequest
from audit_core.claim import Universe
from audit_core.prompts import choose_metric
from audit_core.references import Setting
from audit_core.shipped import list_circuits
from ui.shell import link

UNTOUCHED = CLEAN_RUN
FORMS = {"written": "As written", "chat": "As chat: a user's message in the model's own template"}
SCOPES = {
    "one": "One prompt",
    "exploratory": "Set, exploratory split: explore freely",
    "confirmatory": "Set, confirmatory split: judge here",
}
ABLATIONS = {
    "resample": "Resample: the other prompt's activation",
    "mean": "Mean over prompts",
    "mean_template": "Mean over the template's prompts",
    "zero": "Zero",
    "scale": "Scale: suppress or amplify",
}
DIRECTIONS = {
    "noising": "Noising: ablate in the clean run",
    "denoising": "Denoising: restore in the corrupted run",
}
UNIVERSES = {"heads": "all other heads", "heads+mlps": "all other heads and MLPs"}
SOURCES = {
    "answer": "the answer token",
    "foil": "the foil token",
    "changed": "the first changed token",
    "first": "the first token",
    "last": "the answer position itself",
}
SAMPLED_HEADS = 20
"""Sampled heads whose patterns are tested beside the named ones; all 270 take half an hour."""
WHEN_JUDGED = (
    "A verdict needs the confirmatory split, whole heads or MLPs, and an ablation of the clean run. "
    "Set *Measure on* to the confirmatory split."
)
NO_PRESET = "none: my own selection"
MEAN_REFERENCE = 16
"""Reference prompts of a mean on one prompt: enough to average out names, few enough for a result within two seconds."""
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"), link.Field("scope", "one"), link.Field("prompt", ""),
    link.Field("c", ""), link.Field("ab", "resample"), link.Field("dir", "noising"), link.Field("f", "0"),
    link.Field("u", "heads"), link.Field("src", "answer"), link.Field("head", ""),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link: the recorded example, with its head already ablated."""
    acting = [c for c in list_circuits() if c.is_example and c.id.endswith("-acts")]
    start = (
        {"c": format_components(acting[0].components), "set": acting[0].task} if acting and not st.query_params else {}
    )
    return tuple(link.Field(f.key, start.get(f.key, f.default)) for f in FIELDS)


@dataclass(frozen=True)
class Choice:
    """All inputs that the page's numbers depend on."""

    scope: str
    """one | exploratory | confirmatory"""
    prompts: TokenisedPrompts
    """The prompts measured: one, or a split of the set."""
    shown: TokenisedPrompts
    """The prompt whose tokens are drawn."""
    reference: TokenisedPrompts
    components: tuple[Component, ...]
    replacement: Replacement
    direction: Direction
    factor: float
    universe: Universe
    source: Source
    head: Component

    sampled_heads: tuple[Component, ...]
    """Heads sampled evenly over the model, because named heads are not representative."""
    candidates: tuple[tuple[str, Component], ...]
    """Heads to compare: the first head of each shipped candidate, or the head in focus alone."""
    settings: tuple[Setting, ...] = ()
    """Classes of the model by its configuration; empty if it does not state them."""

    @property
    def is_one(self) -> bool:
        return len(self.prompts) == 1

    @property
    def metric(self) -> str:
        """The metric that reads every token of the answers."""
        return choose_metric(self.prompts)

    @property
    def size(self) -> str:
        return "one prompt" if self.is_one else f"{len(self.prompts)} prompts"

    def ask_ablation(self) -> AblationRequest:
        """Request the joint ablation of the circuit."""
        return AblationRequest(
            self.prompts,
            self.reference,
            self.components,
            self.replacement,
            self.direction,
            self.factor,
            self.universe,
            self.metric,
        )

    def ask_sweep(self) -> SweepRequest:
        """Request the single ablation of every head."""
        return SweepRequest(
            self.prompts, self.reference, Kind.HEAD, self.replacement, self.direction, self.factor, self.metric
        )

    def ask_attention(self) -> AttentionRequest:
        """Request the attention of every head."""
        return AttentionRequest(self.prompts, self.source)

    def ask_attention_tests(self) -> AttentionTestsRequest:
        """Request the attention tests, on the named heads and the sampled heads."""
        named = {
            c for c in (*self.components, self.head, *(part for _, part in self.candidates)) if c.kind is Kind.HEAD
        }
        whole = {head(c.layer, c.index) for c in named}
        return AttentionTestsRequest(self.prompts, self.reference, tuple(sorted(whole | set(self.sampled_heads))))

    def ask_edges(self) -> EdgesRequest:
        """Request every edge of the head in focus, on the drawn prompt."""
        return EdgesRequest(self.shown, self.head.layer, self.head.index, self.metric)

    def ask_tokens(self) -> TokenGradientsRequest:
        """Request the effect of every token of the drawn prompt."""
        return TokenGradientsRequest(self.shown, self.reference)

    def ask_verdict(self) -> ClaimTestRequest:
        """Request a verdict on the claim that the circuit is necessary, with the default δ."""
        name = f"{format_components(self.components)[:150]} carries the answer"
        return ClaimTestRequest(
            self.prompts,
            Claim(name, self.components, self._judged_universe, metric=self.metric, ablation=self.replacement),
        )

    @property
    def _judged_universe(self) -> Universe:
        """The universe of the claim: a circuit with MLPs is judged among heads and MLPs."""
        return Universe.HEADS_MLPS if any(c.kind is Kind.MLP for c in self.components) else self.universe

    @property
    def can_be_judged(self) -> bool:
        """Whether a verdict is possible: confirmatory split, whole heads or MLPs, and an ablation of the clean run."""
        whole = all(c.kind in (Kind.HEAD, Kind.MLP) and c.position is None for c in self.components)
        ways = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
        return (
            self.scope == "confirmatory"
            and bool(self.components)
            and whole
            and self.replacement in ways
            and self.direction is Direction.NOISING
        )

    @property
    def unedited(self) -> Intervention:
        """The run that the intervention edits, without the intervention."""
        return intervene((), Replacement.RESAMPLE, direction=self.direction)

    @property
    def intervention(self) -> Intervention | None:
        """The intervention on the drawn prompt; None without a circuit."""
        if not self.components:
            return None
        return intervene(self.components, self.replacement, direction=self.direction, factor=self.factor)

    @property
    def limits(self) -> tuple[str, ...]:
        """Tests that are not available with this choice, each with its reason."""
        found = [
            _describe_experts(self.settings),
            "Documents and tools. They belong to the system around the model, and this page audits the model alone.",
        ]
        if self.is_one:
            found.append("Intervals and a verdict. One prompt has neither, so measure on a split of the set.")
        else:
            found.append("Token edges of the whole set. Positions differ between prompts, so one prompt is drawn.")
        if self.scope == "exploratory":
            found.append("A verdict. Verdicts use the confirmatory split, and this is the exploratory split.")
        if self.replacement is Replacement.SCALE or self.direction is Direction.DENOISING:
            found.append("What the circuit keeps alone. It is only defined for ablations of the clean run.")
        missing = [SOURCES[s] for s in ("answer", "foil") if Source(s) not in list_sources(self.prompts)]
        if missing:
            found.append(f"Attention to {' and '.join(missing)}. Not every prompt contains it.")
        return tuple(found)


def _describe_experts(settings: tuple[Setting, ...]) -> str:
    """Why this page tests no experts, according to the model's configuration."""
    if Setting.MIXTURE in settings:
        return "Experts. The page Experts ablates them one at a time."
    if settings == (Setting.DENSE,):
        return "Experts. This model is dense and has none."
    return "Experts. The configuration does not state whether this model has any."


def pick_reference(measured: TokenisedPrompts, whole: TokenisedPrompts) -> TokenisedPrompts:
    """Reference prompts of a mean: the measured ones, or for one prompt the most similar by template and length."""
    if len(measured) > 1:
        return measured
    pair = measured.pairs[0]
    similar = [p for p in whole.pairs if len(p.clean_ids) == len(pair.clean_ids)]
    similar.sort(key=lambda p: p.prompt.template != pair.prompt.template)
    return replace(whole, pairs=tuple(similar[:MEAN_REFERENCE]))


def pick_one(prompts: TokenisedPrompts, key: str) -> TokenisedPrompts:
    """The drawn prompt as a set of one."""
    return replace(prompts, pairs=tuple(p for p in prompts.pairs if p.prompt.id == key))
