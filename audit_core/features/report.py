"""The audit of features: which are measured, on what, and both findings about each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.capability import ACTIVATIONS
from audit_core.component import Kind, parse_components, resid
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.shelf import find_dictionary, open_dictionary
from audit_core.errors import ComponentRefused, Refused
from audit_core.features.labels import LabelledText, check_label
from audit_core.features.measurement import ALPHA, FIXED, LEAD, MAX_FEATURES, measure_activity, measure_features
from audit_core.features.request import FeatureRow, FeaturesRequest, FeaturesResult
from audit_core.features.results import (
    DELTA,
    LEAST_AUROC,
    EffectsReport,
    EffectVerdict,
    FeatureEffect,
    LabelTest,
    LabelVerdict,
    describe_both,
)
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import MIN_PROMPTS
from audit_core.subject import Progress, Subject

NO_ANSWERS = "the texts of the file have no answers, so that nothing is read from the model"


@dataclass(frozen=True)
class Choice:
    """The features and the prompts that they are measured on."""

    features: tuple[int, ...]
    prompts: TokenisedPrompts
    n_chosen_on: int


def count_work_of(subject: Subject, request: FeaturesRequest) -> int:
    """Units of work of a request: one run of each prompt for every edit."""
    layer = find_dictionary(request.dictionary).load().layer
    k = len(read_features(request.features)) or request.most
    draws = math.ceil(k / ALPHA) - 1 if len(request.prompts) >= MIN_PROMPTS else 0
    runs = [Intervention((Edit(resid(layer), Replacement.RESAMPLE),))] * (1 + k * (FIXED + draws))
    return subject.count_work(request.prompts, runs)


def read_features(text: str) -> tuple[tuple[int, int], ...]:
    """Layer and number of each address.

    Raises:
        ComponentRefused: an address of something else.
    """
    parts = parse_components(text) if text.strip() else ()
    for part in parts:
        if part.kind is not Kind.FEATURE or part.position is not None:
            raise ComponentRefused(
                f"{part} is no feature on all tokens.", wanted="addresses such as L12.F431.", remedy="name features."
            )
    return tuple((part.layer, part.index or 0) for part in parts)


def measure_request(subject: Subject, request: FeaturesRequest, on_progress: Progress) -> FeaturesResult:
    """Observe features, test their label, and ablate them.

    Raises:
        Refused, ComponentRefused: features or a label that cannot be used.
        ModelRefused: see `open_dictionary`.
        NotMeasured, ControlFailed: see `measure_features`.
    """
    entry, dictionary = open_dictionary(subject, request.dictionary)
    choice = choose_features(subject, dictionary, request)
    prompts = choice.prompts
    tests = [_test_label(subject, dictionary, one, prompts, request) for one in choice.features]
    has_answers = all(pair.prompt.answer for pair in prompts.pairs)
    if has_answers:
        report = measure_features(
            subject, dictionary, prompts, choice.features, seed=request.seed, on_progress=on_progress
        )
        effects: Sequence[FeatureEffect] = report.features
    else:
        report, effects = None, _list_unmeasured(subject, dictionary, prompts, choice.features)
    rows = tuple(_join(test, effect) for test, effect in zip(tests, effects, strict=True))
    return FeaturesResult(
        finding=_say(rows), unit=LEAD, dictionary=entry.name, dictionary_sha256=dictionary.sha256, layer=dictionary.layer,
        n=len(prompts), n_templates=len(set(prompts.templates)), n_chosen_on=choice.n_chosen_on,
        described=request.described, rows=rows, no_effect="" if has_answers else NO_ANSWERS,
        delta=DELTA, least_auroc=LEAST_AUROC, file_name=request.file_name, file_sha256=request.file_sha256,
        left_out=request.left_out, **_describe_run(report),
    )  # fmt: skip


def choose_features(subject: Subject, dictionary: Dictionary, request: FeaturesRequest) -> Choice:
    """The named features on all prompts; without any, the best on half of the templates, measured on the rest.

    Best are those whose largest value in a text tells described texts from others best (AUROC); without a label, those with
    the largest mean value.

    Raises:
        Refused: too few templates to choose on, or no feature is active.
        ComponentRefused: a feature that the dictionary lacks.
    """
    prompts = request.prompts
    if named := read_features(request.features):
        for layer, index in named:
            if layer != dictionary.layer:
                raise ComponentRefused(
                    f"L{layer}.F{index}, with a dictionary of layer {dictionary.layer}.",
                    wanted=f"L{dictionary.layer}.F0 to L{dictionary.layer}.F{len(dictionary) - 1}.",
                    remedy="name features of this dictionary.",
                )
            dictionary.component(index)
        return Choice(tuple(index for _, index in named), prompts, 0)
    names = sorted(set(prompts.templates))
    if len(names) < 4 or not 1 <= request.most <= MAX_FEATURES:
        raise Refused(
            f"{request.most} features to be chosen on half of {len(names)} templates.",
            wanted=f"1 to {MAX_FEATURES} features, and 4 templates or more.",
            remedy="name the features, or give prompts of more templates.",
        )
    first = set(np.random.default_rng(request.seed).permutation(names)[: len(names) // 2].tolist())
    half = np.array([name in first for name in prompts.templates])
    searched, measured = (prompts.take(tuple(map(int, np.flatnonzero(which)))) for which in (half, ~half))
    scores = _score(subject, dictionary, searched, request)
    best = [int(one) for one in np.argsort(-scores, kind="stable")[: request.most] if scores[one] > 0]
    if not best:
        raise Refused("No feature is active.", wanted="prompts on which one is.", remedy="give other prompts.")
    return Choice(tuple(best), measured, len(searched))


def _score(subject: Subject, dictionary: Dictionary, prompts: TokenisedPrompts, request: FeaturesRequest) -> np.ndarray:
    rows = ACTIVATIONS.of(subject).read_stream([pair.clean_ids for pair in prompts.pairs], dictionary.layer)
    values = [dictionary.encode(one[1:]) for one in rows]
    if not request.described:
        return np.asarray(np.concatenate(values).mean(0))
    described = np.array([text.is_described for text in list_labelled(prompts, request)])
    if described.all() or not described.any():
        raise Refused(
            f"No text with another label than {request.described[:60]!r}, or none with it, among those that features are chosen on.",
            wanted="texts of both kinds in each half of the templates.", remedy="name the features, or the other label.",
        )  # fmt: skip
    top = np.stack([one.max(0, initial=0) for one in values])
    ours, others = top[described][:, None], top[~described][None]
    return np.asarray(((ours > others) + 0.5 * (ours == others)).mean((0, 1)) * (top > 0).any(0))


def list_labelled(prompts: TokenisedPrompts, request: FeaturesRequest) -> list[LabelledText]:
    """The clean texts, with whether their label, or their answer in a prompt set, is the described one; each text once."""
    found = {}
    for pair in prompts.pairs:
        label = pair.prompt.group if request.file_sha256 else pair.prompt.answer.strip()
        name = pair.cluster or pair.prompt.template
        found[pair.clean_ids] = LabelledText(pair.clean_ids, label == request.described, name)
    return list(found.values())


def _test_label(
    subject: Subject, dictionary: Dictionary, index: int, prompts: TokenisedPrompts, request: FeaturesRequest
) -> LabelTest:
    texts = list_labelled(prompts, request) if request.described else []
    return check_label(subject, dictionary, index, request.described, texts, seed=request.seed)


def _list_unmeasured(
    subject: Subject, dictionary: Dictionary, prompts: TokenisedPrompts, features: Sequence[int]
) -> list[FeatureEffect]:
    """Activity alone: no effect is measured, and none is reported."""
    activity = measure_activity(subject, dictionary, prompts)
    return [
        FeatureEffect(
            component=str(dictionary.component(one)), firing_rate=float(activity.rates[one]),
            mean_value=float(activity.strengths[one]), zeroed=None, mean_set=None, matched=0, largest_matched=None,
            p_matched=None, verdict=EffectVerdict.UNRESOLVED, why=NO_ANSWERS,
        )
        for one in features
    ]  # fmt: skip


def _join(test: LabelTest, effect: FeatureEffect) -> FeatureRow:
    return FeatureRow(
        component=effect.component, both=describe_both(test, effect), firing_rate=effect.firing_rate,
        mean_value=effect.mean_value, label_verdict=test.verdict, label_why=test.why, auroc=test.auroc,
        random_auroc=test.random_auroc, effect_verdict=effect.verdict, effect_why=effect.why, zeroed=effect.zeroed,
        mean_set=effect.mean_set, matched=effect.matched, largest_matched=effect.largest_matched,
    )  # fmt: skip


def _describe_run(report: EffectsReport | None) -> dict[str, Any]:
    names = ("lead", "control", "identity_max", "noise_min", "level", "controls")
    return {name: None if report is None else getattr(report, name) for name in names}


def _say(rows: Sequence[FeatureRow]) -> str:
    """The sentence above the figures."""
    if len(rows) <= 3:
        return ". ".join(row.both for row in rows) + "."
    effects = sum(row.effect_verdict is EffectVerdict.EFFECT for row in rows)
    none = sum(row.effect_verdict is EffectVerdict.NONE for row in rows)
    plausible = sum(row.label_verdict is LabelVerdict.PLAUSIBLE for row in rows)
    return f"Of {len(rows)} features, {effects} have an effect, {none} have none, {plausible} have a plausible label."
