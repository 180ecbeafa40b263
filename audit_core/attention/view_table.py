"""All plausibility views of some prompts on one model: observational, over tokens and over heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.attention.plausibility import Source, list_sources, weigh_source
from audit_core.engine.pattern_gradients import read_attention_records
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.subject import Floats, Progress, Subject
from audit_core.view import weigh_gradients

GRADIENT_HEADS = "gradient × attention"
_SOURCES = {
    Source.ANSWER: "attention mass on the answer token",
    Source.CHANGED: "attention mass on the first changed token",
}


@dataclass(frozen=True, eq=False)
class ViewTable:
    """Values of each view on one model."""

    heads: Mapping[str, NDArray]
    """Per head view, shape (layer, head, prompt)."""
    tokens: Mapping[str, Sequence[Floats]]
    """Per token view, per prompt, shape (key,)."""
    rows: Sequence[Floats]
    """Attention from the answer position; per prompt, shape (layer, head, key)."""
    of_patterns: frozenset[str]
    """Views that use patterns only."""
    missing: tuple[str, ...]
    """Views that could not be computed, and why."""

    def measure_attention_change(self, other: ViewTable) -> NDArray:
        """Total variation between the models' attention from the answer position, mean over heads; share of attention,
        0 to 1; shape (layer, prompt)."""
        apart = [0.5 * np.abs(a - b).sum(-1).mean(-1) for a, b in zip(self.rows, other.rows, strict=True)]
        return np.stack(apart, axis=1).astype(np.float64)


def read_views(subject: Subject, prompts: TokenisedPrompts, *, on_progress: Progress) -> ViewTable:
    """Compute all views in `views/`, and three head views, on the clean runs.

    Of a prompt's patterns only the answer position's rows are kept.
    """
    has_gradients = not subject.fallback
    views = {key: view for key, view in list_plugins("views").items() if has_gradients or not view.needs_gradients}
    tokens: dict[str, dict[int, Floats]] = {key: {} for key in views}
    rows: dict[int, Floats] = {}
    gradients: dict[int, Floats] = {}
    without_heads: list[int] = []
    for at, looks in read_attention_records(subject, prompts, with_gradients=has_gradients):
        without_heads = np.flatnonzero(np.isnan(looks.patterns).any(axis=(1, 2, 3))).tolist()
        if without_heads:
            # In a hybrid model attention alone does not mix the tokens, so multiplying it through the layers is meaningless.
            views, tokens = {}, {}
        rows[at] = looks.patterns[:, :, -1].copy()
        for key, view in views.items():
            tokens[key][at] = view.read(looks)
        if has_gradients:
            gradients[at] = weigh_gradients(looks)
        on_progress(len(rows), len(prompts))
    order = range(len(prompts))
    kept = [rows[at] for at in order]
    sources = [source for source in _SOURCES if source in list_sources(prompts)]
    heads: dict[str, NDArray] = {_SOURCES[source]: weigh_source(kept, prompts, source).mass for source in sources}
    pure = {*heads, *(key for key, view in views.items() if not view.needs_gradients)}
    if has_gradients:
        heads[GRADIENT_HEADS] = np.stack([gradients[at] for at in order], axis=-1)
    missing = [f"{name}: not every prompt contains that token." for s, name in _SOURCES.items() if s not in sources]
    if not has_gradients:
        missing.append(f"Views that need gradients: this model runs only as a whole ({subject.fallback}).")
    if without_heads:
        layers = ", ".join(map(str, without_heads))
        missing.append(f"Token views: layers {layers} have no heads and mix tokens in another way.")
    return ViewTable(
        heads,
        {key: [found[at] for at in order] for key, found in tokens.items()},
        kept,
        frozenset(pure),
        tuple(missing),
    )
