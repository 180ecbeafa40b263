"""Earlier runs of this installation on prompts of a confirmatory split, found by texts and by skeletons."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from audit_core.preregistration import PriorAccess
from audit_core.prompts.found_templates import match_skeletons
from audit_core.registry import list_plugins

if TYPE_CHECKING:
    import duckdb

_RUNS = """
SELECT run_id, started_at, kind, outcome, reason, model_digest, prompts_sha256, request, identity FROM runs
UNION ALL
SELECT run_id, started_at, kind, '' AS outcome, '' AS reason, model_digest, prompts_sha256, request, identity FROM run_start
WHERE run_id NOT IN (SELECT run_id FROM runs)
"""
# A run that was cancelled after its start may have shown partial results.
_RUNS_OF_MODEL = """
SELECT run_id, started_at, kind, outcome, reason, model_digest, prompts_sha256, request, identity FROM runs
WHERE model_digest = ? AND (outcome = 'done' OR (outcome = 'cancelled' AND reason <> 'never_begun'))
"""


@dataclass(frozen=True)
class Sought:
    """What is looked for in earlier runs: the prompts of one confirmatory split."""

    prompts_sha256: Sequence[str]
    """Hashes of the split and of the whole set, for runs logged before texts were compared."""
    pairs: Collection[str]
    """Digests of its prompts' texts, see `repeats.digest_texts`."""
    templates: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Digest of each skeleton that only this split has, see `found_templates.digest_skeleton`, → digests of its prompts."""
    counts_templates: bool = False
    """Whether an earlier run on a template counts as one on its prompts: in a set that is divided by template."""


@dataclass(frozen=True)
class LoggedRun:
    """A run of the log with what it was about."""

    run_id: str
    started_at: str
    audit: str
    model_digest: str
    shows_results: bool
    """Whether a person may have seen results of it; not where it was refused or failed."""
    n_prompts: int
    shown: frozenset[str]
    """Digests of the sought prompts whose texts it used."""
    templates: frozenset[str]
    """Skeletons of sought templates that its prompts have too."""
    counted: frozenset[str]
    """Digests of the sought prompts that count as used."""


@dataclass(frozen=True)
class EarlierAccess:
    """Logged runs that used prompts of a confirmatory split before its claim was frozen."""

    sets: int
    """Runs with a result over several of its prompts."""
    single: int
    """Runs with a result over one of its prompts."""
    runs: int
    """Runs of this model on any prompts."""
    share: float
    """Fraction of the split's prompts with results in any of these runs, compared by text and, if divided so, by template."""

    @property
    def access(self) -> PriorAccess:
        if self.sets:
            return PriorAccess.RESULTS_SEEN
        return PriorAccess.NO_RESULTS_SEEN if self.runs else PriorAccess.NOTHING_RUN


def list_logged_runs(connection: duckdb.DuckDBPyConnection, sought: Sought) -> tuple[LoggedRun, ...]:
    """List every run that was started, by any user and of any model, compared with what is sought; oldest first."""
    rows = sorted(connection.execute(_RUNS).fetchall(), key=lambda row: (row[1], row[0]))
    matched: dict[tuple[str, ...], frozenset[str]] = {}
    return tuple(_compare(row, sought, matched) for row in rows)


def read_sightings(connection: duckdb.DuckDBPyConnection, model_digest: str, sought: Sought) -> EarlierAccess:
    """Runs of a model that used prompts of a confirmatory split, under whatever name, order or file."""
    rows = connection.execute(_RUNS_OF_MODEL, [model_digest]).fetchall()
    matched: dict[tuple[str, ...], frozenset[str]] = {}
    return summarise_access([_compare(row, sought, matched) for row in rows], len(set(sought.pairs)), len(rows))


def summarise_access(runs: Sequence[LoggedRun], n_wanted: int, n_runs: int) -> EarlierAccess:
    """Count the runs that showed results of the sought prompts, and the share of these prompts."""
    used = [run for run in runs if run.shows_results and run.counted]
    seen = frozenset[str]().union(*(run.counted for run in used))
    sets = sum(run.n_prompts != 1 for run in used)
    return EarlierAccess(sets, len(used) - sets, n_runs, len(seen) / n_wanted if n_wanted else 0.0)


def _compare(row: Sequence[Any], sought: Sought, matched: dict[tuple[str, ...], frozenset[str]]) -> LoggedRun:
    run_id, started_at, kind, outcome, reason, model_digest, sha256, request, identity = row
    known = json.loads(identity)
    wanted, n_prompts = frozenset(sought.pairs), int(known.get("n_prompts", 0))
    if "pairs" in known:
        shown = wanted & frozenset(known["pairs"])
    else:
        # An old run of the split names none of its texts: all count as seen, unless it was of one prompt.
        was_split = _has_shown(sha256, json.loads(request), sought.prompts_sha256)
        shown = wanted if was_split and n_prompts != 1 else frozenset()
    skeletons = tuple(known.get("skeletons", ()))
    if skeletons not in matched:
        own = tuple(sought.templates)
        matched[skeletons] = frozenset(own[at] for at in match_skeletons(own, skeletons))
    templates = matched[skeletons]
    beside = frozenset(digest for one in templates for digest in sought.templates[one])
    counted = shown | (beside if sought.counts_templates else frozenset())
    ended = outcome == "done" or (outcome == "cancelled" and reason != "never_begun")
    return LoggedRun(
        run_id, started_at, kind, model_digest, ended and _shows_results(kind), n_prompts, shown, templates, counted
    )


def _shows_results(kind: str) -> bool:
    """Whether an audit shows results, by its declaration; an unknown audit counts as showing results."""
    audit = list_plugins("audits").get(kind)
    return audit is None or audit.shows_results


def _has_shown(sha256: str, request: Mapping[str, Any], wanted: Sequence[str]) -> bool:
    """Whether a run used this split, as its own prompts or as another task."""
    beside = json.dumps(request.get("others", []))
    return (sha256 in wanted and request.get("half") != "exploratory") or any(sha in beside for sha in wanted)
