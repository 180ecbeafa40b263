"""The test of a label: whether a feature fires on held-out texts that the label describes, and not on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import ACTIVATIONS
from audit_core.dictionaries.dictionary import Dictionary, draw_dictionary
from audit_core.errors import Refused
from audit_core.features.results import LEAST_AUROC, LabelTest, LabelVerdict
from audit_core.prompts.answers import Tokens
from audit_core.stats.bootstrap import draw_weights, expanded_tail
from audit_core.stats.estimates import LEVEL, MIN_PROMPTS, MIN_TEMPLATES, Estimate
from audit_core.subject import Subject

MAX_TEXTS = 2_000
_BOOTSTRAP = 2_000


@dataclass(frozen=True)
class LabelledText:
    """A text, and whether the label describes it."""

    ids: Tokens
    is_described: bool
    template: str
    """Texts of one template are not independent; another name for each text if all are."""


def check_label(
    subject: Subject, dictionary: Dictionary, index: int, label: str, texts: Sequence[LabelledText], *, seed: int
) -> LabelTest:
    """Test a label by detection.

    Args:
        texts: held out: neither the label nor the feature was chosen on them. Without any, the label stays untested.

    Raises:
        Refused: too many texts, or all of one kind.
        ComponentRefused: the dictionary has no such feature.
    """
    name, shown = str(dictionary.component(index)), " ".join(label.split())[:120]
    if not texts:
        return LabelTest(component=name, label=shown, auroc=None, random_auroc=None, verdict=LabelVerdict.UNTESTED)
    described = np.array([text.is_described for text in texts])
    if len(texts) > MAX_TEXTS or described.all() or not described.any():
        raise Refused(
            f"{len(texts)} texts, {int(described.sum())} of them described by the label.",
            wanted=f"at most {MAX_TEXTS:,}, of both kinds.",
            remedy="mark some texts that it describes and some that it does not.",
        )
    rows = ACTIVATIONS.of(subject).read_stream([text.ids for text in texts], dictionary.layer)
    ends = np.cumsum([len(row) - 1 for row in rows])[:-1]
    x = np.concatenate([row[1:] for row in rows])
    random = draw_dictionary(dictionary, x, seed=seed)
    templates = [text.template for text in texts]

    def score(which: Dictionary) -> NDArray[np.float64]:
        return np.array([part[:, index].max(initial=0.0) for part in np.split(which.encode(x), ends)])

    found = estimate_auroc(score(dictionary), described, templates, seed=seed)
    verdict, why = judge_label(found)
    return LabelTest(
        component=name, label=shown, auroc=found,
        random_auroc=estimate_auroc(score(random), described, templates, seed=seed), verdict=verdict, why=why,
    )  # fmt: skip


def judge_label(auroc: Estimate) -> tuple[LabelVerdict, str]:
    """The verdict from the interval of the AUROC."""
    if auroc.n < MIN_PROMPTS or (auroc.templates or 0) < MIN_TEMPLATES or auroc.low is None or auroc.high is None:
        return LabelVerdict.UNRESOLVED, f"fewer than {MIN_PROMPTS} texts or {MIN_TEMPLATES} templates"
    if auroc.low > LEAST_AUROC:
        return LabelVerdict.PLAUSIBLE, ""
    if auroc.high < LEAST_AUROC:
        return LabelVerdict.WRONG, ""
    return LabelVerdict.UNRESOLVED, f"the interval of the AUROC includes {LEAST_AUROC}"


def estimate_auroc(
    scores: NDArray[np.float64], described: NDArray[np.bool_], templates: Sequence[str], *, seed: int
) -> Estimate:
    """Probability that a described text has a higher value than another, ties counting half, with an interval over templates.

    Args:
        scores, described: shape (text,).

    Source: Hanley and McNeil 1982; interval: percentile bootstrap over templates, widened for few of them.
    """
    wins = (scores[:, None] > scores[None]) + 0.5 * (scores[:, None] == scores[None])
    wins = wins * (described[:, None] & ~described[None])
    n = int(described.sum()) * int((~described).sum())
    value, weights = float(wins.sum() / n), draw_weights(templates, seed=seed, draws=_BOOTSTRAP)
    unit = "AUROC"
    if weights is None:
        return Estimate(value, None, None, len(scores), unit, None)
    pairs = (weights @ described) * (weights @ ~described)
    kept = weights[pairs > 0]
    # A draw without texts of one kind has no AUROC; with templates of both kinds there is none such.
    drawn = ((kept @ wins) * kept).sum(1) / pairs[pairs > 0]
    tail = expanded_tail(len(set(templates)), LEVEL)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), len(scores), unit, LEVEL, len(set(templates)))
