"""The command line: everything the pages do, headless. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.sweep import SweepRequest, SweepResult
from audit_core.claim import load_claim
from audit_core.component import Kind
from audit_core.errors import AuditError, Cancelled
from audit_core.intervention import Direction, Replacement
from audit_core.models import KNOWN_MODELS, digest_folder, fetch_model, find_known, resolve_model
from audit_core.models.fetch import find_cached
from audit_core.prompts import TokenisedPrompts, load_prompts, split_half, tokenise
from audit_core.registry import list_plugins
from audit_core.run import Asker, Auditor, dump_result, identify_run, open_subject, record_refusal
from audit_core.statistics import Estimate, format_estimate
from audit_core.store import RunLog, audit_home
from audit_core.subject import Subject
from audit_core.verdict import State

INTERNAL = 5
NOT_DECIDABLE = 3
ABLATIONS = ("patch", "resample", "mean", "mean_template", "zero")
_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of `docs/reference/cli.md`."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except AuditError as error:
        _say(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("Interrupted; nothing it computed is kept.")
        return Cancelled.exit_code


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m audit_core", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    add("models", show_models, "known models, where cached, digest, licence")
    fetch = add("fetch", fetch_known, "fetch and prepare a known model")
    fetch.add_argument("name", nargs="?", default="default")
    sweep = add("sweep", sweep_components, "the exact effect of every component of a kind, one at a time")
    sweep.add_argument("--kind", choices=("head", "mlp", "resid", "query", "key", "value", "expert"), default="head")
    sweep.add_argument(
        "--ablation",
        choices=ABLATIONS,
        default="resample",
        help="patch restores clean activations in the corrupted run; the others take them away from the clean run",
    )
    test = add("test", test_claim, "controls, then the claim; prints the verdict")
    test.add_argument("claim", type=Path, help="claim in TOML")
    for command in (sweep, test):
        command.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
        command.add_argument("--prompts", type=Path, required=True, help="prompt set in JSON Lines")
        command.add_argument("--half", choices=("exploratory", "confirmatory"), help="only that half of the prompts")
        command.add_argument("--seed", type=int, default=0)
    sweep.add_argument("--metric", default="logit_difference")
    sweep.add_argument("--screen", choices=tuple(list_plugins("methods")), default="", help="estimate set beside it")
    log = add("log", export_log, "the run log")
    log.add_argument("action", choices=("export",))
    return parser


def show_models(options: argparse.Namespace) -> int:
    rows = []
    for known in KNOWN_MODELS:
        folder = find_cached(known)
        digest = None if folder is None else digest_folder(folder).weights_sha256
        rows.append(
            {
                "name": known.name,
                "alias": known.alias,
                "title": known.title,
                "licence": known.licence,
                "quantisation": known.quantisation,
                "folder": None if folder is None else str(folder),
                "weights_sha256": digest,
            }
        )
    if options.json:
        return _print_json({"models": rows})
    for row in rows:
        where = row["folder"] or "not fetched: python -m audit_core fetch " + str(row["name"])
        _print(
            f"{row['name']}  {row['title']}  {row['licence']}\n  {where}\n  weights sha256 {row['weights_sha256'] or '-'}"
        )
    return 0


def fetch_known(options: argparse.Namespace) -> int:
    known = find_known(options.name)
    folder = resolve_model(options.name, _show_fetch) if known is None else fetch_model(known, on_progress=_show_fetch)
    digest = digest_folder(folder)
    if options.json:
        return _print_json(
            {
                "name": options.name,
                "folder": str(folder),
                "weights_sha256": digest.weights_sha256,
                "tokenizer_sha256": digest.tokenizer_sha256,
            }
        )
    _print(f"{options.name} is ready in {folder}")
    return 0


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
        return _print_json(
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
    _print(f"clean {format_estimate(result.clean)} · corrupted {format_estimate(result.corrupted)}")
    _print(f"Support for the answer, {result.kind}s edited one at a time ({result.replacement}, {result.direction}):")
    ranked = sorted(result.cells, key=lambda cell: -abs(cell.estimate.value))
    for cell in ranked[:_SHOWN]:
        share = "" if cell.fraction is None else f"   {format_estimate(cell.fraction)}"
        _print(f"  {cell.component:<12} {format_estimate(cell.estimate)}{share}")
    if len(ranked) > _SHOWN:
        _print(f"  and {len(ranked) - _SHOWN} smaller; --json lists all.")
    if result.no_fraction:
        _print(f"No fraction of the gap: {result.no_fraction}")


def test_claim(options: argparse.Namespace) -> int:
    claim = load_claim(options.claim)
    subject, request, result = _run_audit(
        options, "test", lambda prompts: ClaimTestRequest(prompts, claim, options.seed)
    )
    if options.json:
        _print_json(_describe_test(subject, request, result))
    else:
        _print(f"{result.state.upper()}{f' ({result.reason})' if result.reason else ''}: {result.sentence}")
        for family, estimate in result.families.items():
            _print(f"  {family:<9} {_format(estimate) or result.not_measured.get(family, '')}")
        _print("  matched random null: not run in this version; the state rests on the interval rule alone.")
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


def export_log(options: argparse.Namespace) -> int:
    """One run a line, oldest first; with --json one array."""
    runs = RunLog(audit_home()).export()
    if options.json:
        return _print_json(list(runs))
    for run in runs:
        _print(json.dumps(run, ensure_ascii=False))
    return 0


def _run_audit(
    options: argparse.Namespace, kind: str, ask: Callable[[TokenisedPrompts], Any]
) -> tuple[Subject, Any, Any]:
    """Prompts, model, run; whatever is refused on the way is logged before it is reported."""
    log, asker = RunLog(audit_home()), Asker(_user(), "command line")
    try:
        prompts = load_prompts(options.prompts)
        if options.half:
            prompts = split_half(prompts, exploratory=options.half == "exploratory")
        subject = open_subject(options.model, on_progress=_show_fetch)
        request = ask(tokenise(prompts, subject.tokenizer))
    except AuditError as error:
        record_refusal(log, kind, error, asker=asker, request={"prompts": str(options.prompts), "model": options.model})
        raise
    audit = {"test": "claim_test"}.get(kind, kind)
    return subject, request, Auditor(subject, log).run(audit, request, asker=asker, on_progress=_show_progress).result


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _show_fetch(stage: str, done: int, total: int) -> None:
    """A moving line on a terminal; one line a stage in a log file."""
    if sys.stderr.isatty():
        _say(f"{stage} {done / total:.0%}   " if total else stage, end="\r")
    elif done == 0:
        _say(f"{stage} …")


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        _say(f"{done / total:.0%}", end="\r")


def _format(estimate: Estimate | None) -> str:
    return "" if estimate is None else format_estimate(estimate)


def _print_json(document: Any) -> int:
    # NaN is not JSON: a number that is not one must fail here, not in a reader's parser.
    _print(json.dumps(document, ensure_ascii=False, allow_nan=False))
    return 0


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()
