"""Attention of every head from the answer position: observational, separate from effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from audit_core.attention.plausibility import Source, normalised_entropy, weigh_source
from audit_core.audit import Audit, Example
from audit_core.capability import ATTENTION, HEADS, Capability
from audit_core.evidence.kind import Observational
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.bootstrap import bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.subject import Means, Progress, Subject, no_partial

UNIT = "share of attention"


@dataclass(frozen=True)
class AttentionRequest(Request):
    """Request: source token and prompts."""

    prompts: TokenisedPrompts
    source: Annotated[Source, Ask("Source token", "The token whose attention is read.")]
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AttentionResult:
    """Attention from the answer position to one source token, on the clean run."""

    source: str
    n: int
    n_layers: int
    n_heads: int
    mass: Observational[tuple[Estimate | None, ...]]
    """Per head, layer by layer; unit "share of attention"; None in a layer without heads."""
    per_prompt: Observational[tuple[tuple[float, ...], ...]]
    """Shape (head, prompt), heads layer by layer; empty in a layer without heads."""
    entropy: Observational[tuple[float | None, ...]]
    """Mean normalised entropy of each head's attention; 0 on one token, 1 if uniform; None in a layer without heads."""
    positions: tuple[int, ...]
    """Source position in each prompt."""


def find_attention_line(result: AttentionResult) -> float:
    """Attention mass above which a head counts as attending: the 95th percentile over all heads (methods 1.7)."""
    return float(np.quantile([estimate.value for estimate in result.mass if estimate is not None], 0.95))


_EXAMPLES = (
    Example(
        {"source": "answer"},
        "L1.H0 attends to the answer alone, and so do its decoys L1.H1 and L1.H2.",
        lambda found: all(found.mass[found.n_heads + index].value > 0.99 for index in range(3)),
    ),
)


@dataclass(frozen=True)
class AttentionAudit(Audit):
    name: str = "attention"
    question: str = "Where does each head attend from the answer position?"
    request: type[Request] = AttentionRequest
    result: type = AttentionResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ()
    shows_results: bool = False
    demands: tuple[Capability[Any], ...] = (HEADS, ATTENTION)

    def count_work(self, subject: Subject, request: AttentionRequest) -> int:
        return subject.geometry.n_layers * sum(len(pair.clean_ids) for pair in request.prompts.pairs)

    def run(
        self,
        subject: Subject,
        request: AttentionRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> AttentionResult:
        attention = ATTENTION.of(subject).attention_to_last(request.prompts, on_progress=on_progress)
        weighed = weigh_source(attention, request.prompts, request.source)
        n_layers, n_heads, n = weighed.mass.shape
        flat = weighed.mass.reshape(-1, n)
        entropy = (sum(normalised_entropy(rows) for rows in attention) / n).ravel().tolist()
        # Layers of a hybrid model without attention are NaN in every prompt.
        known = [bool(np.isfinite(row).all()) for row in flat]
        there = flat[np.array(known)]
        mass = iter(bootstrap_ratios(there, there[0] * 0 + 1, request.prompts.templates, unit=UNIT, seed=request.seed))
        return AttentionResult(
            source=request.source.value,
            n=n,
            n_layers=n_layers,
            n_heads=n_heads,
            mass=tuple(next(mass) if is_known else None for is_known in known),
            per_prompt=tuple(tuple(row) if is_known else () for row, is_known in zip(flat.tolist(), known)),
            entropy=tuple(value if is_known else None for value, is_known in zip(entropy, known)),
            positions=weighed.positions,
        )


PLUGIN = AttentionAudit()
