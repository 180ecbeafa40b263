"""Commands that run an audit: `sweep` and `test`."""

from __future__ import annotations

import argparse
import getpass
import time
from collections.abc import Callable, Sequence
from typing import Any

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.sweep import SweepRequest, SweepResult
from audit_core.calibration_report import quote_calibration
from audit_core.claim import Claim, load_claim
from audit_core.cli.output import show_fetch, show_progress, tell, tell_json
from audit_core.component import Kind
from audit_core.errors import AuditError, ControlFailed
from audit_core.intervention import Direction, Replacement
from audit_core.multiplicity import adjust_holm
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
    """Hold claims against prompts; several claims are one report, and each must beat chance in all of it."""
    claims = [load_claim(path) for path in options.claim]
    told: list[dict[str, Any]] = []
    for claim in claims:

        def ask(prompts: TokenisedPrompts, claim: Claim = claim) -> ClaimTestRequest:
            return ClaimTestRequest(prompts, claim, options.seed)

        try:
            subject, request, result = _run_audit(options, "test", ask)
        except ControlFailed as error:
            told.append(_describe_failure(claim, error))
        else:
            told.append(_describe_test(subject, request, result))
    _hold_to_report(claims, told)
    if options.json:
        tell_json(told[0] if len(told) == 1 else {"claims": told})
    else:
        for found in told:
            _print_test(found)
    return NOT_DECIDABLE if any(found["state"] == State.INCONCLUSIVE for found in told) else 0


def _hold_to_report(claims: Sequence[Claim], told: list[dict[str, Any]]) -> None:
    """Holm over the claims: what is supported alone may be chance among many."""
    draws = [found["null"] for found in told]
    known = [null["p"] if null and null["p"] is not None else 1.0 for null in draws]
    for claim, found, null, adjusted in zip(claims, told, draws, adjust_holm(known), strict=True):
        if null is None:
            continue
        null["p_adjusted"], null["claims"] = adjusted, len(claims)
        if found["state"] == State.SUPPORTED and adjusted > claim.alpha:
            found["state"], found["reason"] = State.INCONCLUSIVE.value, "null_not_beaten"
            found["sentence"] = (
                f"Inconclusive: among {len(claims)} claims of this report chance does as much (adjusted p = {adjusted:.3f})."
            )


def _print_test(found: dict[str, Any]) -> None:
    tell(f"{found['state'].upper()}{' (' + found['reason'] + ')' if found['reason'] else ''}: {found['sentence']}")
    for family, estimate in found["families"].items():
        tell(
            f"  {family:<9} {format_estimate(Estimate(**estimate)) if estimate else found['not_measured'].get(family, '')}"
        )
    if found["null"]:
        tell(f"  chance    p = {found['null']['p']:.3f}: {found['null']['matched_on']}")
    if found["n_needed"]:
        tell(f"  about {found['n_needed']:,} prompts of this mix would settle it")
    for backup in (found["self_repair"] or {}).get("backups", ()):
        tell(f"  backup    {backup['component']}: {format_estimate(Estimate(**backup['growth']))}")
    tell(f"  {quote_calibration()}")


def _describe_failure(claim: Claim, error: ControlFailed) -> dict[str, Any]:
    """A dead instrument gives a reason and no number."""
    return {
        "claim": claim.to_json() | {"sha256": claim.sha256},
        "state": State.INCONCLUSIVE.value,
        "reason": error.reason,
        "sentence": f"Not tested: {error.detail}",
        "estimate": None,
        "families": {},
        "not_measured": {},
        "null": None,
        "n_needed": None,
        "self_repair": None,
        "mediation": None,
        "controls": None,
    }


def _describe_test(subject: Subject, request: ClaimTestRequest, result: ClaimTestResult) -> dict[str, Any]:
    families = {k: None if e is None else dump_result(e) for k, e in result.families.items()}
    null = result.null
    return {
        "claim": request.claim.to_json() | {"sha256": request.claim.sha256},
        "state": result.state,
        "reason": result.reason,
        "sentence": result.sentence,
        "estimate": families[request.claim.ablation.value],
        "families": families,
        "not_measured": result.not_measured,
        "null": None if null is None else {"draws": len(null.values), "p": null.p, "matched_on": null.design},
        "n_needed": result.n_needed,
        "plausibility": {look.source: dump_result(look.mass) for look in result.looks},
        "self_repair": None if result.repair is None else dump_result(result.repair),
        "mediation": dump_result(result.mediation),
        "conditions": dict(result.conditions),
        "accuracy": result.accuracy,
        "clean": dump_result(result.clean),
        "corrupted": dump_result(result.corrupted),
        "controls": dump_result(result.controls),
        "off_distribution": dump_result(result.drift),
        "calibration": quote_calibration(),
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
