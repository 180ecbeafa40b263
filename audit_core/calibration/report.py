"""Calibration report: confusion of planted role and verdict per rule, with intervals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from audit_core.calibration.census import HeadCensus
from audit_core.calibration.designs import list_below_lines, load_designs
from audit_core.calibration.experts import ExpertCalibration, list_expert_lines, quote_experts
from audit_core.calibration.other_rules import OtherRules
from audit_core.calibration.other_rules_text import list_rule_lines
from audit_core.calibration.ranges import RangeCalibration, list_range_lines
from audit_core.calibration.samples import COMBINED, Sample, count_states
from audit_core.calibration.tallies import Tally, describe_count, describe_share, group_claims, tally_claims
from audit_core.component import Kind, parse_component
from audit_core.data_folder import DATA
from audit_core.judging.trial import FAMILIES
from audit_core.judging.verdict import RULE_VERSION, State
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_by_cluster, wilson
from audit_core.subjects.planted.key import WIRED, PlantedRole

RECORD = DATA / "calibration.json"
PAGE = DATA.parent / "docs/calibration.md"
RULES = (COMBINED, *(family.value for family in FAMILIES))
CAUSES = "single causes that differ between the prompts, called supported"
BLIND = "single causes equal on both prompts, left inconclusive"
NEGATIVES = "negative heads called reversed"
DECOYS = "decoys called supported on any sample"
AS_KEYED = "verdict as expected by the planted key"
COVERED = "intervals (one per sample) that contain the population value"
_LEAST_SYSTEMATIC = 0.5
"""Share of a claim's wrong samples from which an error counts as systematic."""


@dataclass(frozen=True)
class SystematicError:
    """A claim that one rule judges wrongly by construction and the combined rule does not."""

    rule: str
    model: str
    components: str
    task: str
    planted: str
    found: str
    wired: str


@dataclass(frozen=True)
class Calibration:
    """Error rates of each rule. Shares count claims per build, because samples of a claim share its prompts."""

    rule_version: int
    builds: int
    samples_each: int
    n_claims: int
    n_samples: int
    tallies: dict[str, dict[str, Tally]]
    """Rule → planted ground truth → shares of those claims."""
    confusion: dict[str, dict[str, dict[str, int]]]
    """Rule → planted role → state → samples."""
    decoys_supported: Estimate
    """Share of claims with any such sample."""
    causes_supported: Estimate
    """Single causes that differ between the two prompts: share of claims with all samples supported."""
    blind_causes_unresolved: Estimate
    """Single causes that are equal on both prompts, so that resampling does not change them: share left inconclusive."""
    negatives_reversed: Estimate
    as_keyed: Estimate
    """Share of claims with the expected verdict, which includes expected disagreement of ablation families."""
    covered: Estimate
    """Coverage: share of samples whose interval contains the population value."""
    fooled: tuple[SystematicError, ...]
    census: HeadCensus | None
    """Verdicts on all heads of the default model; None if not run."""
    experts: ExpertCalibration | None = None
    """The combined rule on experts of planted mixtures; None if not run."""
    ranges: RangeCalibration | None = None
    """The combined rule without and with the check of ranges; None if not run."""
    by_model: dict[str, Estimate] | None = None
    """The main shares under the names of `list_shares`, with intervals clustered by planted model: builds, claims and samples of one
    model are alike. A share whose cases are all of one model is left out. None in records that were made before these were."""
    others: OtherRules | None = None
    """The audits' own verdict rules; None if not run."""


def summarise(
    samples: Sequence[Sample],
    census: HeadCensus | None = None,
    experts: ExpertCalibration | None = None,
    ranges: RangeCalibration | None = None,
) -> Calibration:
    """Compute the error rates; see `Calibration`.

    Raises:
        NotMeasured: samples without decoys, causes or negative heads.
    """
    claims = group_claims(samples)
    covered = [sample.covered for sample in samples if sample.covered is not None]
    by_model = cluster_shares(samples)
    single = [c for c in claims if c[0].planted == "cause" and c[0].role == "necessary" and " " not in c[0].components]

    def share(chosen: Sequence[Sequence[Sample]], state: State, counts: Callable[[Iterable[bool]], bool]) -> Estimate:
        return wilson(sum(counts(s.found[COMBINED] == state for s in claim) for claim in chosen), len(chosen))

    def planted(role: str) -> list[tuple[Sample, ...]]:
        return [claim for claim in claims if claim[0].planted == role]

    return Calibration(
        RULE_VERSION,
        len({s.seed for s in samples}),
        max(map(len, claims)),
        len(claims),
        len(samples),
        {rule: tally_claims(claims, rule) for rule in RULES},
        {rule: {role: dict(states) for role, states in count_states(samples, rule).items()} for rule in RULES},
        share(planted("decoy"), State.SUPPORTED, any),
        share([c for c in single if c[0].is_in_contrast], State.SUPPORTED, all),
        share([c for c in single if not c[0].is_in_contrast], State.INCONCLUSIVE, all),
        share(planted("negative"), State.REVERSED, all),
        wilson(sum(all(s.is_right for s in claim) for claim in claims), len(claims)),
        wilson(sum(covered), len(covered)),
        find_systematic_errors(samples),
        census,
        experts,
        ranges,
        by_model,
    )


def cluster_shares(samples: Sequence[Sample]) -> dict[str, Estimate]:
    """The main shares of `list_shares`, with intervals clustered by planted model."""
    claims = group_claims(samples)
    cases: dict[str, list[tuple[str, bool]]] = {}

    def count(name: str, chosen: Iterable[Sequence[Sample]], is_hit: Callable[[Sequence[Sample]], bool]) -> None:
        cases[name] = [(claim[0].model, is_hit(claim)) for claim in chosen]

    def all_are(state: State) -> Callable[[Sequence[Sample]], bool]:
        return lambda claim: all(s.found[COMBINED] == state for s in claim)

    single = [c for c in claims if c[0].planted == "cause" and c[0].role == "necessary" and " " not in c[0].components]
    count(CAUSES, (c for c in single if c[0].is_in_contrast), all_are(State.SUPPORTED))
    count(BLIND, (c for c in single if not c[0].is_in_contrast), all_are(State.INCONCLUSIVE))
    count(NEGATIVES, (c for c in claims if c[0].planted == "negative"), all_are(State.REVERSED))
    count(
        DECOYS,
        (c for c in claims if c[0].planted == "decoy"),
        lambda claim: any(s.found[COMBINED] == State.SUPPORTED for s in claim),
    )
    count(AS_KEYED, claims, lambda claim: all(s.is_right for s in claim))
    cases[COVERED] = [(s.model, s.covered) for s in samples if s.covered is not None]
    return {
        name: share_by_cluster([hit for _, hit in found], [model for model, _ in found])
        for name, found in cases.items()
        if len({model for model, _ in found}) > 1
    }


def find_systematic_errors(samples: Sequence[Sample]) -> tuple[SystematicError, ...]:
    """Claims that a single-family rule judges wrongly on most samples and the combined rule on few."""
    groups: dict[tuple[str, str, str, str, str], list[Sample]] = {}
    for s in samples:
        groups.setdefault((s.model, s.components, s.task, s.role, s.planted), []).append(s)
    fooled = []
    for (model, components, task, _, planted), members in groups.items():
        truth, most = WIRED.get(PlantedRole(planted)), _LEAST_SYSTEMATIC * len(members)
        if truth is None or sum(s.found[COMBINED] not in (truth, State.INCONCLUSIVE) for s in members) >= most:
            continue
        for rule in RULES[1:]:
            state, count = Counter(s.found.get(rule, "") for s in members).most_common(1)[0]
            if state not in (truth, State.INCONCLUSIVE) and count >= most:
                fooled.append(SystematicError(rule, model, components, task, planted, state, truth.value))
    return tuple(fooled)


def load_calibration() -> Calibration | None:
    """The shipped calibration; None if the rule has changed since."""
    if not RECORD.is_file():
        return None
    found = json.loads(RECORD.read_bytes())
    # Before validation: the record of another version may have another shape.
    return TypeAdapter(Calibration).validate_python(found) if found["rule_version"] == RULE_VERSION else None


def save_calibration(found: Calibration) -> None:
    """Write the record and its documentation page."""
    RECORD.write_bytes(TypeAdapter(Calibration).dump_json(found, indent=1) + b"\n")
    PAGE.write_text(write_markdown(found), encoding="utf-8")


def quote_calibration(components: Collection[str] = ()) -> str:
    """Sentence about the error rate of the rule, shown with every verdict.

    Args:
        components: addresses that the verdict is about: experts have error rates of their own, measured on planted mixtures;
            those of shared paths and of features are not measured.
    """
    found = load_calibration()
    kinds = {parse_component(part).kind for part in components}
    if Kind.SHARED in kinds:
        return "The error rate of this rule on the shared path of a mixture was not measured."
    if Kind.FEATURE in kinds:
        return "The error rate of this rule on features of a dictionary was not measured."
    is_expert = Kind.EXPERT in kinds
    if found is None or (is_expert and found.experts is None):
        return "The error rate of this rule on models with known wiring was not measured for this version."
    if is_expert and found.experts is not None:
        return quote_experts(found.experts)
    tallies = found.tallies[COMBINED]
    used, unused = tallies[State.SUPPORTED.value], tallies[State.NEGLIGIBLE.value]
    return (
        f"On models with known wiring this rule called {describe_count(used.right)} used components supported and left "
        f"{describe_count(used.abstained)} inconclusive; it misjudged {describe_share(unused.wrong)} unused components. Real "
        "models are less clean, so error rates may be higher here."
    )


def list_shares(found: Calibration) -> tuple[tuple[str, Estimate], ...]:
    """Main shares with their names, for page and documentation."""
    return (
        (CAUSES, found.causes_supported),
        (BLIND, found.blind_causes_unresolved),
        (NEGATIVES, found.negatives_reversed),
        (DECOYS, found.decoys_supported),
        (AS_KEYED, found.as_keyed),
        (COVERED, found.covered),
    )


def describe_clustered(found: Calibration, name: str) -> str:
    """The interval of a main share that counts all cases of one planted model as alike, or why there is none."""
    if found.by_model is None:
        return "not measured: recorded before these were"
    share = found.by_model.get(name)
    if share is None or share.low is None or share.high is None:
        return "not measured: one model only"
    return f"[{100 * share.low:.1f}, {100 * share.high:.1f}] of {share.templates} models"


def list_tallies(found: Calibration) -> tuple[tuple[str, str, str, str, str], ...]:
    """Rule, planted ground truth, and the shares of claims judged right, left inconclusive and judged wrong."""
    words = {State.SUPPORTED: "used", State.NEGLIGIBLE: "unused", State.REVERSED: "against the answer"}
    return tuple(
        (
            rule,
            words[State(truth)],
            describe_share(tally.right),
            describe_share(tally.abstained),
            describe_share(tally.wrong),
        )
        for rule, tallies in found.tallies.items()
        for truth, tally in tallies.items()
    )


def describe_census(census: HeadCensus) -> str:
    """Verdicts on all heads of the default model, in a sentence."""
    return (
        f"All heads of the default model, each as a claim on {census.n_prompts} confirmatory prompts of {census.task}: "
        f"{census.named_supported} of {census.named} heads named by a shipped circuit are called supported, and "
        f"{census.others_supported} of the {census.others} other heads. This is not a false positive rate: this model's wiring "
        "is unknown, and other heads may have weak effects."
    )


def describe_origin(found: Calibration) -> str:
    """Size of the calibration, in a sentence."""
    return (
        f"Rule version {found.rule_version}; {found.builds} builds of each model with different random parts, "
        f"{found.samples_each} samples of prompts for each claim: {found.n_claims:,} claims, {found.n_samples:,} samples."
    )


def write_markdown(found: Calibration) -> str:
    """The page `docs/calibration.md`."""
    states = [state.value for state in State]
    lines = [
        "# Calibration of the verdict rule",
        "",
        f"Made by `python -m audit_core calibrate --builds {found.builds} --samples {found.samples_each} --write`. Models whose",
        "weights are set by hand have claims whose truth follows from the wiring. Shares count claims per build, with Wilson's",
        "95 % interval: a claim is right if all its samples are judged right, and wrong if any is judged wrong. Planted models",
        "are cleaner than real ones.",
        "",
        describe_origin(found),
        "",
        "## By planted ground truth",
        "",
        "The ground truth was written from the wiring, without using any rule. *Open* means inconclusive.",
        "",
        "| rule | components are | right | open | wrong |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in list_tallies(found)),
        "",
        "## The combined rule",
        "",
        "| question | share | interval clustered by model |",
        "|---|---|---|",
        *(
            f"| {name} | {describe_share(share)} | {describe_clustered(found, name)} |"
            for name, share in list_shares(found)
        ),
    ]
    if found.census is not None:
        lines += ["", describe_census(found.census)]
    if found.experts is not None:
        lines += ["", *list_expert_lines(found.experts)]
    if found.ranges is not None:
        lines += ["", *list_range_lines(found.ranges)]
    lines += ["", *list_rule_lines(found.others)]
    lines += ["", *list_below_lines(load_designs())]
    for rule, table in found.confusion.items():
        lines += ["", f"## {rule.capitalize()} rule: samples", "", "| planted | " + " | ".join(states) + " |"]
        lines += ["|---" * 5 + "|"]
        lines += [
            f"| {role} | " + " | ".join(str(row.get(s, 0)) for s in states) + " |"
            for role, row in sorted(table.items())
        ]
    lines += [
        "",
        "## Single-ablation rules with systematic errors that the combined rule avoids",
        "",
        "| rule | model | components | task | planted | verdict | ground truth |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {f.rule} | {f.model} | {f.components} | {f.task} | {f.planted} | {f.found} | {f.wired} |"
            for f in found.fooled
        ),
        "",
    ]
    return "\n".join(lines)
