"""What a pack discloses beside its results: where the log begins, earlier runs on the prompts, templates, split and seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit_core.confirm import describe_sought
from audit_core.prompts.found_templates import describe_templates
from audit_core.prompts.prompt_set import PromptSet, is_exploratory
from audit_core.store import load_kept_prompts
from audit_core.store.claims.earlier_runs import LoggedRun, list_logged_runs, summarise_access
from audit_core.store.claims.register import RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent
from audit_core.verifier.schemas_disclosure import MAX_EARLIER_RUNS, SPLIT_DERIVATIONS


def describe_disclosure(
    home: Path, claims: Sequence[RegisteredClaim], events: Sequence[AuditEvent], *, hides_words: bool = False
) -> dict[str, Any]:
    """The document `prereg/disclosure.json`.

    Args:
        events: every event of the log; the first is where it begins.
        hides_words: whether the skeletons are left out, because the prompts are withheld.

    Raises:
        IntegrityError: a stored prompt set was changed.
    """
    starts = {event.object_id: event.seq for event in events if event.action == Action.RUN_STARTED}
    sets: dict[str, dict[str, Any]] = {}
    for known in claims:
        digest = known.plan.pins.prompts_sha256
        if digest not in sets:
            sets[digest] = describe_set(digest, load_kept_prompts(known.prompts, home=home), hides_words=hides_words)
    return {
        "schema": "assay/disclosure/1",
        "installation": {"log_id": events[0].log_id, "began_at": events[0].ts, "runs": len(starts)},
        "claims": [_describe_claim(home, known, events, starts) for known in claims],
        "sets": list(sets.values()),
    }


def _describe_claim(
    home: Path, known: RegisteredClaim, events: Sequence[AuditEvent], starts: dict[str, int]
) -> dict[str, Any]:
    pins, seed = known.plan.pins, known.plan.seed
    prompts = load_kept_prompts(known.prompts, home=home)
    frozen = next(
        event
        for event in events
        if event.action == Action.PREREG_FROZEN and event.payload.get("claim_id") == known.claim_id
    )
    sought = describe_sought(prompts, pins.prompts_sha256)
    with open_database(home) as connection:
        runs = list_logged_runs(connection, sought)
    earlier = [run for run in runs if starts.get(run.run_id, frozen.seq) < frozen.seq]
    touching = [run for run in earlier if run.shown or run.templates]
    seen = summarise_access(
        [run for run in earlier if run.model_digest == pins.model_digest], len(set(sought.pairs)), 0
    )
    touched = frozenset[str]().union(*(run.counted for run in touching))
    return {
        "claim_id": known.claim_id,
        "frozen_at": frozen.ts,
        "runs_before": sum(seq < frozen.seq for seq in starts.values()),
        "seed": {"value": seed, "derivation": "chosen" if seed else "default"},
        "n_split": pins.n_prompts,
        "share_seen": seen.share,
        "share_touched": len(touched) / max(len(set(sought.pairs)), 1),
        "earlier_runs": [_describe_run(run, pins.model_digest) for run in touching[::-1][:MAX_EARLIER_RUNS]],
        "n_more": max(len(touching) - MAX_EARLIER_RUNS, 0),
    }


def _describe_run(run: LoggedRun, model_digest: str) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "audit": run.audit,
        "started_at": run.started_at,
        "model_digest": run.model_digest or "none",
        "is_this_model": run.model_digest == model_digest,
        "shows_results": run.shows_results,
        "n_prompts": run.n_prompts,
        "n_shared": len(run.shown),
        "n_templates_shared": len(run.templates),
    }


def describe_set(digest: str, prompts: PromptSet, *, hides_words: bool) -> dict[str, Any]:
    """Templates of one set as found from its texts, with the number of prompts in each split, and the rule of the split."""
    templates = describe_templates(prompts.prompts)
    of_row = {at: place for place, template in enumerate(templates) for at in template.rows}
    rule = 2 if prompts.split_salt else 1
    rows = []
    for template in templates:
        explored = sum(is_exploratory(prompts.prompts[at]) for at in template.rows)
        skeleton = None if hides_words else template.skeleton
        rows.append({"skeleton": skeleton, "n_exploratory": explored, "n_confirmatory": len(template.rows) - explored})
    return {
        "sha256": digest,
        "split": {"rule": rule, "salt": prompts.split_salt or None, "derivation": SPLIT_DERIVATIONS[rule]},
        "templates": rows,
        "template_of": [of_row[at] for at in range(len(prompts))],
        "n_labels": len({prompt.template for prompt in prompts.prompts}),
    }
