"""The command `benchmark`: record a benchmark run as an artefact, or run a recorded one again and compare."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit_core.benchmarks.artefact import build_artefact, compare_artefacts, read_artefact
from audit_core.cli.audit import read_own_file
from audit_core.cli.gate import write_file
from audit_core.cli.output import print_json, print_result, show_fetch
from audit_core.cli.session import Adder, open_subject, run_audit
from audit_core.errors import Refused
from audit_core.evidence.source import hash_source
from audit_core.registry import get_plugin
from audit_core.run import Auditor, dump_result, identify_run
from audit_core.store import RunLog, audit_home

CHANGED = 1
"""Exit code where a later run differs from the recorded one."""


def add_benchmark_command(add: Adder) -> None:
    """Add `benchmark`."""
    command = add("benchmark", run_benchmark, "record a benchmark as a dated artefact, or run a recorded one again")
    command.add_argument("--file", type=Path, required=True, help="GSM8K, MATH, BBH, MMLU, ARC or DROP, as published")
    command.add_argument("--components", nargs="+", metavar="ADDRESS", help="such as L23.H3")
    command.add_argument("--model", help="default, a known name, a folder, or a hub id")
    command.add_argument("--format", default="", help="key of the format; found from the first rows without it")
    command.add_argument("--prompt-format", choices=("text", "letter"), default="text")
    command.add_argument("--replacement", choices=("resample", "mean", "zero"), default="resample")
    command.add_argument("--most-items", default="100")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, help="where to write the artefact")
    command.add_argument(
        "--again", type=Path, metavar="ARTEFACT", help="run this artefact's question again and compare"
    )


def run_benchmark(options: argparse.Namespace) -> int:
    """Record, or compare: exit code 0 if a later run is the same, 1 if it changed."""
    recorded = None if options.again is None else read_artefact(options.again)
    answers, model, seed = _ask(options) if recorded is None else _ask_again(recorded)
    auditor = Auditor(open_subject(options.model or model, on_progress=show_fetch), RunLog(audit_home()))
    request = get_plugin("audits", "benchmark").ask_file(
        auditor.subject, read_own_file(options.file), options.file.name, answers, seed=seed
    )
    found = run_audit(auditor, "benchmark", request)
    made = build_artefact(
        request=request.describe(), result=dump_result(found.result), code_sha256=hash_source(),
        identity=identify_run(auditor.subject.identity, request),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    ) | {"answers": answers, "model": options.model or model, "seed": seed}  # fmt: skip
    if options.out is not None:
        write_file(options.out, json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False).encode())
    if recorded is None:
        if options.json:
            return print_json(made)
        print_result(found.result.finding)
        return 0
    comparison = compare_artefacts(recorded, made)
    if options.json:
        print_json({"same": comparison.is_same, "causes": comparison.causes, "differences": comparison.differences})
    else:
        print_result(comparison.sentence)
    return 0 if comparison.is_same else CHANGED


def _ask(options: argparse.Namespace) -> tuple[dict[str, str], str, int]:
    if not options.components:
        raise Refused("No components.", wanted="heads or MLPs.", remedy="give --components L23.H3, or --again.")
    answers = {
        "components": " ".join(options.components), "format": options.format, "prompt_format": options.prompt_format,
        "replacement": options.replacement, "most_items": options.most_items,
    }  # fmt: skip
    return answers, "default", options.seed


def _ask_again(recorded: dict[str, Any]) -> tuple[dict[str, str], str, int]:
    answers, model, seed = (recorded.get(name) for name in ("answers", "model", "seed"))
    if not isinstance(answers, dict) or not isinstance(model, str) or type(seed) is not int:
        raise Refused(
            "The artefact does not say how it was asked.", wanted="one that `benchmark --out` wrote.",
            remedy="record it again.",
        )  # fmt: skip
    return {str(name): str(value) for name, value in answers.items()}, model, seed
