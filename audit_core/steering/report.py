"""The result of a steering run: a table by concept and method, strengths, differences with their verdicts, and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from audit_core.controls import Controls
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.stats.shares import paired_difference, share_by_cluster, share_of
from audit_core.steering.conditions import Array
from audit_core.steering.ranking import Ranking
from audit_core.steering.results import (
    DELTA,
    MOST_RATIO,
    SHARE,
    STEERED,
    WORSE_RATIO,
    ConceptRule,
    Continuation,
    Difference,
    DoseRow,
    Method,
    SteeringRequest,
    SteeringResult,
    SteeringRow,
    SteeringVerdict,
)
from audit_core.steering.trial import Measured, Tried, list_baselines
from audit_core.steering.verdicts import (
    ALPHA,
    compare,
    compare_perplexity,
    exponentiate,
    find_largest_p,
    is_raised,
    judge,
)

NATS, PERPLEXITY, WORDS = "nats", "perplexity", "of written tokens"
SHOWN = 6
"""Prompts whose continuations are kept."""

Beside = Mapping[tuple[int, Method], Sequence[Difference]]
"""Differences of a direction from its baselines, by number of the concept and method."""


class Reporter:
    """Turns the outcomes of one run into rows."""

    def __init__(
        self,
        request: SteeringRequest,
        prompts: TokenisedPrompts,
        choosing: TokenisedPrompts,
        tried: Tried,
        measured: Measured,
        ranking: Ranking,
    ) -> None:
        self.request, self.prompts, self.choosing = request, prompts, choosing
        self.tried, self.measured, self.ranking, self.seed = tried, measured, ranking, request.seed
        self.concepts = request.task.concepts
        self.n_verdicts = len(tried.list_judged())
        self.level = 1 - ALPHA / max(1, self.n_verdicts)

    def compare_all(self) -> Beside:
        """Every direction beside each of its baselines."""
        found = self.measured.outcomes
        return {
            (concept, method): [
                compare(
                    self.concepts[concept].title, concept, method, baseline, found[at], others, self.prompts.templates,
                    seed=self.seed, level=self.level, rank=self._rank(concept, method) if baseline is Method.RANDOM else None,
                )
                for baseline, others in list_baselines(self.tried, self.measured, concept, method).items()
            ]
            for (concept, method), at in self.tried.list_judged().items()
        }  # fmt: skip

    def _rank(self, concept: int, method: Method) -> tuple[float, int]:
        one = self.ranking.ranks[concept, method]
        return one.p, one.n

    def list_tables(self, beside: Beside) -> list[SteeringRow]:
        """The tables of all concepts, with verdicts from p-values that are corrected for all of them."""
        p = {key: find_largest_p(found) for key, found in beside.items()}
        adjusted = dict(zip(p, adjust_by_holm(list(p.values())), strict=True))
        rows = []
        for concept in range(len(self.concepts)):
            sets = self._list_sets(concept)
            raised = is_raised([self._gain(concept, numbers) for method, numbers in sets if method is not Method.NONE])
            for method, numbers in sets:
                row, key = self._describe(concept, method, numbers), (concept, method)
                if key in beside:
                    corrected = float(adjusted[key])
                    verdict, why = judge(len(self.prompts), raised, beside[key], corrected)
                    row = replace(row, verdict=verdict, why=why, p=p[key], p_adjusted=corrected)
                rows.append(row)
        return rows

    def _list_sets(self, concept: int) -> list[tuple[Method, tuple[int, ...]]]:
        """Rows of a concept's table: a method with the numbers of its conditions."""
        tried = self.tried
        sets: list[tuple[Method, tuple[int, ...]]] = [(Method.NONE, (0,))]
        sets += [(method, (at,)) for method, at in tried.choose_all(concept).items()]
        return sets + [(Method.RANDOM, tried.list_random(strength)) for strength in tried.find_strengths(concept)]

    def _gain(self, concept: int, numbers: Sequence[int]) -> Array:
        """Concept score minus that of the unedited model, for each prompt."""
        found = self.measured.outcomes
        mean: Array = np.mean([found[at].holds[concept] for at in numbers], axis=0) - found[0].holds[concept]
        return mean

    def _describe(self, concept: int, method: Method, numbers: Sequence[int]) -> SteeringRow:
        found = [self.measured.outcomes[at] for at in numbers]
        unedited, clusters, seed = self.measured.outcomes[0], self.prompts.templates, self.seed
        mass, loss, repeated = (
            np.mean([value for value in values], axis=0)
            for values in zip(*((one.mass[concept], one.loss, one.repeated) for one in found), strict=True)
        )
        is_own, first = method is Method.NONE, self.tried.conditions[numbers[0]]
        costs = [self.measured.off_target[at] for at in numbers if at in self.measured.off_target]
        return SteeringRow(
            concept=self.concepts[concept].title, method=method,
            what=first.what if len(numbers) == 1 else f"mean of {len(numbers)} random directions", strength=first.strength,
            score=self._share([one.holds[concept] for one in found], clusters),
            gain=None if is_own else paired_difference(self._gain(concept, numbers), SHARE),
            mass=None if is_own else bootstrap_mean(mass - unedited.mass[concept], clusters, unit=NATS, seed=seed),
            perplexity=exponentiate(bootstrap_mean(loss, clusters, unit=PERPLEXITY, seed=seed)),
            ratio=None if is_own else compare_perplexity(loss, unedited.loss, clusters, seed=seed),
            repeated=bootstrap_mean(repeated, clusters, unit=WORDS, seed=seed),
            off_target=self._cost(costs), verdict=None, why="",
        )  # fmt: skip

    @staticmethod
    def _share(found: Sequence[Array], clusters: Sequence[str]) -> Estimate:
        """Share of continuations; several random directions on one prompt are one cluster."""
        if len(found) == 1 or len(set(clusters)) < 2:
            flat = np.concatenate(found)
            return share_of(int(flat.sum()), len(flat), SHARE)
        return share_by_cluster([bool(one) for row in found for one in row], [*clusters] * len(found), SHARE)

    def _cost(self, costs: Sequence[Array]) -> Estimate | None:
        if not costs:
            return None
        each = np.mean(costs, axis=0)
        found = bootstrap_mean(each, [f"text {at}" for at in range(len(each))], unit=NATS, seed=self.seed)
        # A divergence is never negative.
        return found if found.low is None else replace(found, low=max(0.0, found.low))

    def list_doses(self, concept: int) -> list[DoseRow]:
        """Every strength of every method, on the choosing prompts; the random directions together."""
        tried, unedited = self.tried, self.tried.outcomes[0]
        title, clusters = self.concepts[concept].title, self.choosing.templates
        sets = [
            (group.method, [at], at == tried.choose(group, concept))
            for group in tried.of(concept)
            for at in group.members
        ]
        # A random direction belongs to no concept, and none of its strengths is chosen.
        for strength in sorted({one.strength for one in tried.conditions if one.strength is not None}):
            members = [at for at in tried.list_random(strength) if at in tried.outcomes]
            sets.append((Method.RANDOM, members, False))
        rows = []
        for method, members, is_chosen in sets:
            found, first = [tried.outcomes[at] for at in members], tried.conditions[members[0]]
            mass = np.mean([one.mass[concept] for one in found], axis=0) - unedited.mass[concept]
            loss = np.mean([one.loss for one in found], axis=0)
            costs = [self.measured.off_target[at] for at in members] if method is not Method.RANDOM else []
            rows.append(DoseRow(
                concept=title, method=method, strength=first.strength, is_chosen=is_chosen,
                what=first.what if len(members) == 1 else f"mean of {len(members)} random directions",
                score=self._share([one.holds[concept] for one in found], clusters),
                mass=bootstrap_mean(mass, clusters, unit=NATS, seed=self.seed),
                ratio=compare_perplexity(loss, unedited.loss, clusters, seed=self.seed), off_target=self._cost(costs),
            ))  # fmt: skip
        return rows

    def list_texts(self, concept: int) -> list[Continuation]:
        """Continuations of the first measured prompts under every method, for reading."""
        tried, found = self.tried, self.measured.outcomes
        chosen = [(Method.NONE, 0)] + [(group.method, tried.choose(group, concept)) for group in tried.of(concept)]
        chosen += [(Method.RANDOM, tried.list_random(one)[0]) for one in tried.find_strengths(concept)[-1:]]
        return [
            Continuation(
                concept=self.concepts[concept].title, method=method, strength=tried.conditions[at].strength,
                prompt=pair.prompt.clean, text=found[at].texts[row], holds=bool(found[at].holds[concept, row]),
            )
            for row, pair in enumerate(self.prompts.pairs[:SHOWN])
            for method, at in chosen
        ]  # fmt: skip


def report_outcomes(
    request: SteeringRequest,
    prompts: TokenisedPrompts,
    choosing: TokenisedPrompts,
    tried: Tried,
    measured: Measured,
    ranking: Ranking,
    *,
    norm: float,
    controls: Controls,
    no_feature: str,
) -> SteeringResult:
    """The result of both rounds."""
    made, n = Reporter(request, prompts, choosing, tried, measured, ranking), len(request.task.concepts)
    beside = made.compare_all()
    rows = tuple(made.list_tables(beside))
    return SteeringResult(
        finding=describe(rows), unit=SHARE, n=len(prompts), n_chosen_on=len(choosing), layer=request.layer, norm=norm,
        n_tokens=request.n_tokens, temperature=request.temperature, draws=request.draws,
        rules=tuple(ConceptRule(concept=c.title, rule=c.rule, words=c.words, at_least=c.at_least, instruction=c.instruction) for c in request.task.concepts), rows=rows,
        differences=tuple(one for found in beside.values() for one in found), level=made.level,
        doses=tuple(row for concept in range(n) for row in made.list_doses(concept)),
        continuations=tuple(text for concept in range(n) for text in made.list_texts(concept)),
        no_feature=no_feature, delta=DELTA, most_ratio=MOST_RATIO, worse_ratio=WORSE_RATIO,
        apart=max(tried.apart, measured.apart, ranking.apart), dictionary=request.dictionary, file_name=request.task.name,
        file_sha256=request.task.sha256, controls=controls, n_verdicts=made.n_verdicts, n_ranked_on=ranking.n_prompts,
    )  # fmt: skip


def describe(rows: Sequence[SteeringRow]) -> str:
    """The verdicts of each method in a sentence.

    Example:
        >>> describe(())
        'No direction was measured.'
    """
    parts = []
    for method in STEERED:
        counts = Counter(row.verdict for row in rows if row.method is method)
        found = [f"{verdict.value} on {counts[verdict]}" for verdict in SteeringVerdict if counts[verdict]]
        if found:
            parts.append(f"{method.value}: {', '.join(found)} of {sum(counts.values())}")
    return f"Of the concepts, {'; '.join(parts)}." if parts else "No direction was measured."
