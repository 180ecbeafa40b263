"""Effects of features on the lead of prompt pairs, against features that fire as often and as strongly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import ACTIVATIONS
from audit_core.component import resid
from audit_core.dictionaries.dictionary import Activity, Dictionary
from audit_core.effect import MIN_ACCURACY, Effect, get_metric, measure_effect
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.features.results import DELTA, EffectsReport, EffectVerdict, FamilyEffect, FeatureEffect
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.judging.verdict import State, classify
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate
from audit_core.subject import Progress, Subject, no_progress

ALPHA = 0.05
MATCH = 2.0
"""A matched feature fires between 1 / 2 and 2 times as often, and as strongly."""
MAX_FEATURES, MAX_TRIED = 8, 200
FIXED = 4
"""Runs of a feature beside the matched ones: zeroed, set to its mean, its own value, noise."""
LEAD = "of the lead"


def measure_activity(subject: Subject, dictionary: Dictionary, prompts: TokenisedPrompts) -> Activity:
    """Firing on the clean prompts, without their first token."""
    rows = [pair.clean_ids for pair in prompts.pairs]
    x = np.concatenate([one[1:] for one in ACTIVATIONS.of(subject).read_stream(rows, dictionary.layer)])
    return dictionary.measure_activity(x)


def draw_matched(activity: Activity, index: int, most: int, *, excluded: Sequence[int], seed: int) -> tuple[int, ...]:
    """Random features that fire about as often and about as strongly; fewer than `most` where there are not more."""
    rate, strength = activity.rates[index], activity.strengths[index]
    if not rate:
        return ()
    alike = (
        (activity.rates >= rate / MATCH) & (activity.rates <= rate * MATCH)
        & (activity.strengths >= strength / MATCH) & (activity.strengths <= strength * MATCH)
    )  # fmt: skip
    alike[[index, *excluded]] = False
    drawn = np.random.default_rng([seed, index]).permutation(np.flatnonzero(alike))[:most]
    return tuple(int(one) for one in drawn)


def measure_features(
    subject: Subject,
    dictionary: Dictionary,
    prompts: TokenisedPrompts,
    features: Sequence[int],
    *,
    seed: int,
    on_progress: Progress = no_progress,
) -> EffectsReport:
    """Ablate features one at a time on all tokens, against matched random features.

    Args:
        prompts: pairs that the features were not chosen on.
        features: at most `MAX_FEATURES`; intervals and p-values are corrected for their number.

    Raises:
        Refused: no feature, too many, or one twice; another width of the model.
        ComponentRefused: the dictionary has no such feature.
        ControlFailed: a feature's own value changed a logit, noise in one changed none, or the positive control failed.
        NotMeasured: the model does not do the task.
    """
    _check(subject, dictionary, features)
    activity = measure_activity(subject, dictionary, prompts)
    draws = math.ceil(len(features) / ALPHA) - 1
    # With fewer prompts there is no verdict that a comparison could decide.
    drawn = draws if len(prompts) >= MIN_PROMPTS else 0
    matched = {one: draw_matched(activity, one, drawn, excluded=features, seed=seed) for one in features}
    others = sorted({other for drawn in matched.values() for other in drawn})
    asked = [Edit(resid(dictionary.layer), Replacement.RESAMPLE)]
    for one in features:
        asked += [
            dictionary.edit(one, Replacement.ZERO),
            dictionary.edit(one, Replacement.SET, factor=float(activity.means[one])),
            dictionary.edit(one, Replacement.IDENTITY),
            dictionary.edit(one, Replacement.NOISE),
        ]
    asked += [dictionary.edit(one, Replacement.ZERO) for one in others]
    effect = _run(subject, prompts, asked, seed, on_progress)
    lead = _check_lead(effect, prompts, seed)
    level = 1 - ALPHA / len(features)
    (control,) = bootstrap_ratios(effect.support[:1], effect.clean, prompts.templates, unit=LEAD, seed=seed)
    if not control.value > DELTA:
        raise ControlFailed(
            "The whole activation of the pair's other text did not lower the lead: no null is a finding here."
        )
    own, noise = _check_own(effect, len(features), subject.tolerance)
    of_others = effect.support[1 + FIXED * len(features) :].sum(1) / effect.clean.sum()
    shares = dict(zip(others, map(float, of_others), strict=True))
    rows = []
    for at, one in enumerate(features):
        first = 1 + FIXED * at
        zeroed, mean_set = bootstrap_ratios(
            effect.support[first : first + 2], effect.clean, prompts.templates, unit=LEAD, seed=seed, level=level
        )
        rows.append(
            _judge(dictionary, one, activity, (zeroed, mean_set), [shares[other] for other in matched[one]], draws)
        )
    return EffectsReport(
        dictionary=dictionary.sha256, lead=lead, control=control, identity_max=own, noise_min=noise,
        features=tuple(rows), level=level, controls=effect.controls,
    )  # fmt: skip


def compare_families(
    subject: Subject,
    families: Sequence[tuple[str, Dictionary]],
    prompts: TokenisedPrompts,
    *,
    tried: int = 24,
    seed: int,
    on_progress: Progress = no_progress,
) -> tuple[FamilyEffect, ...]:
    """The strongest direction of each family on the same metric: chosen among the `tried` most active ones on half of the
    templates, measured on the rest.

    Raises:
        Refused: fewer than four templates, or too many directions.
        NotMeasured, ControlFailed: as `measure_features`; or a family is not active.
    """
    if not 1 <= tried <= MAX_TRIED:
        raise Refused(f"{tried} directions.", wanted=f"1 to {MAX_TRIED}.", remedy="change this number.")
    names = sorted(set(prompts.templates))
    if len(names) < 4:
        raise Refused(f"{len(names)} templates.", wanted="4 or more.", remedy="give prompts of more templates.")
    chosen_on = set(np.random.default_rng(seed).permutation(names)[: len(names) // 2].tolist())
    half = np.array([name in chosen_on for name in prompts.templates])
    found = []
    for number, (family, dictionary) in enumerate(families):
        _check(subject, dictionary, (0,))
        first, second = (prompts.take(tuple(map(int, np.flatnonzero(which)))) for which in (half, ~half))
        activity = measure_activity(subject, dictionary, first)
        order = np.argsort(-activity.means, kind="stable")[:tried]
        picks = [int(one) for one in order if activity.means[one] > 0]
        if not picks:
            raise NotMeasured("control_failed", f"no direction of the family {family} is active on these prompts.")
        searched = _run(subject, first, [dictionary.edit(one, Replacement.ZERO) for one in picks], seed)
        best = picks[int(np.abs(searched.support.mean(1)).argmax())]
        effect = _run(subject, second, [dictionary.edit(best, Replacement.ZERO)], seed)
        _check_lead(effect, second, seed)
        (zeroed,) = bootstrap_ratios(effect.support, effect.clean, second.templates, unit=LEAD, seed=seed)
        strength = float(measure_activity(subject, dictionary, second).strengths[best])
        found.append(FamilyEffect(
            family=family, tried=len(picks), component=str(dictionary.component(best)), mean_value=strength, zeroed=zeroed,
        ))  # fmt: skip
        on_progress(number + 1, len(families))
    return tuple(found)


def list_principal(like: Dictionary, x: NDArray, most: int) -> Dictionary:
    """Principal directions as features: each with one for its positive and one for its negative side of the mean.

    Args:
        x: activations, shape (token, d_model).
    """
    read = x[np.linalg.norm(x, axis=1) <= like.longest].astype(np.float64)
    mean = read.mean(0)
    _, vectors = np.linalg.eigh((read - mean).T @ (read - mean))
    top = vectors.T[::-1][:most]
    both = np.concatenate([top, -top]).astype(np.float32)
    return Dictionary(
        like.layer, both, (-(mean @ both.T)).astype(np.float32), np.zeros(len(both), np.float32), both.copy(),
        mean.astype(np.float32), like.longest,
    )  # fmt: skip


def list_dimensions(like: Dictionary, x: NDArray) -> Dictionary:
    """Dimensions of the stream as features: each with one for its positive and one for its negative side of the mean.

    Args:
        x: activations, shape (token, d_model).
    """
    read = x[np.linalg.norm(x, axis=1) <= like.longest].astype(np.float64)
    mean, eye = read.mean(0), np.eye(x.shape[1], dtype=np.float32)
    both = np.concatenate([eye, -eye])
    return Dictionary(
        like.layer, both, (-(mean @ both.T)).astype(np.float32), np.zeros(len(both), np.float32), both.copy(),
        mean.astype(np.float32), like.longest,
    )  # fmt: skip


def _check(subject: Subject, dictionary: Dictionary, features: Sequence[int]) -> None:
    geometry = subject.geometry
    if dictionary.d_model != geometry.d_model or not 0 <= dictionary.layer < geometry.n_layers:
        raise Refused(
            f"A dictionary of layer {dictionary.layer} and width {dictionary.d_model}.",
            wanted=f"a layer below {geometry.n_layers}, width {geometry.d_model}.",
            remedy="choose a dictionary of this model.",
        )
    if not 1 <= len(features) <= MAX_FEATURES or len(set(features)) != len(features):
        raise Refused(
            f"{len(features)} features.", wanted=f"1 to {MAX_FEATURES}, each once.", remedy="name fewer features."
        )
    for one in features:
        dictionary.component(one)


def _run(
    subject: Subject, prompts: TokenisedPrompts, edits: Sequence[Edit], seed: int, on_progress: Progress = no_progress
) -> Effect:
    runs = [Intervention((edit,)) for edit in edits]
    return measure_effect(subject, prompts, runs, get_metric("logit_difference"), seed=seed, on_progress=on_progress)


def _check_lead(effect: Effect, prompts: TokenisedPrompts, seed: int) -> Estimate:
    if effect.accuracy < MIN_ACCURACY:
        raise NotMeasured(
            "model_fails_task",
            f"the model prefers the answer on {effect.accuracy:.0%} of {len(prompts)} prompts, {MIN_ACCURACY:.0%} needed.",
        )
    return bootstrap_mean(effect.clean, prompts.templates, unit="logits", seed=seed)


def _check_own(effect: Effect, n: int, tolerance: float) -> tuple[float, float]:
    """Largest change by a feature's own value, and smallest by noise in one, in logits."""
    own = max(float(np.abs(effect.support[1 + FIXED * at + 2]).max()) for at in range(n))
    noise = min(float(np.abs(effect.support[1 + FIXED * at + 3]).max()) for at in range(n))
    if not own <= tolerance:
        raise ControlFailed(f"Replacing a feature's value by itself changed a logit by {own:.3g}.")
    if not noise > tolerance:
        raise ControlFailed("Large noise in a feature changed no logit: its edit does not arrive at the answer.")
    return own, noise


def _judge(
    dictionary: Dictionary,
    index: int,
    activity: Activity,
    estimates: tuple[Estimate, Estimate],
    shares: Sequence[float],
    draws: int,
) -> FeatureEffect:
    zeroed, mean_set = estimates
    is_active = bool(activity.rates[index] > 0)
    p = (1 + sum(abs(one) >= abs(zeroed.value) for one in shares)) / (len(shares) + 1) if len(shares) == draws else None
    verdict, why = judge_effect(zeroed, mean_set, p, len(shares), draws)
    if not is_active:
        verdict, why = EffectVerdict.UNRESOLVED, "the feature is not active on these prompts"
    return FeatureEffect(
        component=str(dictionary.component(index)), firing_rate=float(activity.rates[index]),
        mean_value=float(activity.strengths[index]), zeroed=zeroed if is_active else None,
        mean_set=mean_set if is_active else None, matched=len(shares),
        largest_matched=max(map(abs, shares)) if shares else None, p_matched=p if is_active else None,
        verdict=verdict, why=why,
    )  # fmt: skip


def judge_effect(
    zeroed: Estimate, mean_set: Estimate, p: float | None, n_matched: int, draws: int
) -> tuple[EffectVerdict, str]:
    """The verdict from both ablations and the matched features, and why it is unresolved.

    Args:
        p: at most `ALPHA` divided by the number of features for an effect, which `draws` matched features can reach; None
            with fewer of them.
    """
    if zeroed.n < MIN_PROMPTS or (zeroed.templates or 0) < MIN_TEMPLATES:
        return EffectVerdict.UNRESOLVED, f"fewer than {MIN_PROMPTS} prompts or {MIN_TEMPLATES} templates"
    states = {classify(zeroed, DELTA), classify(mean_set, DELTA)}
    if states == {State.NEGLIGIBLE}:
        return EffectVerdict.NONE, ""
    if states not in ({State.SUPPORTED}, {State.REVERSED}):
        return (
            EffectVerdict.UNRESOLVED,
            f"the intervals of both ablations are not on one side of {DELTA:.0%} of the lead",
        )
    if p is None:
        return EffectVerdict.UNRESOLVED, f"only {n_matched} features fire as often and as strongly, {draws} needed"
    if p > 1 / (draws + 1):
        return EffectVerdict.UNRESOLVED, "a random feature that fires as often and as strongly does as much"
    return EffectVerdict.EFFECT, ""
