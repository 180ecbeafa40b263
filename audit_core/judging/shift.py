"""Distribution shift of interventions: norm of the residual stream, and divergence on unrelated text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import MEANS
from audit_core.component import Kind
from audit_core.controls import check_arrived
from audit_core.data_folder import load_texts
from audit_core.effect import Effect
from audit_core.errors import ControlFailed, InterventionRefused, NotMeasured
from audit_core.intervention import CLEAN_RUN, Intervention, Replacement
from audit_core.prompts.answers import Contrast, Tokenizer
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, TokenPair
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.subject import MEAN_KINDS, Subject

TEXT_TOKENS = 16
"""Tokens of each unrelated text; all have one length, so that they share a batch and serve as resample counterparts."""
NORM_UNIT = "standard deviations of unedited runs"
DIVERGENCE_UNIT = "nats"


@dataclass(frozen=True)
class DistributionShift:
    """Distribution shift of the runs behind a verdict."""

    norms: dict[str, Estimate]
    """Per ablation family: deviation of the final residual stream's norm from its mean over unedited runs; empty if the
    norm does not vary or is unknown."""
    divergence: dict[str, Estimate]
    """Per ablation family: KL(clean ‖ ablated) of the next token on unrelated text; n counts texts."""
    not_measured: str
    """Why there is no divergence; empty if there is."""
    in_range: dict[str, Estimate] = field(default_factory=dict)
    """Per ablation family: effect with every neuron of later MLPs kept within its range on unedited runs, in the unit of
    the claim; see `usual_range`. Empty if not measured."""
    no_range: str = ""
    """Why there is none; empty if there is, and in results of earlier versions."""


def measure_norm_shift(effect: Effect, rows: Mapping[Replacement, int]) -> dict[Replacement, NDArray[np.float64]]:
    """Deviation of each family's residual norm from the unedited runs, per prompt, in their standard deviations.

    Args:
        rows: ablation family → index of its intervention.

    Returns:
        Shape (prompt,) each; empty if the norm of unedited runs does not vary or is unknown.

    Raises:
        ControlFailed: a norm is NaN.
    """
    if effect.norms is None:
        return {}
    if not np.isfinite(effect.norms).all():
        raise ControlFailed("A norm of the residual stream is NaN; the distribution shift is unknown.")
    usual, edited = effect.norms[:2], effect.norms[2:]
    centre, spread = float(usual.mean()), float(usual.std())
    # A spread below numerical noise cannot be used as a unit.
    if not spread > 1e-5 * centre:
        return {}
    return {family: (edited[row] - centre) / spread for family, row in rows.items()}


def average_shift(shift: NDArray[np.float64], clusters: Sequence[str], *, seed: int) -> Estimate:
    """Mean of `measure_norm_shift` over prompts."""
    return bootstrap_mean(shift, clusters, unit=NORM_UNIT, seed=seed)


def measure_divergence(
    subject: Subject, interventions: Mapping[str, Intervention], *, seed: int
) -> dict[str, Estimate]:
    """KL(clean ‖ ablated) of the next token on unrelated text; the resample counterpart of a text is the next text.

    Args:
        interventions: by name, such as the ablation family.

    Raises:
        NotMeasured: the tokenizer cannot encode the text, or components have positions outside it.
        ControlFailed: an edit was not applied.
    """
    texts = pair_texts(subject.tokenizer)
    kinds = frozenset(part.kind for i in interventions.values() for part in i.components)
    means = MEANS.of(subject).capture_means(texts, kinds=kinds & {*MEAN_KINDS, Kind.EDGE, Kind.EXPERT})
    try:
        logits = subject.run(texts, (CLEAN_RUN, *interventions.values()), means=means, vocabulary=True, seed=seed)
    except InterventionRefused as error:
        raise NotMeasured("off_distribution", f"on unrelated text: {error}") from error
    check_arrived(logits.edits_applied, tuple(interventions.values()), texts)
    assert logits.vocabulary is not None
    clean, *edited = _log_softmax(logits.vocabulary.astype(np.float64))
    found = {}
    for name, row in zip(interventions, edited, strict=True):
        divergence = (np.exp(clean) * (clean - row)).sum(-1)
        if not np.isfinite(divergence).all():
            raise NotMeasured("control_failed", "on unrelated text the model produced NaN.")
        found[str(name)] = bootstrap_mean(divergence, texts.templates, unit=DIVERGENCE_UNIT, seed=seed)
    return found


def pair_texts(tokenizer: Tokenizer) -> TokenisedPrompts:
    """The shipped texts as pairs of neighbours, of `TEXT_TOKENS` tokens; each text is its own template.

    Raises:
        NotMeasured: the tokenizer cannot encode them.
    """
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    rows = []
    for text in load_texts():
        ids = tokenizer.encode(text)
        if "".join(map(tokenizer.piece, ids)).replace(" ", "") != text.replace(" ", ""):
            raise NotMeasured("off_distribution", "this model's tokenizer cannot encode ordinary text.")
        rows.append(tuple((bos + ids)[:TEXT_TOKENS]))
    pieces = [tuple(map(tokenizer.piece, row)) for row in rows]
    # The texts have no answer: the whole vocabulary is read, and the two ids are placeholders.
    pairs = tuple(
        TokenPair(
            Prompt(f"text-{at}", "", "", "", "", f"text-{at}"),
            rows[at],
            rows[(at + 1) % len(rows)],
            Contrast((), ((0,),), ((1,),)),
            pieces[at],
            pieces[(at + 1) % len(rows)],
        )
        for at in range(len(rows))
    )
    return TokenisedPrompts("unrelated text", pairs, "")


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import log_softmax

    values: NDArray[np.float64] = log_softmax(logits, axis=-1)
    return values
