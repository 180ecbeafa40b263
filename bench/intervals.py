"""Error rates of the verdict's interval over designs of templates; writes its table into docs/intervals.md.

Templates are drawn from populations with a mean effect of exactly the smallest effect of interest, 0.10, so that each
"supported" and each "negligible" is an error of the interval. The former rule (bias-corrected and accelerated bootstrap,
widened to Student's t) is measured on the same samples. A second table has the rate of "supported" at half that effect, a
third counts *negligible* with and without a rare kind of template in the sample. `--table`, `--half`, `--rare`: that one alone.
The coverage of each design also goes to data/intervals.json, which the page Calibration shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.special import ndtr, ndtri

from audit_core.calibration.designs import DESIGNS as DESIGNS_FILE
from audit_core.calibration.designs import SimulatedDesign
from audit_core.judging.verdict import RARE_TEMPLATE, find_beyond
from audit_core.stats.bootstrap import bootstrap_ratios, draw_weights, expanded_tail
from audit_core.stats.groups import estimate_groups

Array = NDArray[np.float64]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "intervals.md"
MARK, MARK_HALF, MARK_RARE = "table", "half", "rare"
"""Names of the places that the tables are written to."""
TRIALS, TRIALS_OWN_GAPS = 3_000, 500
PER_TEMPLATE = 5
BATCH = 200
DELTA = 0.10
TEMPLATE_SD, PROMPT_SD = 0.08, 0.10
SIZES = (5, 8, 12, 24)


def draw_log_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Standardised log-normal values, log-scale SD 1."""
    return np.asarray((np.exp(rng.standard_normal(shape)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e))


def draw_two_kinds(rng: np.random.Generator, shape: tuple[int, ...], share: float) -> Array:
    """Standardised values of two kinds of template; `share` of them have the larger effect."""
    return np.asarray(((rng.random(shape) < share) - share) / np.sqrt(share * (1 - share)))


@dataclass(frozen=True)
class Design:
    """A population of templates."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    """Standardised template effects of a shape."""
    gap_cv: float = 0.0
    """Coefficient of variation of the gap in the denominator between templates."""


DESIGNS = (
    Design("normal", lambda rng, shape: rng.standard_normal(shape)),
    Design("t with 3 degrees", lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3)),
    Design("log-normal", draw_log_normal),
    Design("negative log-normal", lambda rng, shape: -draw_log_normal(rng, shape)),
    Design("two kinds, 1 in 4", lambda rng, shape: draw_two_kinds(rng, shape, 0.25)),
    Design("noisy gaps (CV 0.8)", lambda rng, shape: rng.standard_normal(shape), 0.8),
    Design("one template in ten", lambda rng, shape: draw_two_kinds(rng, shape, RARE_TEMPLATE)),
)


def draw_trials(design: Design, k: int, trials: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Numerator and denominator per prompt; shape (trial, prompt), templates in consecutive blocks."""
    scale = np.sqrt(np.log1p(design.gap_cv**2))
    gaps = np.exp(scale * rng.standard_normal((trials, k)) - scale**2 / 2)
    effects = DELTA + TEMPLATE_SD * design.draw(rng, (trials, k))
    numerator = np.repeat(effects * gaps, PER_TEMPLATE, axis=1)
    return numerator + PROMPT_SD * rng.standard_normal(numerator.shape), np.repeat(gaps, PER_TEMPLATE, axis=1)


Interval = Callable[[Array, Array, tuple[str, ...], float], tuple[Array, Array]]
"""(numerators of shape (series, prompt), denominator, clusters, level) → lower and upper ends, shape (series,)."""


def take_present(numerators: Array, denominator: Array, clusters: tuple[str, ...], level: float) -> tuple[Array, Array]:
    """The product's interval."""
    found = bootstrap_ratios(numerators, denominator, clusters, unit="", seed=0, level=level)
    return np.array([e.low for e in found], float), np.array([e.high for e in found], float)


def take_former(numerators: Array, denominator: Array, clusters: tuple[str, ...], level: float) -> tuple[Array, Array]:
    """Bias-corrected and accelerated bootstrap, widened to Student's t (rule version 2).

    Source: Efron 1987; Hesterberg 2015, arXiv:1411.5279.
    """
    names, member = np.unique(clusters, return_inverse=True)
    weights = draw_weights(clusters, seed=0)
    assert weights is not None
    draws = np.sort((weights @ numerators.T) / (weights @ denominator)[:, None], axis=0)
    values = numerators.sum(1) / denominator.sum()
    bias = ndtri(((draws < values).sum(0) + 0.5) / (len(draws) + 1))
    kept = 1.0 - (member[None] == np.arange(names.size)[:, None])
    without = (kept @ numerators.T) / (kept @ denominator)[:, None]
    pull = without.mean(0) - without
    skew = (pull**3).sum(0) / (6 * (pull**2).sum(0) ** 1.5)
    tail, series = expanded_tail(names.size, level), np.arange(len(numerators))
    ends = []
    for side in (tail, 1 - tail):
        z = bias + ndtri(side)
        share = ndtr(bias + z / np.maximum(1 - skew * z, 1e-9))
        ends.append(draws[np.round(share * (len(draws) - 1)).astype(int), series])
    return ends[0], ends[1]


def measure_design(
    design: Design, k: int, interval: Interval, *, trials: int, checks_templates: bool
) -> dict[str, float]:
    """Rates over trials: interval contains the true effect; "supported"; "negligible"."""
    rng = np.random.default_rng(k)
    clusters = tuple(f"t{at:02}" for at in range(k) for _ in range(PER_TEMPLATE))
    numerators, denominators = draw_trials(design, k, trials, rng)
    covered, supported, negligible = 0, 0, 0
    # Trials with equal gaps share their draws.
    step = 1 if design.gap_cv else BATCH
    for at in range(0, trials, step):
        batch, denominator = numerators[at : at + step], denominators[at]
        low, high = interval(batch, denominator, clusters, 0.95)
        inner_low, inner_high = interval(batch, denominator, clusters, 0.90)
        covered += int(((low <= DELTA) & (high >= DELTA)).sum())
        supported += int((low > DELTA).sum())
        small = batch[(inner_low > -DELTA) & (inner_high < DELTA)]
        negligible += sum(not (checks_templates and differs(row, denominator, clusters)) for row in small)
    return {name: n / trials for name, n in (("cover", covered), ("supported", supported), ("negligible", negligible))}


def measure_half(design: Design, k: int, *, trials: int) -> float:
    """Rate of "supported" where the true mean effect is half of the smallest effect of interest; the same samples, moved."""
    rng = np.random.default_rng(k)
    clusters = tuple(f"t{at:02}" for at in range(k) for _ in range(PER_TEMPLATE))
    numerators, denominators = draw_trials(design, k, trials, rng)
    numerators, supported = numerators - DELTA / 2 * denominators, 0
    step = 1 if design.gap_cv else BATCH
    for at in range(0, trials, step):
        low, _ = take_present(numerators[at : at + step], denominators[at], clusters, 0.95)
        supported += int((low > DELTA).sum())
    return supported / trials


def write_half_table() -> str:
    """Rates of "supported" at half of δ as Markdown; a design a row, a number of templates a column."""
    rows = [
        f"| template effects | samples | {' | '.join(f'{k} templates' for k in SIZES)} |",
        "|---|---|---|---|---|---|",
    ]
    for design in DESIGNS:
        # Each sample with gaps of its own needs a bootstrap of its own.
        trials = TRIALS_OWN_GAPS if design.gap_cv else TRIALS
        rates = [measure_half(design, k, trials=trials) for k in SIZES]
        rows.append(f"| {design.name} | {trials:,} | {' | '.join(f'{rate:.4f}' for rate in rates)} |")
        print(rows[-1], flush=True)
    return "\n".join(rows)


def measure_rare(k: int, *, trials: int) -> tuple[int, int, int, int]:
    """Samples of "one template in ten" with the rare kind in them, and those called "negligible"; then the same without it."""
    rng = np.random.default_rng(k)
    clusters = tuple(f"t{at:02}" for at in range(k) for _ in range(PER_TEMPLATE))
    is_present, called = np.zeros(trials, bool), np.zeros(trials, bool)

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        found = draw_two_kinds(rng, shape, RARE_TEMPLATE)
        is_present[:] = (found > 0).any(1)
        return found

    numerators, denominators = draw_trials(Design("one template in ten", draw), k, trials, rng)
    for at in range(0, trials, BATCH):
        batch = slice(at, at + BATCH)
        low, high = take_present(numerators[batch], denominators[at], clusters, 0.90)
        called[batch] = [
            is_small and not differs(row, denominators[at], clusters)
            for row, is_small in zip(numerators[batch], (low > -DELTA) & (high < DELTA), strict=True)
        ]
    with_it, without = called[is_present], called[~is_present]
    return with_it.size, int(with_it.sum()), without.size, int(without.sum())


def write_rare_table() -> str:
    """Counts of "negligible" with and without the rare kind of template as Markdown; a number of templates a row."""
    rows = [
        "| templates | samples with the rare kind | of these *negligible* | samples without it | of these *negligible* |",
        "|---|---|---|---|---|",
    ]
    for k in SIZES:
        rows.append(f"| {k} | {' | '.join(f'{count:,}' for count in measure_rare(k, trials=TRIALS))} |")
        print(rows[-1], flush=True)
    return "\n".join(rows)


def differs(numerator: Array, denominator: Array, clusters: tuple[str, ...]) -> bool:
    """Whether the rule refuses "negligible" because of one template."""
    groups = estimate_groups(numerator, denominator, clusters, unit="", min_gap=-np.inf)
    return bool(find_beyond(groups.estimates, DELTA))


def write_table(*, trials: int = TRIALS) -> str:
    """The table as Markdown."""
    rows = [
        "| template effects | templates | contains the effect | supported | negligible | former: contains | supported | negligible |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for design in DESIGNS:
        for k in SIZES:
            now = measure_design(design, k, take_present, trials=trials, checks_templates=True)
            former = measure_design(design, k, take_former, trials=trials, checks_templates=False)
            numbers = " | ".join(
                f"{rates[name]:.3f}" for rates in (now, former) for name in ("cover", "supported", "negligible")
            )
            rows.append(f"| {design.name} | {k} | {numbers} |")
            print(rows[-1], flush=True)
    return "\n".join(rows)


def put(mark: str, table: str) -> None:
    """Write a table between its marks on the page."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def read_designs() -> list[SimulatedDesign]:
    """The rows of the page's first table; coverage as printed, in whole samples."""
    table = PAGE.read_text(encoding="utf-8").split(f"<!-- {MARK}: begin -->")[1].split("<!--")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()[2:]]
    return [SimulatedDesign(name, int(k), TRIALS, round(float(cover) * TRIALS)) for name, k, cover, *_ in rows]


def main(words: Sequence[str]) -> None:
    tables = {
        "--table": (MARK, write_table),
        "--half": (MARK_HALF, write_half_table),
        "--rare": (MARK_RARE, write_rare_table),
    }
    for word in [one for one in tables if one in words] or tables:
        mark, write = tables[word]
        put(mark, write())
    DESIGNS_FILE.write_bytes(TypeAdapter(list[SimulatedDesign]).dump_json(read_designs(), indent=1) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
