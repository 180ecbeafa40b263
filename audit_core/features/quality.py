"""The quality of a dictionary on held-out texts, and its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audit_core.activations import StreamChange
from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.dictionary import Dictionary, draw_dictionary
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.features.training import Recipe
from audit_core.prompts.answers import Tokens
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import Floats, Subject

MOST_LOST = 1e-4
"""Nats by which the loss may change when activations are replaced by themselves."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a dictionary was trained on, and how well it rebuilds activations that it has not seen."""

    sha256: NotEvidence[str]
    """Of the weights."""
    model: NotEvidence[str]
    text_sha256: NotEvidence[str]
    recipe: NotEvidence[Recipe]
    train_tokens: NotEvidence[int]
    held_out_tokens: NotEvidence[int]
    fvu: Observational[float]
    """Fraction of the variance that is not explained."""
    l0: Observational[float]
    """Active features per token."""
    dead_share: Observational[float]
    """Share of features that no held-out token activates."""
    loss_clean: Observational[Estimate]
    loss_added: Causal[Estimate]
    """Rise of the loss with the reconstruction in the place of the activations."""
    recovered_from_zero: Causal[Estimate]
    """Share of the loss of zero ablation that the reconstruction avoids."""
    recovered_from_mean: Causal[Estimate]
    """The same against the mean activation, which is the harder comparison."""
    random_recovered_from_mean: Causal[Estimate]
    """What a dictionary of random directions with the same firing rates recovers."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Training:
    """Where a dictionary came from, for its card."""

    model: str
    text_sha256: str
    recipe: Recipe
    train_tokens: int


def measure_quality(
    subject: Subject,
    dictionary: Dictionary,
    rows: Sequence[Tokens],
    names: Sequence[str],
    training: Training,
    *,
    seed: int,
) -> Card:
    """Measure a dictionary on texts that it was not trained on.

    Args:
        rows: held-out texts.
        names: the document of each, over which intervals are taken.

    Raises:
        Refused: too few texts.
        ControlFailed: replacing activations by themselves changed the loss, or zeroing them did not.
        NotMeasured: the model predicts these texts no better without the site.
    """
    if len(rows) < 4:
        raise Refused(f"{len(rows)} held-out texts.", wanted="4 or more.", remedy="give more text.")
    stream = ACTIVATIONS.of(subject)
    x = np.concatenate([one[1:] for one in stream.read_stream(rows, dictionary.layer)])
    values = dictionary.encode(x)
    is_read = np.linalg.norm(x, axis=1) <= dictionary.longest
    error, spread = (x - dictionary.reconstruct(x))[is_read], x[is_read] - x[is_read].mean(0)
    mean = x[is_read].mean(0)
    random = draw_dictionary(dictionary, x, seed=seed)
    changes: dict[str, StreamChange | None] = {
        "clean": None, "own": lambda a: a.copy(), "zero": np.zeros_like,
        "mean": lambda a: np.broadcast_to(mean, a.shape).astype(np.float32), "built": dictionary.reconstruct,
        "random": random.reconstruct,
    }  # fmt: skip
    losses = {name: stream.measure_losses(rows, dictionary.layer, change) for name, change in changes.items()}
    clean = losses["clean"]
    check_losses(losses)

    def share(kind: str, against: str) -> Estimate:
        gap = losses[against] - clean
        return bootstrap_ratio(
            losses[against] - losses[kind], gap, names, unit=f"of the loss of {against} ablation", seed=seed
        )

    return Card(
        sha256=dictionary.sha256, model=training.model, text_sha256=training.text_sha256, recipe=training.recipe,
        train_tokens=training.train_tokens, held_out_tokens=int(is_read.sum()),
        fvu=float(np.square(error).sum() / np.square(spread).sum()), l0=float((values[is_read] > 0).sum(1).mean()),
        dead_share=float((~(values > 0).any(0)).mean()), loss_clean=bootstrap_mean(clean, names, unit="nats", seed=seed),
        loss_added=bootstrap_mean(losses["built"] - clean, names, unit="nats", seed=seed),
        recovered_from_zero=share("built", "zero"), recovered_from_mean=share("built", "mean"),
        random_recovered_from_mean=share("random", "mean"),
    )  # fmt: skip


def check_losses(losses: Mapping[str, Floats]) -> None:
    """Identity changes nothing, zeroing something, and the mean leaves something to recover."""
    clean = losses["clean"]
    if (moved := float(np.abs(losses["own"] - clean).max())) > MOST_LOST:
        raise ControlFailed(f"Replacing activations by themselves changed the loss by {moved:.3g} nats.")
    if not float((losses["zero"] - clean).mean()) > 100 * MOST_LOST:
        raise ControlFailed("Zeroing the residual stream did not raise the loss.")
    if not float((losses["mean"] - clean).mean()) > 0:
        raise NotMeasured(
            "model_fails_task", "the mean activation predicts these texts as well; nothing is to be recovered."
        )
