"""The audit of a label: probes at every site, then edits of their subspaces, then a verdict from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from audit_core.capability import ACTIVATIONS
from audit_core.effect import MIN_ACCURACY
from audit_core.errors import NotMeasured, Refused
from audit_core.probes.decoding import SiteDecoding, decode_site
from audit_core.probes.linear import Array, Folds, check_held_out, deal_templates
from audit_core.probes.results import DELTA, Position, ProbeSite, ProbesRequest, ProbesResult, ProbeVerdict
from audit_core.probes.runs import (
    AllRuns,
    EditGroup,
    Site,
    SiteFit,
    SiteRuns,
    count_edits,
    fit_site,
    group_pairs,
    run_edits,
)
from audit_core.probes.texts import LabelledTexts, choose_layers, count_words, list_sides, list_texts
from audit_core.probes.verdicts import Decoded, Intervened, judge_site
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.subject import Progress, Subject

MIN_DRAWS, MAX_DRAWS = 19, 199
"""With 19 random subspaces, one beats all of them by chance in 1 of 20."""
MAX_TEXTS = 1_000
LEAD = "of the lead"
_ALIKE = "the activations are the same under both labels"
_FIT_WORK = 6_000
"""Work of the probes of one site, in units of a run: rows × positions × layers (timed on the default model)."""


def check_request(subject: Subject, request: ProbesRequest) -> None:
    """Refuse numbers outside their bounds.

    Raises:
        Refused: a number of layers, texts or draws outside its bounds.
    """
    bounds = (
        ("layers", request.layers, 1, subject.geometry.n_layers),
        ("edited texts", request.texts, 1, MAX_TEXTS),
        ("random subspaces", request.draws, MIN_DRAWS, MAX_DRAWS),
        ("pairs of texts", len(request.prompts), 4, MAX_TEXTS),
    )
    for name, value, low, high in bounds:
        if (name != "layers" and not low <= value <= high) or value < 1:
            raise Refused(f"{value} {name}.", wanted=f"{low} to {high:,}.", remedy="change this number.")


def count_work_of(subject: Subject, request: ProbesRequest) -> int:
    """Units of work of a request."""
    positions, layers = list_sides(request.prompts), choose_layers(subject.geometry.n_layers, request.layers)
    probing = len(layers) * len(positions) * _FIT_WORK
    if _explain_no_edit(request):
        return probing
    texts = list_texts(request)
    prompts, groups = _group_edits(request, texts, deal_templates(texts.templates, seed=request.seed), positions)
    return probing + sum(count_edits(subject, prompts, groups, layers, request.draws))


def _group_edits(
    request: ProbesRequest, texts: LabelledTexts, folds: Folds, positions: Sequence[Position]
) -> tuple[TokenisedPrompts, tuple[EditGroup, ...]]:
    """The edited pairs, grouped by fold and token position."""
    prompts = request.prompts.take(request.prompts.spread(request.texts))
    fold_of = dict(zip(texts.templates, folds, strict=True))
    return prompts, group_pairs(prompts, positions, np.array([fold_of[name] for name in prompts.templates]))


def measure_probes(subject: Subject, request: ProbesRequest, on_progress: Progress) -> ProbesResult:
    """Decode a label at every site, and edit it there.

    Raises:
        Refused: a number outside its bounds.
        PromptRefused: not two labels.
        NotMeasured: fewer than two templates.
    """
    check_request(subject, request)
    texts = list_texts(request)
    if len(set(texts.templates)) < 2:
        raise NotMeasured("low_power", "all texts have one template, so none can be held out.")
    layers = choose_layers(subject.geometry.n_layers, request.layers)
    positions, total = list_sides(request.prompts), count_work_of(subject, request)
    folds = deal_templates(texts.templates, seed=request.seed)
    sites = [Site(layer, position) for position in positions for layer in layers]
    decoded: dict[Site, SiteDecoding] = {}
    fits: dict[Site, tuple[SiteFit, ...]] = {}
    erased: dict[Site, float] = {}
    no_edit = _explain_no_edit(request)
    for position in positions:
        read = ACTIVATIONS.of(subject).read_residuals(texts.ids, texts.list_positions(position), layers)
        for layer, x in zip(layers, read.astype(np.float64), strict=True):
            site = Site(layer, position)
            decoded[site] = decode_site(x, texts, folds, seed=request.seed)
            try:
                fits[site] = fit_site(x, texts.is_second, folds, request.draws, seed=request.seed)
                erased[site] = check_erased(x, texts, folds, fits[site])
            except NotMeasured:
                # The activations are the same under both labels: there is nothing to erase, and the site stays without edits.
                pass
            on_progress(len(decoded) * _FIT_WORK, total)
    runs, lead = None, None
    if not no_edit:
        runs, lead, no_edit = _measure_use(subject, request, texts, folds, fits, on_progress, total)
    rows = tuple(_judge(site, decoded[site], texts, erased.get(site), runs, request, no_edit) for site in sites)
    return _report(request, texts, rows, runs, lead, no_edit)


def check_erased(x: Array, texts: LabelledTexts, folds: Folds, fits: tuple[SiteFit, ...]) -> float:
    """Held-out accuracy of new probes on activations from which the label is erased, each fold by its own subspace."""
    right = np.zeros(len(texts), bool)
    for fold, fit in zip(np.unique(folds), fits, strict=True):
        here = folds == fold
        right[here] = check_held_out(fit.label.erase(x), texts.is_second, here.astype(np.int64), None)[here]
    return float(right.mean())


def _measure_use(
    subject: Subject,
    request: ProbesRequest,
    texts: LabelledTexts,
    folds: Folds,
    fits: dict[Site, tuple[SiteFit, ...]],
    on_progress: Progress,
    total: int,
) -> tuple[AllRuns | None, Estimate | None, str]:
    """Runs of every edit, the lead, and why the edits say nothing; empty where they do."""
    if not fits:
        return None, None, _ALIKE
    prompts, groups = _group_edits(request, texts, folds, tuple(dict.fromkeys(site.position for site in fits)))
    before = total - sum(count_edits(subject, prompts, groups, sorted({s.layer for s in fits}), request.draws))
    runs = run_edits(
        subject, request, prompts, groups, fits, lambda done, whole: on_progress(min(total, before + done), total)
    )
    lead = bootstrap_mean(runs.lead, prompts.templates, unit="logits", seed=request.seed)
    why = _explain_no_lead(runs, prompts, lead)
    return (None, lead, why) if why else (runs, lead, "")


def _explain_no_lead(runs: AllRuns, prompts: TokenisedPrompts, lead: Estimate) -> str:
    """Why no share of the lead can be taken; empty if one can."""
    accuracy = float((runs.lead > 0).mean())
    if accuracy < MIN_ACCURACY:
        return f"the model prefers the answer on {accuracy:.0%} of the edited texts, {MIN_ACCURACY:.0%} needed"
    if lead.low is None:
        return "one edited text, or one template, has no interval"
    try:
        bootstrap_ratios(runs.lead[None], runs.lead, prompts.templates, unit=LEAD, seed=0)
    except NotMeasured:
        return "the sign of the lead differs between templates"
    return "" if lead.low > 0 else "the interval of the lead includes zero"


def _judge(
    site: Site,
    decoded: SiteDecoding,
    texts: LabelledTexts,
    erased_accuracy: float | None,
    runs: AllRuns | None,
    request: ProbesRequest,
    no_use: str,
) -> ProbeSite:
    mine = None if runs is None else runs.sites.get(site)
    edits: tuple[Intervened, ...] = ()
    erased = swapped = whole = None
    if runs is not None and mine is not None:
        erased, swapped, whole = _estimate(
            mine, runs, request.prompts.take(request.prompts.spread(request.texts)), request.seed
        )
        edits = (erased, swapped)
    verdict, reason = judge_site(
        Decoded(decoded.accuracy, texts.chance), edits, erased_accuracy,
        no_use or _ALIKE,
    )  # fmt: skip
    return ProbeSite(
        layer=site.layer, position=site.position.value, accuracy=decoded.accuracy, seen_words=decoded.seen_words,
        control=decoded.control, selectivity=decoded.selectivity, compression=decoded.compression,
        erased_accuracy=erased_accuracy,
        erased=None if erased is None else erased.lost, erased_moved=None if erased is None else erased.moved,
        erased_random=None if erased is None else erased.largest_random,
        swapped=None if swapped is None else swapped.lost, swapped_moved=None if swapped is None else swapped.moved,
        swapped_random=None if swapped is None else swapped.largest_random, whole=whole, verdict=verdict.value, reason=reason,
    )  # fmt: skip


def _estimate(
    mine: SiteRuns, runs: AllRuns, prompts: TokenisedPrompts, seed: int
) -> tuple[Intervened, Intervened, Estimate]:
    """Shares of the lead, with intervals over templates."""
    rows = np.stack([mine.erased, np.abs(mine.erased), mine.swapped, np.abs(mine.swapped), mine.whole])
    found = bootstrap_ratios(rows, runs.lead, prompts.templates, unit=LEAD, seed=seed)
    random = [float((draws.mean(1) / runs.lead.mean()).max()) for draws in (mine.erased_random, mine.swapped_random)]
    erased = Intervened("erased", found[0], found[1], random[0])
    return erased, Intervened("swapped", found[2], found[3], random[1]), found[4]


def _explain_no_edit(request: ProbesRequest) -> str:
    """Why no edit can be measured; empty if one can."""
    if request.source is not None and not request.source.has_answers:
        return "the file names no answers, so no effect can be measured"
    return ""


def _report(
    request: ProbesRequest,
    texts: LabelledTexts,
    rows: tuple[ProbeSite, ...],
    runs: AllRuns | None,
    lead: Estimate | None,
    no_use: str,
) -> ProbesResult:
    return ProbesResult(
        finding=describe(rows, texts.labels, no_use), unit=LEAD, labels=texts.labels, n=len(texts),
        n_templates=len(set(texts.templates)), n_words=count_words(texts),
        holds_out_words=rows[0].control is not None, chance=texts.chance, delta=DELTA,
        n_edited=0 if lead is None else lead.n, lead=lead, no_use=no_use, sites=rows, draws=request.draws,
        self_swap=None if runs is None else runs.self_swap, source=request.source,
        controls=None if runs is None else runs.controls,
    )  # fmt: skip


def describe(rows: tuple[ProbeSite, ...], labels: tuple[str, str], no_use: str) -> str:
    """The counts of verdicts in a sentence."""
    counts = Counter(row.verdict for row in rows)
    of = f"of {len(rows)} sites" if len(rows) > 1 else "of one site"
    named = f"{labels[0]} / {labels[1]}"
    if no_use:
        n_decodable = sum(row.reason.startswith("decodable;") for row in rows)
        return f"{named}: decodable at {n_decodable} {of}. Whether it is used was not measured: {no_use}."
    parts = [f"{verdict} at {counts[verdict.value]}" for verdict in ProbeVerdict if counts[verdict.value]]
    return f"{named}: {', '.join(parts)} {of}."
