"""Making a monitor: fit the signal on the first part, set thresholds on the second, measure on the third and on the cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from audit_core.activations import TokenReading
from audit_core.capability import ACTIVATIONS
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.canonical import hash_document
from audit_core.features import open_dictionary
from audit_core.monitors.calibration import Array, check_rate, count_needed
from audit_core.monitors.causal import MAX_TEXTS as CAUSAL_TEXTS
from audit_core.monitors.causal import CausalStep, measure_causal
from audit_core.monitors.drift import set_drift_rule
from audit_core.monitors.evaluation import (
    Baseline,
    Found,
    Hits,
    Series,
    compare_delays,
    compare_detection,
    evaluate,
    measure_auroc,
)
from audit_core.monitors.monitor import Counts, Example, ModelId, Monitor, Recipe, Report
from audit_core.monitors.scoring import BASELINES, FIRST, OutputSignal, TextRule, TokenRule, read_chunks, score_output
from audit_core.monitors.signals import (
    Flags,
    Signal,
    SignalKind,
    fit_distance_signal,
    fit_probe_signal,
    take_feature,
)
from audit_core.monitors.texts import MonitorText, Parts, digest_text, split_parts
from audit_core.prompts.answers import Tokens
from audit_core.stats.estimates import MIN_PROMPTS
from audit_core.subject import Floats, Progress, Subject, no_progress

MAX_FIT_TOKENS = 4_000
MAX_EXAMPLES, MAX_RUN_LENGTH = 6, 10_000


class _Read:
    """Token scores of some texts: of the monitor and of every output signal."""

    def __init__(self) -> None:
        self.own: list[Array] = []
        self.outputs: dict[OutputSignal, list[Array]] = {one: [] for one in OutputSignal}

    def add(self, ids: Tokens, reading: TokenReading, signal: Signal | None) -> None:
        if signal is not None:
            self.own.append(signal.score(reading.stream))
        for one, scores in self.outputs.items():
            scores.append(score_output(reading, ids, one))


def check_recipe(subject: Subject, recipe: Recipe) -> None:
    """Raises:
    Refused: a number outside its range.
    CapabilityRefused: the residual stream of this model cannot be read.
    """
    ACTIVATIONS.of(subject)
    check_rate(recipe.rate)
    n_layers = subject.geometry.n_layers
    for what, value, least, most in (
        ("layer", recipe.layer, 0, n_layers - 1), ("run length", recipe.run_length, 50, MAX_RUN_LENGTH),
        ("random directions", recipe.draws, 0, 199), ("examples", recipe.examples, 0, MAX_EXAMPLES),
        ("characters of the name", len(recipe.name), 1, 80), ("days of validity", recipe.valid_days, 0, 3_650),
        ("texts of validity", recipe.valid_texts, 0, 1_000_000_000),
    ):  # fmt: skip
        if not least <= value <= most:
            raise Refused(f"{what.capitalize()}: {value:,}.", wanted=f"{least} to {most:,}.", remedy="change it.")
    if 0 < recipe.draws < 19:
        raise Refused(
            f"{recipe.draws} random directions.",
            wanted="0, or 19 or more.",
            remedy="with fewer, none can have p ≤ 0.05.",
        )


def fit_monitor(
    subject: Subject, texts: Sequence[MonitorText], recipe: Recipe, *, on_progress: Progress = no_progress
) -> Monitor:
    """Make a monitor, and measure it beside its output-only baselines.

    Args:
        texts: normal traffic, and cases if there are any; a probe needs both.

    Raises:
        Refused: a recipe or texts that cannot be used, or too few calibration texts for the stated rate.
        NotMeasured: the signal cannot be fitted, or a number is not finite.
    """
    check_recipe(subject, recipe)
    parts = split_parts(texts, seed=recipe.seed)
    needed = count_needed(recipe.rate, recipe.rate_bound)
    if len(parts.calibration) < needed or not parts.test:
        raise Refused(
            f"{len(parts.calibration)} calibration texts of {len(texts) - len(parts.cases)} texts.",
            wanted=f"{needed} for a false-alarm rate of {recipe.rate:g} ({recipe.rate_bound.value}): about "
            f"{int(np.ceil(needed / 0.4)):,} normal texts, of which 40 % calibrate.",
            remedy="give more normal texts, or state a higher rate.",
        )
    counts = Counts(
        sum(not one.is_case for one in parts.fit), sum(one.is_case for one in parts.fit), len(parts.calibration),
        len(parts.test), len(parts.cases),
    )  # fmt: skip
    watch = _Watch(on_progress, len(texts) + (recipe.draws + 4) * 2)
    first = _Read()
    x, is_case = _read_tokens(subject, parts, recipe, first, watch)
    signal = _fit_signal(subject, recipe, x, is_case)
    _require_width(subject, signal)
    second = _Read()
    held = (*parts.calibration, *parts.test, *parts.cases)
    for text, reading in read_chunks(subject, held, recipe.layer, watch.span(len(held))):
        second.add(text.ids, reading, signal)
    found, hits, baselines = _evaluate(parts, first, second, recipe)
    calibration = np.sort([recipe.rule.score(one) for one in second.own[: counts.calibration]])
    causal, why_no_causal = _step(subject, signal, recipe, x, is_case, parts, watch)
    best, best_hits = baselines[0]
    for one, its_hits in baselines[1:]:
        if _rate(one.found) > _rate(best.found):
            best, best_hits = one, its_hits
    scores = [[recipe.rule.score(one) for one in part] for part in _divide(second.own, parts)[1:]]
    report = Report(
        found, tuple(one for one, _ in baselines), best.signal.value,
        compare_detection(hits, best_hits) if parts.cases else None,
        compare_delays(hits, best_hits, seed=recipe.seed) if parts.cases else None,
        "" if parts.cases else "no cases were given",
        measure_auroc(scores[0], scores[1]) if parts.cases else None, signal.multiply_adds,
        set_drift_rule(calibration, recipe.run_length, seed=recipe.seed), causal, why_no_causal, counts,
        _take_examples(subject, parts, second, best.signal, recipe.examples),
    )  # fmt: skip
    identity = subject.identity
    return Monitor(
        recipe, ModelId(identity.model, identity.short, identity.weights_sha256), signal, calibration, report,
        hash_document([[one.id, list(one.ids), one.is_case, one.onset, one.group] for one in texts]),
        datetime.now(UTC).isoformat(timespec="seconds"),
        tuple(sorted({digest_text(one.ids) for one in (*parts.fit, *parts.calibration)})),
    )  # fmt: skip


class _Watch:
    """Progress over the parts of a fit."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._on_progress, self._total, self._before = on_progress, total, 0

    def span(self, size: int) -> Progress:
        before, self._before = self._before, self._before + size

        def advance(done: int, total: int) -> None:
            self._on_progress(min(self._total, before + size * done // max(1, total)), self._total)

        return advance


def _read_tokens(subject: Subject, parts: Parts, recipe: Recipe, first: _Read, watch: _Watch) -> tuple[Floats, Flags]:
    """Activations of the tokens to fit on, and whether each is of a case; at most `MAX_FIT_TOKENS`, as many of a kind as there are."""
    kept, flags = [], []
    for text, reading in read_chunks(subject, parts.fit, recipe.layer, watch.span(len(parts.fit))):
        first.add(text.ids, reading, None)
        at = np.arange(FIRST, len(text.ids)) if recipe.rule.tokens is TokenRule.EVERY else np.array([len(text.ids) - 1])
        kept.append(reading.stream[at])
        flags.append(at >= (text.onset or 0) if text.is_case else np.zeros(at.size, bool))
    x, is_case = np.concatenate(kept), np.concatenate(flags)
    draw = np.random.default_rng(recipe.seed)
    chosen = []
    for kind in (False, True):
        rows = np.flatnonzero(is_case == kind)
        chosen.append(draw.permutation(rows)[: MAX_FIT_TOKENS // 2])
    rows = np.sort(np.concatenate(chosen))
    return x[rows], is_case[rows]


def _fit_signal(subject: Subject, recipe: Recipe, x: Floats, is_case: Flags) -> Signal:
    if recipe.signal is SignalKind.PROBE:
        return fit_probe_signal(x, is_case)
    if recipe.signal is SignalKind.DISTANCE:
        return fit_distance_signal(x[~is_case])
    entry, dictionary = open_dictionary(subject, recipe.dictionary)
    if dictionary.layer != recipe.layer:
        raise Refused(
            f"Layer {recipe.layer}.",
            wanted=f"{dictionary.layer}, which dictionary {entry.name} reads.",
            remedy="give that layer.",
        )
    return take_feature(dictionary, recipe.feature)


def _require_width(subject: Subject, signal: Signal) -> None:
    if signal.d_model != subject.geometry.d_model:
        raise Refused(
            f"A signal of width {signal.d_model}.",
            wanted=f"{subject.geometry.d_model}.",
            remedy="choose one of this model.",
        )


def _divide(series: Sequence[Array], parts: Parts) -> tuple[tuple[Array, ...], tuple[Array, ...], tuple[Array, ...]]:
    first, second = len(parts.calibration), len(parts.calibration) + len(parts.test)
    return tuple(series[:first]), tuple(series[first:second]), tuple(series[second:])


def _evaluate(
    parts: Parts, first: _Read, second: _Read, recipe: Recipe
) -> tuple[Found, Hits, list[tuple[Baseline, Hits]]]:
    onsets, groups = tuple(one.onset for one in parts.cases), tuple(one.group or one.id for one in parts.test)

    def judge(series: Sequence[Array]) -> tuple[Found, Hits]:
        return evaluate(
            Series(*_divide(series, parts), onsets, groups),
            recipe.rule,
            recipe.rate,
            recipe.rate_bound,
            seed=recipe.seed,
        )

    found, hits = judge(second.own)
    baselines = []
    for pair in BASELINES:
        signal = _choose_end(pair, parts.fit, first, recipe)
        at_rate, its_hits = judge(second.outputs[signal])
        baselines.append((Baseline(signal, at_rate), its_hits))
    return found, hits, baselines


def _choose_end(
    pair: tuple[OutputSignal, ...], fit: Sequence[MonitorText], first: _Read, recipe: Recipe
) -> OutputSignal:
    """The end of an output signal that finds more of the cases that are fitted on; the first on a tie or without cases."""

    def count(signal: OutputSignal) -> int:
        rule: TextRule = recipe.rule
        scores = first.outputs[signal]
        normal = [rule.score(one) for one, text in zip(scores, fit) if not text.is_case]
        limit = float(np.quantile(normal, 1 - recipe.rate))
        return sum(
            rule.find_alarm(one, limit, since=text.onset or 0) is not None
            for one, text in zip(scores, fit)
            if text.is_case
        )

    return max(pair, key=count)


def _step(
    subject: Subject, signal: Signal, recipe: Recipe, x: Floats, is_case: Flags, parts: Parts, watch: _Watch
) -> tuple[CausalStep | None, str]:
    if not recipe.draws:
        return None, "it was not asked for"
    texts = parts.cases if len(parts.cases) >= MIN_PROMPTS else (*parts.cases, *parts.test)
    try:
        return measure_causal(
            subject, signal, recipe.layer, x, is_case, texts[:CAUSAL_TEXTS], seed=recipe.seed, draws=recipe.draws,
            on_progress=watch.span((recipe.draws + 4) * 2),
        ), ""  # fmt: skip
    except NotMeasured as error:
        return None, error.detail


def _rate(found: Found) -> float:
    return -1.0 if found.detection is None else found.detection.value


def _take_examples(subject: Subject, parts: Parts, second: _Read, best: OutputSignal, most: int) -> tuple[Example, ...]:
    """The first cases and normal texts of the third part, alternating; they were not chosen by what they show."""
    shift = len(parts.calibration)
    cases = [(one, shift + len(parts.test) + at) for at, one in enumerate(parts.cases)]
    normal = [(one, shift + at) for at, one in enumerate(parts.test)]
    mixed = [one for pair in zip(cases, normal) for one in pair] or normal
    return tuple(
        Example(
            text.id, text.is_case, text.onset, tuple(subject.tokenizer.piece(one) for one in text.ids),
            tuple(map(float, np.round(second.own[at], 4))),
            (0.0, *map(float, np.round(second.outputs[best][at][FIRST:], 4))),
        )
        for text, at in mixed[:most]
    )  # fmt: skip
