"""Which features of a dictionary fire differently in two versions of a model, on the same texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import ACTIVATIONS
from audit_core.circuits.circuit_search import share_progress
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.kind import NotEvidence, Observational
from audit_core.prompts.answers import Tokens
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import MIN_TEMPLATES, Estimate
from audit_core.stats.multiplicity import adjust_p_values, test_against_zero
from audit_core.subject import Floats, Progress, Subject, no_progress

SHOWN = 20
"""Features that a result lists."""
ALPHA = 0.05
"""Share of the listed differences that may be none (Benjamini–Hochberg)."""
SAME = 1e-9
"""Share of the variance up to which two streams differ by rounding alone."""
RATE, VALUE = "of the tokens", "activation units"
NOT_USE = "A difference in firing is not a difference in what the model uses: that is measured by intervening in each version."

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FiringChange:
    """One feature in both versions."""

    component: str
    first: Observational[Estimate]
    """Share of tokens on which it fires in the first version."""
    second: Observational[Estimate]
    rate: Observational[Estimate]
    """Second minus first."""
    value: Observational[Estimate]
    """Change of its mean value over all tokens, zeros included."""
    p_rate: NotEvidence[float]
    """Adjusted over all features and both measures."""
    p_value: NotEvidence[float]

    @property
    def differs(self) -> bool:
        return min(self.p_rate, self.p_value) < ALPHA


@dataclass(frozen=True, kw_only=True)
class FiringDifference:
    """All features in both versions."""

    finding: str
    unit: str
    """Of the firing rates."""
    dictionary: NotEvidence[str]
    """Digest of its weights."""
    dictionary_name: str
    layer: NotEvidence[int]
    """Layer whose input it reads."""
    models: NotEvidence[tuple[str, str]]
    weights_sha256: NotEvidence[tuple[str, str]]
    n: int
    """Texts."""
    n_clusters: int
    n_tokens: int
    n_features: int
    """Features that fire in at least three clusters of texts, in either version: those that are compared."""
    n_silent: int
    """Features that fire in neither version."""
    n_differ: Observational[int]
    """Features whose rate or mean value differs."""
    n_detectable: NotEvidence[int]
    """Positive control: compared features that the test would have found, each alone, had it fallen silent on these texts."""
    stream_change: Observational[float]
    """Mean squared change of the stream that the dictionary reads, as a share of its variance in the first version."""
    null_differ: NotEvidence[int | None]
    """The same of one version between two random splits of the texts; None with too few clusters to split."""
    fvu: Observational[tuple[float, float]]
    """Fraction of the variance that the dictionary does not rebuild in each version: it was trained on one of them."""
    rows: tuple[FiringChange, ...]
    """Those that differ most, by the change of their rate."""
    more: int
    """Features that differ and are not listed."""


def compare_firing(
    first: Subject,
    second: Subject,
    dictionary: Dictionary,
    rows: Sequence[Tokens],
    names: Sequence[str],
    *,
    seed: int,
    name: str = "",
    on_progress: Progress = no_progress,
) -> FiringDifference:
    """Compare how features fire on the same texts in two versions of a model.

    Args:
        names: the document or template of each text, over which intervals and tests are taken.
        name: of the dictionary, for display.

    Raises:
        Refused: the two read a text as different tokens, or have other widths.
        NotMeasured: too few clusters of texts, or no feature fires.
    """
    _check(first, second, dictionary, rows, names)
    both = [
        _read(subject, dictionary, rows, share_progress(on_progress, 2, at, 1))
        for at, subject in enumerate((first, second))
    ]
    fires = np.maximum(*(_count_clusters(one.rates, names) for one in both))
    tested = np.flatnonzero(fires >= MIN_TEMPLATES)
    if not len(tested):
        raise NotMeasured("not_active", "no feature fires in three clusters of these texts.")
    changes = [both[1].rates[tested] - both[0].rates[tested], both[1].values[tested] - both[0].values[tested]]
    p = adjust_p_values(np.concatenate(changes), names).reshape(2, -1)
    differ: NDArray[np.bool_] = p.min(0) < ALPHA
    order = np.lexsort((-np.abs(changes[1].mean(1)), -np.abs(changes[0].mean(1)), ~differ))
    found = tuple(
        FiringChange(
            component=str(dictionary.component(int(tested[at]))),
            first=bootstrap_mean(both[0].rates[tested[at]], names, unit=RATE, seed=seed),
            second=bootstrap_mean(both[1].rates[tested[at]], names, unit=RATE, seed=seed),
            rate=bootstrap_mean(changes[0][at], names, unit=RATE, seed=seed),
            value=bootstrap_mean(changes[1][at], names, unit=VALUE, seed=seed),
            p_rate=float(p[0, at]),
            p_value=float(p[1, at]),
        )
        for at in order[:SHOWN]
    )
    n_differ, null = int(differ.sum()), _count_null(both[0], tested, names, seed=seed)
    models = (first.identity.model, second.identity.model)
    detectable = _count_detectable(both[0].rates[tested], names)
    change = _measure_change(both[0].stream, both[1].stream)
    return FiringDifference(
        finding=_describe(n_differ, len(tested), null, detectable, change, models), unit=RATE, dictionary=dictionary.sha256,
        dictionary_name=name, layer=dictionary.layer, models=models, n_detectable=detectable, stream_change=change,
        weights_sha256=(first.identity.weights_sha256, second.identity.weights_sha256), n=len(rows),
        n_clusters=len(set(names)), n_tokens=sum(len(row) - 1 for row in rows), n_features=len(tested),
        n_silent=int((fires == 0).sum()), n_differ=n_differ, null_differ=null, fvu=(both[0].fvu, both[1].fvu), rows=found,
        more=max(0, n_differ - len(found)),
    )  # fmt: skip


def _check(
    first: Subject, second: Subject, dictionary: Dictionary, rows: Sequence[Tokens], names: Sequence[str]
) -> None:
    if first.identity.tokenizer_sha256 != second.identity.tokenizer_sha256:
        raise Refused(
            "The two models have different tokenizers.", wanted="versions that read a text as the same tokens.",
            remedy="compare two versions of one model.",
        )  # fmt: skip
    for subject in (first, second):
        if subject.geometry.d_model != dictionary.d_model or dictionary.layer >= subject.geometry.n_layers:
            raise Refused(
                f"A model of width {subject.geometry.d_model}, a dictionary of width {dictionary.d_model}.",
                wanted="both of one width.", remedy="choose a dictionary of this model.",
            )  # fmt: skip
    if len(rows) != len(names) or len(set(names)) < MIN_TEMPLATES:
        raise NotMeasured("low_power", f"{len(set(names))} clusters of texts; {MIN_TEMPLATES} are needed.")


@dataclass(frozen=True, eq=False)
class _Firing:
    """Shapes (feature, text)."""

    rates: Array
    values: Array
    fvu: float
    stream: Floats
    """Shape (token, d_model)."""


def _read(subject: Subject, dictionary: Dictionary, rows: Sequence[Tokens], on_progress: Progress) -> _Firing:
    """Firing on every text, without its first token."""
    read = ACTIVATIONS.of(subject).read_stream(rows, dictionary.layer, on_progress=on_progress)
    stream = [one[1:] for one in read]
    values = [dictionary.encode(one).astype(np.float64) for one in stream]
    whole = np.concatenate(stream)
    x = whole[np.linalg.norm(whole, axis=1) <= dictionary.longest]
    error, spread = x - dictionary.reconstruct(x), x - x.mean(0)
    return _Firing(
        np.stack([(one > 0).mean(0) for one in values], 1), np.stack([one.mean(0) for one in values], 1),
        float(np.square(error).sum() / np.square(spread).sum()), whole,
    )  # fmt: skip


def _measure_change(first: Floats, second: Floats) -> float:
    """Mean squared change as a share of the first's variance."""
    change, spread = second.astype(np.float64) - first, first.astype(np.float64) - first.mean(0)
    return float(np.square(change).sum() / np.square(spread).sum())


def _count_detectable(rates: Array, names: Sequence[str]) -> int:
    """Features whose falling silent would be found if no other feature changed: the strictest step of Benjamini–Hochberg."""
    return int((test_against_zero(-rates, names) * 2 * len(rates) < ALPHA).sum())


def _count_clusters(rates: Array, names: Sequence[str]) -> NDArray[np.int64]:
    """In how many clusters each feature fires."""
    members = np.array(names)
    return np.sum([(rates[:, members == name] > 0).any(1) for name in dict.fromkeys(names)], axis=0)


def _count_null(one: _Firing, tested: NDArray[np.intp], names: Sequence[str], *, seed: int) -> int | None:
    """How many features differ between random splits of the texts: clusters in random pairs, one of each in each split."""
    members, distinct = np.array(names), sorted(set(names))
    n = len(distinct) // 2
    if n < MIN_TEMPLATES:
        return None
    order = np.random.default_rng(seed).permutation(distinct)
    by_name = {
        name: np.concatenate([part[tested][:, members == name].mean(1) for part in (one.rates, one.values)])
        for name in distinct
    }
    apart = np.stack([by_name[order[at]] - by_name[order[n + at]] for at in range(n)], 1)
    p = adjust_p_values(apart, [str(at) for at in range(n)]).reshape(2, -1)
    return int((p.min(0) < ALPHA).sum())


def _describe(n_differ: int, n: int, null: int | None, detectable: int, change: float, models: tuple[str, str]) -> str:
    first, second = models
    if n_differ:
        said = f"{n_differ} of {n} features fire differently in {second} than in {first}, at a false discovery rate of {ALPHA:.0%}."
    else:
        said = f"None of {n} features was found to fire differently in {second} than in {first}."
        # What a null result is worth: the stream is the same, or it is not and so many changes would have been seen.
        same = (
            "The stream that they read is the same in both: what differs comes after it or is not used on these texts."
        )
        power = f"Had one feature alone fallen silent, the test would have found it for {detectable} of them."
        said = f"{said} {same if change <= SAME else power}"
    splits = "" if null is None else f" Between two random splits of the texts in one version, {null or 'none'} did."
    return f"{said}{splits} {NOT_USE}"
