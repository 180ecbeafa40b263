"""What the calibration samples say together: confusion of planted role and verdict, per rule, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from audit_core.calibration import COMBINED, Sample, count_states, wilson
from audit_core.shipped import DATA
from audit_core.statistics import Estimate
from audit_core.trial import FAMILIES
from audit_core.verdict import RULE_VERSION, State

RECORD = DATA / "calibration.json"
PAGE = DATA.parent / "docs/calibration.md"
RULES = (COMBINED, *(family.value for family in FAMILIES))
_LEAST_FOOLED = 0.5
"""Of a claim's samples: below it a rule errs by chance, from it on by construction."""


@dataclass(frozen=True)
class Fooled:
    """A claim that one rule gets wrong by construction while the combined rule does not."""

    rule: str
    model: str
    components: str
    planted: str
    found: str
    expected: str


@dataclass(frozen=True)
class Calibration:
    """How often each rule was right."""

    rule_version: int
    n_samples: int
    n_claims: int
    right: dict[str, Estimate]
    """Share of samples judged as the wiring demands, per rule."""
    confusion: dict[str, dict[str, dict[str, int]]]
    """Rule → planted role → state → samples."""
    decoys_supported: Estimate
    causes_supported: Estimate
    negatives_reversed: Estimate
    covered: Estimate
    """Share of intervals that hold the value of the whole population of prompts."""
    fooled: tuple[Fooled, ...]
    random_supported: Estimate | None
    """Share of random components of the default model called supported; None where that was not run."""


def summarise(samples: Sequence[Sample], random_supported: Estimate | None = None) -> Calibration:
    """Count; see `Calibration`.

    Raises:
        NotMeasured: samples without decoys, causes or negative heads.
    """
    covered = [sample.covered for sample in samples if sample.covered is not None]
    return Calibration(
        RULE_VERSION,
        len(samples),
        len({(s.model, s.components, s.task, s.role, s.seed) for s in samples}),
        {rule: wilson(sum(s.found.get(rule) == s.expected for s in samples), len(samples)) for rule in RULES},
        {rule: {role: dict(states) for role, states in count_states(samples, rule).items()} for rule in RULES},
        _share(samples, "decoy", State.SUPPORTED),
        _share(samples, "cause", State.SUPPORTED, expected=State.SUPPORTED),
        _share(samples, "negative", State.REVERSED),
        wilson(sum(covered), len(covered)),
        find_fooled(samples),
        random_supported,
    )


def _share(samples: Sequence[Sample], planted: str, state: State, expected: State | None = None) -> Estimate:
    chosen = [s for s in samples if s.planted == planted and expected in (None, s.expected)]
    return wilson(sum(s.found[COMBINED] == state for s in chosen), len(chosen))


def find_fooled(samples: Sequence[Sample]) -> tuple[Fooled, ...]:
    """Claims that a rule of one family misjudges on most samples, and the combined rule on few."""
    groups: dict[tuple[str, str, str, str, str, str], list[Sample]] = {}
    for s in samples:
        groups.setdefault((s.model, s.components, s.task, s.role, s.planted, s.expected), []).append(s)
    fooled = []
    for (model, components, _, _, planted, expected), members in groups.items():
        if sum(s.is_right for s in members) < (1 - _LEAST_FOOLED) * len(members):
            continue
        for rule in RULES[1:]:
            state, count = Counter(s.found.get(rule, "") for s in members).most_common(1)[0]
            if state != expected and count >= _LEAST_FOOLED * len(members):
                fooled.append(Fooled(rule, model, components, planted, state, expected))
    return tuple(fooled)


def load_calibration() -> Calibration | None:
    """The record that ships with this version; None where the rule has changed since it was made."""
    if not RECORD.is_file():
        return None
    found: Calibration = TypeAdapter(Calibration).validate_json(RECORD.read_bytes())
    return found if found.rule_version == RULE_VERSION else None


def save_calibration(found: Calibration) -> None:
    """Write the record, and the page of the documentation made from it."""
    RECORD.write_bytes(TypeAdapter(Calibration).dump_json(found, indent=1) + b"\n")
    PAGE.write_text(write_markdown(found), encoding="utf-8")


def quote_calibration() -> str:
    """What to say beside every verdict of how often this rule is right."""
    found = load_calibration()
    if found is None:
        return "How often this rule is right on models with known wiring was not measured for this version."
    right = found.right[COMBINED]
    return (
        f"On models with known wiring this rule was right in {describe_share(right)} samples; "
        "real models are messier, so it may be wrong more often here."
    )


def describe_share(estimate: Estimate) -> str:
    """`97.1 % [95.0, 98.4] of 412`."""
    assert estimate.low is not None
    assert estimate.high is not None
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}] of {estimate.n:,}"


def write_markdown(found: Calibration) -> str:
    """The page `docs/calibration.md`."""
    lines = [
        "# How often the verdict is right",
        "",
        "Made by `python -m audit_core calibrate --write`. Models whose weights are set by hand carry claims whose truth follows",
        "from the wiring; each was judged on many samples of prompts and several builds. Intervals are Wilson's, 95 %. Samples of",
        "one claim share its population of prompts, so they are not independent. Planted models are cleaner than real ones.",
        "*Right* is the state that the wiring demands: inconclusive where ways of replacing must contradict each other, and only",
        "there. The shares of decoys, causes and negative heads below count states alone.",
        "",
        f"Rule version {found.rule_version}; {found.n_claims} claims (each build counted), {found.n_samples:,} samples.",
        "",
        "| question | share of samples |",
        "|---|---|",
        *(f"| {rule} rule right | {describe_share(share)} |" for rule, share in found.right.items()),
        f"| decoys called supported | {describe_share(found.decoys_supported)} |",
        f"| single causes called supported | {describe_share(found.causes_supported)} |",
        f"| negative heads called reversed | {describe_share(found.negatives_reversed)} |",
        f"| intervals that hold the population's value | {describe_share(found.covered)} |",
    ]
    if found.random_supported is not None:
        lines.append(
            f"| random heads of the default model called supported | {describe_share(found.random_supported)} |"
        )
    states = [state.value for state in State]
    for rule, table in found.confusion.items():
        lines += ["", f"## {rule.capitalize()} rule", "", "| planted | " + " | ".join(states) + " |", "|---" * 5 + "|"]
        lines += [
            f"| {role} | " + " | ".join(str(row.get(s, 0)) for s in states) + " |"
            for role, row in sorted(table.items())
        ]
    lines += [
        "",
        "## Rules of one family that are fooled where the combined rule is not",
        "",
        "| rule | model | components | planted | it says | wanted |",
        "|---|---|---|---|---|---|",
        *(f"| {f.rule} | {f.model} | {f.components} | {f.planted} | {f.found} | {f.expected} |" for f in found.fooled),
        "",
    ]
    return "\n".join(lines)
