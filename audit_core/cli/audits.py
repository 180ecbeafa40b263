"""The commands `sweep` and `test`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.sweep import SweepRequest, SweepResult, predict_price
from audit_core.calibration.report import quote_calibration
from audit_core.claim import Claim, load_claim
from audit_core.cli.output import print_json, print_result, print_status, show_progress
from audit_core.cli.session import current_actor, open_audit, print_notices, run_audit
from audit_core.component import Kind
from audit_core.engine.streamed.price import StreamPrice, read_memory
from audit_core.engine.streamed.subject import StreamedSubject
from audit_core.errors import ClaimRefused, NotMeasured
from audit_core.intervention import Direction, Replacement
from audit_core.judging.null import DRAWS
from audit_core.judging.verdict import State
from audit_core.run import dump_result, identify_run
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.multiplicity import step_down
from audit_core.subject import Subject

NOT_DECIDABLE = 3
_SHOWN = 20


def sweep_components(options: argparse.Namespace) -> int:
    start = time.monotonic()

    subject, prompts, auditor = open_audit(options, "sweep")
    is_patch = options.ablation == "patch"
    request = SweepRequest(
        prompts,
        prompts,
        Kind(options.kind),
        Replacement.RESAMPLE if is_patch else Replacement(options.ablation),
        Direction.DENOISING if is_patch else Direction.NOISING,
        metric=options.metric,
        seed=options.seed,
        screen=options.screen,
    )
    price = _announce_price(subject, request) if isinstance(subject, StreamedSubject) else None
    found = run_audit(auditor, "sweep", request)
    result: SweepResult = found.result
    if options.json:
        return print_json(
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
                "streamed": None if price is None else _describe_streamed(price, found.wall_s),
                "notices": list(found.notices),
                "wall_s": time.monotonic() - start,
            }
        )
    _print_sweep(result)
    return 0


def _announce_price(subject: StreamedSubject, request: SweepRequest) -> StreamPrice:
    """Print what a streamed sweep takes, before it starts."""
    price = predict_price(subject, request)
    print_status(
        f"Predicted: {price.seconds:.0f} s and {price.peak_bytes / 1e9:.1f} GB of memory; layers are read "
        f"{price.passes} times, {price.read_bytes / 1e9:.1f} GB in all."
    )
    return price


def _describe_streamed(price: StreamPrice, wall_s: float) -> dict[str, Any]:
    """Predicted beside measured; the peak is that of the process so far, loading included."""
    return {"predicted": dump_result(price), "wall_s": wall_s, "peak_bytes": read_memory("VmHWM")}


def _print_sweep(result: SweepResult) -> None:
    print_result(f"clean {format_estimate(result.clean)} · corrupted {format_estimate(result.corrupted)}")
    print_result(f"Causal effect, {result.kind}s ablated one at a time ({result.replacement}, {result.direction}):")
    ranked = sorted(result.cells, key=lambda cell: -abs(cell.estimate.value))
    for cell in ranked[:_SHOWN]:
        share = "" if cell.fraction is None else f"   {format_estimate(cell.fraction)}"
        print_result(f"  {cell.component:<12} {format_estimate(cell.estimate)}{share}")
    if len(ranked) > _SHOWN:
        print_result(f"  and {len(ranked) - _SHOWN} smaller; --json lists all.")
    if result.no_fraction:
        print_result(f"No fraction of the gap: {result.no_fraction}")


def test_claim(options: argparse.Namespace) -> int:
    """Test claims on prompts; several claims form one report, corrected for multiplicity."""
    claims = [load_claim(path) for path in options.claim]
    _check_report(claims)
    subject, prompts, auditor = open_audit(options, "test")
    payload: list[dict[str, Any]] = []
    notices = prompts.notices
    for claim in claims:
        request = ClaimTestRequest(prompts, claim, options.seed)
        try:
            done = auditor.run("claim_test", request, actor=current_actor(), on_progress=show_progress)
        except NotMeasured as error:
            payload.append(_describe_failure(subject, request, error))
        else:
            notices = done.notices
            payload.append(_describe_test(subject, request, done.result))
    # All claims of a report are measured on the same prompts.
    print_notices(notices[len(prompts.notices) :])
    _require_report_form(payload)
    for found in payload:
        found["half"], found["notices"] = options.half, list(notices)
    if options.json:
        print_json(payload[0] if len(payload) == 1 else {"claims": payload})
    else:
        for found in payload:
            _print_test(found)
    return NOT_DECIDABLE if any(found["state"] == State.INCONCLUSIVE for found in payload) else 0


def _check_report(claims: Sequence[Claim]) -> None:
    """Refuse a report with more claims than the random baseline can distinguish.

    Raises:
        ClaimRefused: more claims than the number of random draws supports.
    """
    most = min(int(claim.alpha * (DRAWS + 1)) for claim in claims)
    if len(claims) > most:
        raise ClaimRefused(
            f"{len(claims)} claims in one report.",
            wanted=f"at most {most}: with {DRAWS} draws p cannot go below 1/{DRAWS + 1}, which more claims would need.",
            remedy="split the report, or test fewer claims.",
        )


def _require_report_form(payload: list[dict[str, Any]]) -> None:
    """Apply Holm's correction: a claim that is decided alone may be inconclusive in a longer report."""
    for found, is_rejected in zip(payload, step_down([found["holds_among"] for found in payload]), strict=True):
        found["report"] = {"claims": len(payload), "stands": is_rejected}
        if found["state"] != State.INCONCLUSIVE and not is_rejected:
            alone, found["state"], found["reason"] = found["state"], State.INCONCLUSIVE.value, "report_too_long"
            found["sentence"] = (
                f"Inconclusive: {alone} by itself, but not among the {len(payload)} claims of this report at Holm's level; "
                f"measured {format_estimate(Estimate(**found['estimate']))}."
            )


def _print_test(found: dict[str, Any]) -> None:
    print_result(
        f"{found['state'].upper()}{' (' + found['reason'] + ')' if found['reason'] else ''}: {found['sentence']}"
    )
    for family, estimate in found["families"].items():
        why = found["not_measured"].get(family, "")
        print_result(f"  {family:<9} {format_estimate(Estimate(**estimate)) if estimate else 'not measured: ' + why}")
    if null := found["null"]:
        p = "not drawn: " if null["p"] is None else f"p = {null['p']:.3f}, on {null['n']} prompts: "
        print_result(f"  baseline  {p}{null['matched_on']}")
    if found["templates_needed"]:
        print_result(f"  about {found['templates_needed']:,} templates of the same size would settle it")
    for backup in (found["self_repair"] or {}).get("backups", ()):
        print_result(f"  backup    {backup['component']}: {format_estimate(Estimate(**backup['growth']))}")
    print_result(f"  {found['calibration']}")


def _describe_failure(subject: Subject, request: ClaimTestRequest, error: NotMeasured) -> dict[str, Any]:
    """Result of a test whose instrument controls failed: a reason and no number."""
    nothing = (
        "estimate", "null", "templates_needed", "self_repair", "mediation", "accuracy", "clean", "corrupted", "controls",
        "off_distribution",
    )  # fmt: skip
    return (
        _describe_request(subject, request)
        | {
            "state": State.INCONCLUSIVE.value,
            "reason": error.reason,
            "sentence": f"Not tested: {error.detail}",
            "families": {},
            "not_measured": {},
            "holds_among": 0,
            "plausibility": {},
            "conditions": {},
        }
        | dict.fromkeys(nothing)
    )


def _describe_test(subject: Subject, request: ClaimTestRequest, result: ClaimTestResult) -> dict[str, Any]:
    families = {k: None if e is None else dump_result(e) for k, e in result.families.items()}
    null = result.null

    def dump(part: Any) -> dict[str, Any] | None:
        return None if part is None else dump_result(part)

    return _describe_request(subject, request) | {
        "state": result.state,
        "reason": result.reason,
        "sentence": result.sentence,
        "estimate": families[request.claim.ablation.value],
        "families": families,
        "not_measured": result.not_measured,
        "null": null and {"draws": len(null.values), "p": null.p, "matched_on": null.design, "n": null.n},
        "holds_among": result.holds_among,
        "templates_needed": result.templates_needed,
        "plausibility": {look.source: dump_result(look.mass) for look in result.looks},
        "self_repair": dump(result.repair),
        "mediation": dump(result.mediation),
        "conditions": dict(result.conditions),
        "accuracy": result.accuracy,
        "clean": dump_result(result.clean),
        "corrupted": dump_result(result.corrupted),
        "controls": dump_result(result.controls),
        "off_distribution": dump(result.drift),
    }


def _describe_request(subject: Subject, request: ClaimTestRequest) -> dict[str, Any]:
    return {
        "claim": request.claim.to_json() | {"sha256": request.claim.sha256},
        "calibration": quote_calibration([str(part) for part in request.claim.components]),
        "fallback": subject.fallback or None,
        "identity": identify_run(subject.identity, request),
    }
