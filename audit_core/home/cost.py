"""Cost of audits, from the log: seconds, outcomes and verdicts by kind of audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core.judging.verdict import State
from audit_core.registry import list_plugins
from audit_core.store.log.costs import UNDER_WAY, RunCost, list_run_costs

DEFINITE = (State.SUPPORTED, State.NEGLIGIBLE, State.REVERSED)


@dataclass(frozen=True)
class Seconds:
    """Sum of seconds over the runs whose time is recorded."""

    total: float | None
    """None where no time is recorded."""
    n: int
    """Runs in the sum."""
    of: int
    """All ended runs; the sum lacks those without a recorded time."""

    @property
    def is_whole(self) -> bool:
        """Whether all times are recorded; otherwise the sum and its quotients are lower bounds."""
        return self.n == self.of


@dataclass(frozen=True)
class AnswerTally:
    """Number of questions with this answer."""

    state: str
    reason: str | None
    n: int


@dataclass(frozen=True)
class KindCost:
    """Cost and answers of one kind of audit."""

    kind: str
    started: int
    never_begun: int
    """Runs that were refused or cancelled before they began."""
    outcomes: Mapping[str, int]
    """Outcome → number of runs, including those that did not begin."""
    wall: Seconds
    cpu: Seconds
    """CPU time of the whole process during the run, including pages and other runs."""
    answers: tuple[AnswerTally, ...] | None
    """Answers by question, with equal questions counted once; None for a kind without verdicts."""
    settled: int | None
    """Questions with the answer supported, negligible or reversed."""
    wall_per_settled: float | None
    """Seconds of all runs of the kind, per settled question."""
    cpu_per_settled: float | None
    not_counted: str
    """Why a number per settled claim is missing or a lower bound; empty otherwise."""


@dataclass(frozen=True)
class CostReport:
    """Cost by kind of audit, the most expensive first."""

    kinds: tuple[KindCost, ...]
    wall: Seconds
    cpu: Seconds


def read_costs(home: Path) -> CostReport:
    """Count the costs in a data directory's log; a reused result is not a run and costs nothing.

    Raises:
        StoreRefused: another process has locked the log.
        IntegrityError: an event cannot be read.
    """
    return count_costs(list_run_costs(home))


def count_costs(runs: Sequence[RunCost]) -> CostReport:
    """Count costs by kind from single runs."""
    by_kind: dict[str, list[RunCost]] = {}
    for run in runs:
        by_kind.setdefault(run.kind, []).append(run)
    kinds = sorted(
        (_count_kind(kind, rows) for kind, rows in by_kind.items()), key=lambda k: (-(k.wall.total or 0), k.kind)
    )
    return CostReport(tuple(kinds), _add(runs, "wall_s"), _add(runs, "cpu_s"))


def _count_kind(kind: str, runs: Sequence[RunCost]) -> KindCost:
    begun = sum(run.has_begun for run in runs)
    wall, cpu = _add(runs, "wall_s"), _add(runs, "cpu_s")
    audit = list_plugins("audits").get(kind)
    answers = _count_answers(runs) if audit is not None and audit.judges else None
    settled = None if answers is None else sum(answer.n for answer in answers if answer.state in DEFINITE)
    return KindCost(
        kind,
        begun,
        len(runs) - begun,
        dict(Counter(run.outcome for run in runs)),
        wall,
        cpu,
        answers,
        settled,
        _share(wall, settled),
        _share(cpu, settled),
        _explain(wall, cpu, settled),
    )


def _count_answers(runs: Iterable[RunCost]) -> tuple[AnswerTally, ...]:
    # Equal content gives equal numbers, so a repeated attempt does not count as another question.
    asked = {run.content_key: (run.state, run.reason) for run in runs if run.state is not None}
    found = Counter((state or "", reason) for state, reason in asked.values())
    order = [state.value for state in State]
    rows = sorted(found.items(), key=lambda row: (order.index(row[0][0]) if row[0][0] in order else 9, row[0][1] or ""))
    return tuple(AnswerTally(state, reason, n) for (state, reason), n in rows)


def _add(runs: Iterable[RunCost], name: str) -> Seconds:
    every = [getattr(run, name) for run in runs if run.has_begun and run.outcome != UNDER_WAY]
    known = [value for value in every if value is not None]
    return Seconds(sum(known) if known else None, len(known), len(every))


def _share(spent: Seconds, settled: int | None) -> float | None:
    return spent.total / settled if settled and spent.total is not None else None


def _explain(wall: Seconds, cpu: Seconds, settled: int | None) -> str:
    if settled is None:
        return "this kind measures and has no verdict"
    if not settled:
        return "nothing is settled yet"
    missing = (f"{name} seconds of {s.of - s.n} of {s.of} runs are not recorded" for name, s in (("wall", wall), ("CPU", cpu)) if not s.is_whole)  # fmt: skip
    return "; ".join(missing)
