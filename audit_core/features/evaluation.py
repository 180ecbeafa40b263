"""A dictionary evaluated in the manner of SAEBench, each measure beside random directions and principal components.

Only measures that survived checks of their validity: loss recovered, sparse probing, and absorption with its caveat.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.activations import Activations
from audit_core.capability import ACTIVATIONS
from audit_core.circuits.circuit_search import share_progress
from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.dictionaries.dictionary import Dictionary, draw_dictionary
from audit_core.errors import ControlFailed, Refused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.features.absorption import measure_absorption, read_letter_words
from audit_core.features.measurement import list_principal
from audit_core.features.quality import MOST_LOST, check_losses
from audit_core.probes.linear import deal_templates, fit_probe
from audit_core.prompts.answers import Tokens
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import MIN_TEMPLATES, Estimate
from audit_core.stats.shares import share_by_cluster
from audit_core.subject import Floats, Progress, Subject, no_progress

OWN, RANDOM, PRINCIPAL, NEURONS, WHOLE = (
    "this dictionary", "random directions", "principal components", "dimensions of the stream", "the whole stream",
)  # fmt: skip
FEW, SEVERAL = 1, 5
"""Features that a sparse probe may use."""
OF_TEXTS = "of the held-out texts"
STEPS = 10
"""Of the progress: reading, eight runs of the texts with a replacement or without, and what is read of the stream."""
_NOISE = 10.0
"""Standard deviations of the activations."""


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Texts with one of two labels, read at their last token."""

    name: str
    rows: tuple[Tokens, ...]
    is_second: NDArray[np.bool_]
    templates: tuple[str, ...]

    def to_json(self) -> list[Any]:
        """What identifies them in the description of a request."""
        read = [self.rows, self.is_second.tolist(), self.templates]
        return [self.name, len(self.rows), hashlib.sha256(json.dumps(read).encode()).hexdigest()]


@dataclass(frozen=True, kw_only=True)
class FamilyScore:
    """One family of directions on every measure; None where a measure does not apply."""

    family: str
    n_features: int
    l0: Observational[float | None]
    """Active features per token."""
    fvu: Observational[float | None]
    """Fraction of the variance that is not rebuilt."""
    loss_added: Causal[Estimate | None]
    """Rise of the loss with the reconstruction in the place of the activations."""
    recovered: Causal[Estimate | None]
    """Share of the loss of mean ablation that the reconstruction avoids."""
    probe_one: Observational[Estimate | None]
    """Held-out accuracy of a probe on one feature."""
    probe_five: Observational[Estimate | None]
    """On five features; of the whole stream, on all dimensions."""
    letters: Observational[Estimate | None]
    """F1 of features of first letters."""
    absorbed: Observational[Estimate | None]
    """Share of words whose letter another feature carries; see `absorption.CAVEAT`."""


@dataclass(frozen=True, kw_only=True)
class DictionaryEvaluation:
    """A dictionary beside the baselines."""

    finding: str
    unit: str
    """Of the losses."""
    dictionary: NotEvidence[str]
    """Digest of its weights."""
    dictionary_name: str
    layer: NotEvidence[int]
    """Layer whose input it reads."""
    model: NotEvidence[str]
    weights_sha256: NotEvidence[str]
    n: int
    """Texts of the losses."""
    n_clusters: int
    n_tokens: int
    labels: str
    """File of the labelled texts; empty without one."""
    chance: NotEvidence[float | None]
    """Accuracy of always naming the more frequent label."""
    loss_clean: Observational[Estimate]
    families: tuple[FamilyScore, ...]
    controls: NotEvidence[Controls]
    """Of the replacement, on every text, in nats."""


def evaluate_dictionary(
    subject: Subject,
    dictionary: Dictionary,
    rows: Sequence[Tokens],
    names: Sequence[str],
    labelled: LabelledRows | None,
    *,
    seed: int,
    name: str = "",
    on_progress: Progress = no_progress,
) -> DictionaryEvaluation:
    """Measure a dictionary, random directions and principal components on texts that it was not trained on.

    Args:
        names: the document or template of each text, over which intervals are taken.
        labelled: texts of two labels for sparse probes.
        name: of the dictionary, for display.

    Raises:
        Refused: too few texts, or labelled ones of too few templates.
        ControlFailed: replacing activations by themselves changed the loss, or zeroing them did not.
        NotMeasured: the model predicts these texts no better without the site.
    """
    if len(rows) < 4:
        raise Refused(f"{len(rows)} texts.", wanted="4 or more.", remedy="give more text.")
    stream = ACTIVATIONS.of(subject)
    reading = share_progress(on_progress, STEPS, 0, 1)
    x = np.concatenate([one[1:] for one in stream.read_stream(rows, dictionary.layer, on_progress=reading)])
    x = x[np.linalg.norm(x, axis=1) <= dictionary.longest]
    l0 = float((dictionary.encode(x) > 0).sum(1).mean())
    families = {
        OWN: dictionary, RANDOM: draw_dictionary(dictionary, x, seed=seed),
        # As many components as features are active, so that both describe a token with as many numbers.
        PRINCIPAL: list_principal(dictionary, x, max(1, round(l0))),
    }  # fmt: skip
    losses = _measure_losses(
        stream, dictionary.layer, rows, x.mean(0), families, seed, share_progress(on_progress, STEPS, 1, STEPS - 2)
    )
    controls = _check_noise(losses, len(rows))
    probes = {} if labelled is None else _probe_families(subject, dictionary, families, labelled)
    words = read_letter_words(subject, dictionary.layer)
    found = []
    for family, directions in families.items():
        score = _score(family, directions, x, losses, names, seed)
        one, five = probes.get(family, (None, None))
        # Principal components are never silent, so that nothing can be absorbed.
        letters = None if words is None or family == PRINCIPAL else measure_absorption(directions, words, seed=seed)
        f1, absorbed = (None, None) if letters is None else (letters.f1, letters.share)
        found.append(replace(score, probe_one=one, probe_five=five, letters=f1, absorbed=absorbed))
    found += [_score_probe(name, *probes[name]) for name in (NEURONS, WHOLE) if name in probes]
    on_progress(STEPS, STEPS)
    return DictionaryEvaluation(
        finding=_describe(found), unit="nats", dictionary_name=name, layer=dictionary.layer, controls=controls, dictionary=dictionary.sha256, model=subject.identity.model,
        weights_sha256=subject.identity.weights_sha256, n=len(rows), n_clusters=len(set(names)), n_tokens=len(x),
        labels="" if labelled is None else labelled.name,
        chance=None if labelled is None else float(max(labelled.is_second.mean(), 1 - labelled.is_second.mean())),
        loss_clean=bootstrap_mean(losses["clean"], names, unit="nats", seed=seed), families=tuple(found),
    )  # fmt: skip


def _measure_losses(
    stream: Activations,
    layer: int,
    rows: Sequence[Tokens],
    mean: Floats,
    families: Mapping[str, Dictionary],
    seed: int,
    on_progress: Progress,
) -> dict[str, Floats]:
    """Loss of each text in nats, shape (text,): as it is, with the site replaced by itself, zero, noise and its mean, and by each
    family.

    Raises:
        ControlFailed: replacing activations by themselves changed the loss, or zeroing them did not.
    """  # fmt: skip
    draw = np.random.default_rng(seed)
    changes = {
        "clean": None, "own": lambda a: a.copy(), "zero": np.zeros_like,
        "noise": lambda a: (a + draw.normal(size=a.shape) * _NOISE * a.std()).astype(np.float32),
        "mean": lambda a: np.broadcast_to(mean, a.shape).astype(np.float32),
    } | {name: one.reconstruct for name, one in families.items()}  # fmt: skip
    losses: dict[str, Floats] = {}
    for name, change in changes.items():
        losses[name] = stream.measure_losses(rows, layer, change)
        on_progress(len(losses), len(changes))
    check_losses(losses)
    return losses


def _check_noise(losses: Mapping[str, Floats], n: int) -> Controls:
    """Identity and noise controls of the replacement, text by text.

    Raises:
        ControlFailed: noise left the loss of a text as it was.
    """
    identity = float(np.abs(losses["own"] - losses["clean"]).max())
    moved = float(np.abs(losses["noise"] - losses["clean"]).min())
    if not moved > NOISE_FACTOR * MOST_LOST:
        raise ControlFailed(f"Large noise in the residual stream changed the loss of a text by {moved:.3g} nats alone.")
    return Controls(identity, moved, MOST_LOST, n * (len(losses) - 1))


def _score(
    name: str, one: Dictionary, x: Floats, losses: Mapping[str, Floats], names: Sequence[str], seed: int
) -> FamilyScore:
    error, spread = x - one.reconstruct(x), x - x.mean(0)
    gap = losses["mean"] - losses["clean"]
    return FamilyScore(
        family=name, n_features=len(one), l0=float((one.encode(x) > 0).sum(1).mean()),
        fvu=float(np.square(error).sum() / np.square(spread).sum()),
        loss_added=bootstrap_mean(losses[name] - losses["clean"], names, unit="nats", seed=seed),
        recovered=bootstrap_ratio(
            losses["mean"] - losses[name], gap, names, unit="of the loss of mean ablation", seed=seed
        ),
        probe_one=None, probe_five=None, letters=None, absorbed=None,
    )  # fmt: skip


def _score_probe(name: str, one: Estimate | None, several: Estimate | None) -> FamilyScore:
    return FamilyScore(
        family=name, n_features=0, l0=None, fvu=None, loss_added=None, recovered=None, probe_one=one, probe_five=several,
        letters=None, absorbed=None,
    )  # fmt: skip


def _probe_families(
    subject: Subject, dictionary: Dictionary, families: Mapping[str, Dictionary], labelled: LabelledRows
) -> dict[str, tuple[Estimate | None, Estimate | None]]:
    """Held-out accuracies of sparse probes, and of one on the whole stream."""
    if len(set(labelled.templates)) < MIN_TEMPLATES or labelled.is_second.all() or not labelled.is_second.any():
        raise Refused(
            f"Labelled texts of {len(set(labelled.templates))} templates.",
            wanted=f"{MIN_TEMPLATES} or more, and two labels.", remedy="give more labelled texts.",
        )  # fmt: skip
    read = ACTIVATIONS.of(subject).read_stream(labelled.rows, dictionary.layer)
    x = np.stack([one[-1] for one in read])
    columns = {name: one.encode(x) for name, one in families.items()} | {NEURONS: x}
    found: dict[str, tuple[Estimate | None, Estimate | None]] = {
        name: (probe_sparsely(values, labelled, FEW), probe_sparsely(values, labelled, SEVERAL))
        for name, values in columns.items()
    }
    return found | {WHOLE: (None, probe_sparsely(x, labelled, x.shape[1]))}


def probe_sparsely(values: Floats, labelled: LabelledRows, k: int) -> Estimate:
    """Accuracy on texts of other templates of a probe on `k` columns, chosen where it is trained.

    Columns are chosen by the difference of the labels' means in standard deviations.

    Args:
        values: shape (text, feature).

    Source: Gurnee et al. 2023, arXiv:2305.01610.
    """
    y, x = labelled.is_second, values.astype(np.float64)
    folds, right = deal_templates(labelled.templates, seed=0), np.zeros(len(y), bool)
    for fold in np.unique(folds):
        train, held = folds != fold, folds == fold
        spread = x[train].std(0)
        apart = np.abs(x[train & y].mean(0) - x[train & ~y].mean(0))
        chosen = np.argsort(-np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0), kind="stable")[:k]
        probe = fit_probe(x[train][:, chosen], y[train])
        right[held] = (probe.score(x[held][:, chosen]) > 0) == y[held]
    return share_by_cluster(right.tolist(), labelled.templates, OF_TEXTS)


def _describe(found: Sequence[FamilyScore]) -> str:
    """Which measures are above both baselines by whole intervals."""
    rows = {one.family: one for one in found}
    measures = {"loss recovered": "recovered", "probing by one feature": "probe_one", "probing by five": "probe_five"}
    said = []
    for title, field in measures.items():
        own, others = getattr(rows[OWN], field), [getattr(rows[name], field) for name in (RANDOM, PRINCIPAL)]
        if own is None or own.low is None:
            continue
        beaten = [name for name, other in zip((RANDOM, PRINCIPAL), others, strict=True) if _is_above(own, other)]
        said.append(f"{title}: above {' and '.join(beaten) if beaten else 'neither baseline'}")
    return (
        f"By whole intervals, this dictionary is, in {'; in '.join(said)}." if said else "No measure has an interval."
    )


def _is_above(own: Estimate, other: Estimate | None) -> bool:
    return other is not None and own.low is not None and other.high is not None and own.low > other.high
