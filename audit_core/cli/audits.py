"""Commands that run an audit: `sweep` and `test`."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Callable
from typing import Any

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.sweep import SweepRequest, SweepResult
from audit_core.claim import load_claim
from audit_core.cli.output import show_fetch, show_progress, tell, tell_json
from audit_core.component import Kind
from audit_core.errors import AuditError
from audit_core.intervention import Direction, Replacement
from audit_core.prompts import TokenisedPrompts, load_prompts, split_half, tokenise
from audit_core.run import Asker, Auditor, dump_result, identify_run, open_subject, record_refusal
from audit_core.statistics import Estimate, format_estimate
from audit_core.store import RunLog, audit_home
from audit_core.subject import Subject
from audit_core.verdict import State

NOT_DECIDABLE = 3
_SHOWN = 20


def sweep_components(options: argparse.Namespace) -> int:
    start = time.monotonic()

    def ask(prompts: TokenisedPrompts) -> SweepRequest:
        is_patch = options.ablation == "patch"
        return SweepRequest(
            prompts,
            prompts,
            Kind(options.kind),
            Replacement.RESAMPLE if is_patch else Replacement(options.ablation),
            Direction.DENOISING if is_patch else Direction.NOISING,
            metric=options.metric,
            seed=options.seed,
            screen=options.screen,
        )

    subject, request, result = _run_audit(options, "sweep", ask)
    if options.json:
        return tell_json(
            {
                "identity": identify_run(subject.identity, request),
                "unit": result.unit,
                "n": result.n,
                "kind": result.kind,
                "ablation": options.ablation,
                "direction": result.direction,
                "metric": result.metric,
                "clean": dump_result(result.clean),
                "corrupted": dump_result(result.corrupted),
                "accuracy": result.accuracy,
                "cells": [dump_result(cell) for cell in result.cells],
                "no_fraction": result.no_fraction or None,
                "no_marks": result.no_marks or None,
                "screened": None if result.screened is None else dump_result(result.screened),
                "controls": dump_result(result.controls),
                "fallback": subject.fallback or None,
                "wall_s": time.monotonic() - start,
            }
        )
    _print_sweep(result)
    return 0


def _print_sweep(result: SweepResult) -> None:
    tell(f"clean {format_estimate(result.clean)} · corrupted {format_estimate(result.corrupted)}")
    tell(f"Support for the answer, {result.kind}s edited one at a time ({result.replacement}, {result.direction}):")
    ranked = sorted(result.cells, key=lambda cell: -abs(cell.estimate.value))
    for cell in ranked[:_SHOWN]:
        share = "" if cell.fraction is None else f"   {format_estimate(cell.fraction)}"
        tell(f"  {cell.component:<12} {format_estimate(cell.estimate)}{share}")
    if len(ranked) > _SHOWN:
        tell(f"  and {len(ranked) - _SHOWN} smaller; --json lists all.")
    if result.no_fraction:
        tell(f"No fraction of the gap: {result.no_fraction}")


def test_claim(options: argparse.Namespace) -> int:
    claim = load_claim(options.claim)
    subject, request, result = _run_audit(
        options, "test", lambda prompts: ClaimTestRequest(prompts, claim, options.seed)
    )
    if options.json:
        tell_json(_describe_test(subject, request, result))
    else:
        tell(f"{result.state.upper()}{f' ({result.reason})' if result.reason else ''}: {result.sentence}")
        for family, estimate in result.families.items():
            tell(f"  {family:<9} {_format(estimate) or result.not_measured.get(family, '')}")
        tell("  matched random null: not run in this version; the state rests on the interval rule alone.")
    return NOT_DECIDABLE if result.state == State.INCONCLUSIVE else 0


def _describe_test(subject: Subject, request: ClaimTestRequest, result: ClaimTestResult) -> dict[str, Any]:
    families = {k: None if e is None else dump_result(e) for k, e in result.families.items()}
    return {
        "claim": request.claim.to_json() | {"sha256": request.claim.sha256},
        "state": result.state,
        "reason": result.reason,
        "sentence": result.sentence,
        "estimate": families[request.claim.ablation.value],
        "families": families,
        "not_measured": result.not_measured,
        "null": {"draws": 0, "p": None, "matched_on": None, "reason": "matched nulls are not run in this version"},
        "plausibility": {look.source: dump_result(look.mass) for look in result.looks},
        "self_repair": None,
        "conditions": dict(result.conditions),
        "accuracy": result.accuracy,
        "clean": dump_result(result.clean),
        "corrupted": dump_result(result.corrupted),
        "controls": dump_result(result.controls),
        "fallback": subject.fallback or None,
        "identity": identify_run(subject.identity, request),
    }


def _run_audit(
    options: argparse.Namespace, kind: str, ask: Callable[[TokenisedPrompts], Any]
) -> tuple[Subject, Any, Any]:
    """Prompts, model, run; whatever is refused on the way is logged before it is reported."""
    log, asker = RunLog(audit_home()), Asker(_user(), "command line")
    try:
        prompts = load_prompts(options.prompts)
        if options.half:
            prompts = split_half(prompts, exploratory=options.half == "exploratory")
        subject = open_subject(options.model, on_progress=show_fetch)
        request = ask(tokenise(prompts, subject.tokenizer))
    except AuditError as error:
        record_refusal(log, kind, error, asker=asker, request={"prompts": str(options.prompts), "model": options.model})
        raise
    audit = {"test": "claim_test"}.get(kind, kind)
    return subject, request, Auditor(subject, log).run(audit, request, asker=asker, on_progress=show_progress).result


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _format(estimate: Estimate | None) -> str:
    return "" if estimate is None else format_estimate(estimate)
