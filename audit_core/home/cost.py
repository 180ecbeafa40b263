"""What audits cost beside what they settled: seconds, outcomes and verdicts by kind of audit, counted from the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core.judging.verdict import State
from audit_core.store.log.costs import UNDER_WAY, RunCost, list_run_costs

JUDGING = ("claim_test", "confirmation")
"""Kinds of audit that come to a verdict; every other one measures, and settles nothing by itself."""
DEFINITE = (State.SUPPORTED, State.NEGLIGIBLE, State.REVERSED)


@dataclass(frozen=True)
class Seconds:
    """A sum over the runs whose time is known."""

    total: float | None
    """None where no run's is."""
    n: int
    """Runs in the sum."""
    of: int
    """Runs that began and are over: the sum lacks the others."""

    @property
    def is_whole(self) -> bool:
        """Otherwise it is a least, and so is what is divided from it."""
        return self.n == self.of


@dataclass(frozen=True)
class AnswerTally:
    """How many questions had this answer."""

    state: str
    reason: str | None
    n: int


@dataclass(frozen=True)
class KindCost:
    """One kind of audit."""

    kind: str
    started: int
    never_begun: int
    """Asked for, and refused or cancelled before anything ran."""
    outcomes: Mapping[str, int]
    """Outcome → runs, of all that were asked for."""
    wall: Seconds
    cpu: Seconds
    """Of the whole process while the run lasted: pages and other runs are in it."""
    answers: tuple[AnswerTally, ...] | None
    """By question, an equal one counted once; None of a kind that comes to no verdict."""
    settled: int | None
    """Questions with a definite answer: supported, negligible or reversed."""
    wall_per_settled: float | None
    """Of all runs of the kind, those that settled nothing included."""
    cpu_per_settled: float | None
    not_counted: str
    """Why a number per settled claim is missing or a least; empty where neither is."""


@dataclass(frozen=True)
class CostReport:
    """Every kind that was asked for, the costliest first."""

    kinds: tuple[KindCost, ...]
    wall: Seconds
    cpu: Seconds


def read_costs(home: Path) -> CostReport:
    """Count what the log of a home holds; a reused answer is no run and costs nothing.

    Raises:
        StoreRefused: another process holds the log.
        IntegrityError: an event cannot be read.
    """
    return count_costs(list_run_costs(home))


def count_costs(runs: Sequence[RunCost]) -> CostReport:
    """The same of rows."""
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
    answers = _count_answers(runs) if kind in JUDGING else None
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
    # Equal content gives equal numbers: an attempt made again answers no second question.
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
        return "it measures and comes to no verdict"
    if not settled:
        return "nothing is settled yet"
    missing = (f"{name} seconds of {s.of - s.n} of {s.of} runs are not recorded" for name, s in (("wall", wall), ("CPU", cpu)) if not s.is_whole)  # fmt: skip
    return "; ".join(missing)
