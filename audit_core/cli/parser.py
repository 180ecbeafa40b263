"""The argument parser: all commands, with options that are the same in every command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from audit_core.audits.attention_tests import MAX_SHUFFLES, SHUFFLES
from audit_core.audits.sweep import SWEPT
from audit_core.circuits.circuit_check import get_check, list_circuit_questions
from audit_core.claim import Universe
from audit_core.cli.api import add_api_commands
from audit_core.cli.attention import run_attention_tests
from audit_core.cli.audit import add_audit_command
from audit_core.cli.audits import sweep_components, test_claim
from audit_core.cli.benchmarks import add_benchmark_command
from audit_core.cli.calibrate import calibrate_rule
from audit_core.cli.campaigns import add_campaign_commands
from audit_core.cli.changes import add_change_commands
from audit_core.cli.circuits import discover_circuit, question_circuit
from audit_core.cli.claims import add_claim_commands
from audit_core.cli.dashboard import serve_dashboard
from audit_core.cli.desk import add_desk_commands
from audit_core.cli.endpoint import add_endpoint_command
from audit_core.cli.exchange import add_exchange_commands
from audit_core.cli.features import add_feature_commands
from audit_core.cli.findings import add_finding_commands
from audit_core.cli.home import add_home_commands
from audit_core.cli.html import write_page
from audit_core.cli.keys import add_key_commands
from audit_core.cli.lazy_parser import LazyParser
from audit_core.cli.log import add_log_commands
from audit_core.cli.models import fetch_known, show_models
from audit_core.cli.monitors import add_monitor_commands
from audit_core.cli.packs import add_pack_commands
from audit_core.cli.paths import FIRST, patch_paths
from audit_core.cli.policy import add_policy_commands
from audit_core.cli.prompts import add_prompt_commands
from audit_core.cli.retrieve import add_retrieve_command
from audit_core.cli.session import Adder, ask_prompts
from audit_core.cli.timestamp import add_timestamp_commands
from audit_core.cli.verify import verify_evidence, write_verifier
from audit_core.cli.witness import add_witness_commands
from audit_core.engine.streamed.build import STREAMED_FAMILIES
from audit_core.registry import list_plugins
from audit_core.verifier.command import add_arguments
from audit_core.version import VERSION

WAYS = ("resample", "mean", "zero")
GROUPS: dict[str, tuple[str, Callable[[LazyParser], object]]] = {
    "prompts": ("prompt files: which rows can be used", add_prompt_commands),
    "api": ("the REST API: serve it, describe it, and make tokens for it", add_api_commands),
    "features": (
        "sparse dictionaries: evaluate one, and compare how its features fire in two versions of a model",
        add_feature_commands,
    ),
    "finding": ("the findings register, and notices of what is due", add_finding_commands),
    "campaign": (
        "campaigns: models × prompt sets × audits, planned, run, watched and cancelled",
        add_campaign_commands,
    ),
    "monitor": (
        "monitors on an internal signal: fit, show, run on texts, record and replay a case",
        add_monitor_commands,
    ),
    "policy": ("policies: list, read, compare, try on packs, and save", add_policy_commands),
    "exchange": (
        "exchange with other tools: plans as PRML manifests, model signatures, statements about packs, attribution graphs, effects",
        add_exchange_commands,
    ),
    "home": ("back up or restore the data directory", add_home_commands),
    "log": ("the run log, and the audit log behind it", add_log_commands),
    "timestamp": (
        "time stamps of RFC 3161 for packs: ask for one, put it into the pack, check it",
        add_timestamp_commands,
    ),
    "witness": ("run a witness, which cosigns checkpoints of other people's logs", add_witness_commands),
}
"""Commands that have actions below them, with what they are for."""


def build_parser() -> LazyParser:
    parser = LazyParser(
        prog=_find_program(), description="Causal tests of explanations of language models, on the command line."
    )
    parser.add_argument("--version", action="version", version=f"assay {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> LazyParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    _add_models(add)
    for name, (text, add_actions) in GROUPS.items():
        commands.add_parser(name, help=text, description=text).later(add_actions)
    _add_measuring(add)
    _add_circuits(add)
    _add_judging(add)
    add_audit_command(add)
    add_benchmark_command(add)
    add_retrieve_command(add)
    add_endpoint_command(add)
    add_claim_commands(add)
    add_key_commands(add)
    add_pack_commands(add)
    add_desk_commands(add)
    add_change_commands(add)
    add_arguments(add("verify", verify_evidence, "verify an evidence pack, offline"))
    verifier = add("verifier", write_verifier, "write the verifier as one file that needs only Python")
    verifier.add_argument("--out", type=Path, default=Path("verify_pack.py"))
    page = add("html", write_page, "one run or claim as one HTML file that opens anywhere")
    page.add_argument("name", help="a run id, or a claim id such as C-0001")
    page.add_argument("--out", type=Path, required=True)
    text = "serve the pages at http://localhost:8501; needs the extra `dashboard`"
    dashboard = commands.add_parser("dashboard", help=text, description=text)
    dashboard.set_defaults(command=serve_dashboard)
    dashboard.add_argument("options", nargs="*", help="options of `streamlit run`, after --")
    return parser


def _find_program() -> str:
    """Program name of this process, for the usage line."""
    return "assay" if Path(sys.argv[0]).stem == "assay" else "python -m audit_core"


def _add_models(add: Adder) -> None:
    add("models", show_models, "known models, where cached, digest, licence")
    fetch = add("fetch", fetch_known, "fetch and prepare a known model")
    fetch.add_argument("name", nargs="?", default="default")


def _add_measuring(add: Adder) -> None:
    """Add the commands that measure without a verdict."""
    sweep = add("sweep", sweep_components, "measure the effect of every component of a kind, one at a time")
    sweep.add_argument("--kind", choices=tuple(kind.value for kind in SWEPT), default="head")
    _ask_ablation(
        sweep, ("patch", "resample", "mean", "mean_template", "zero"),
        "patch restores clean activations in the corrupted run; the others ablate in the clean run",
    )  # fmt: skip
    sweep.add_argument(
        "--screen", choices=tuple(list_plugins("estimators")), default="", help="estimator to compare with"
    )
    sweep.add_argument(
        "--streamed", action="store_true",
        help="keep the layers in the files and read one at a time, for a model larger than memory; prints time and "
        f"memory before it starts ({', '.join(STREAMED_FAMILIES)})",
    )  # fmt: skip
    ask_prompts(sweep, "all")
    attention = add(
        "attention-tests", run_attention_tests, "ablate attention patterns; compare attention views with causal effects"
    )
    attention.add_argument("heads", nargs="*", help="such as L23.H3 L24.H4; none for every head")
    attention.add_argument(
        "--shuffles", type=int, choices=range(1, MAX_SHUFFLES + 1), default=SHUFFLES, metavar=f"1-{MAX_SHUFFLES}"
    )
    ask_prompts(attention, "exploratory")


def _add_circuits(add: Adder) -> None:
    discover = add("discover", discover_circuit, "propose the components of a circuit, on the exploratory split")
    _ask_search(discover)
    _ask_ablation(discover, WAYS)
    ask_prompts(discover, "exploratory")
    circuit = add("circuit", question_circuit, "run one robustness check on a circuit")
    circuit.add_argument("components", nargs="+", help="such as L23.H3 L20.H0")
    checks = list_circuit_questions()
    questions = "; ".join(f"{name}: {get_check(name).question}" for name in checks)
    circuit.add_argument("--ask", choices=checks, default="circuit", help=questions)
    circuit.add_argument(
        "--other", type=Path, nargs="+", default=(), help="prompt sets of other tasks, for specificity"
    )
    _ask_search(circuit)
    _ask_ablation(circuit, WAYS)
    ask_prompts(circuit, "confirmatory")
    paths = add("paths", patch_paths, "measure the direct effect of each connection between components")
    paths.add_argument("components", nargs="*", help="such as L20.H0 L23.H3; none: the first of an order, see --first")
    paths.add_argument("--first", type=int, default=FIRST, help=f"how many of the order to take (default {FIRST})")
    paths.add_argument("--split", action="store_true", help="separate query, key and value inputs of heads")
    _ask_search(paths)
    _ask_ablation(paths, ("resample", "mean", "mean_template", "zero"))
    ask_prompts(paths, "exploratory")


def _add_judging(add: Adder) -> None:
    test = add("test", test_claim, "check the controls, test the claim, and print the verdict")
    test.add_argument("claim", type=Path, nargs="+", help="claims in TOML; several are judged as one report")
    ask_prompts(test, "confirmatory")
    calibration = add(
        "calibrate", calibrate_rule, "measure how often the verdict rule is right on models with known wiring"
    )
    calibration.add_argument(
        "--builds", type=int, default=3, help="builds of each planted model, with different random components"
    )
    calibration.add_argument(
        "--samples", type=int, help="samples of prompts per claim and build (3), or of each known answer of --audits"
    )
    calibration.add_argument(
        "--audits",
        action="store_true",
        help="instead: ask every audit's examples of its planted model; with --samples, rates of all its known answers",
    )
    calibration.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="AUDIT",
        help="with --audits --samples: only these; others stay as recorded",
    )
    calibration.add_argument("--planted-only", action="store_true", help="omit the default model")
    calibration.add_argument(
        "--heads-only", action="store_true", help="only planted heads; other rows stay as recorded"
    )
    calibration.add_argument(
        "--experts-only", action="store_true", help="only planted mixtures; other rows stay as recorded"
    )
    calibration.add_argument(
        "--ranges-only", action="store_true", help="only the check of ranges; other rows stay as recorded"
    )
    calibration.add_argument("--write", action="store_true", help="replace the record that verdicts quote")


def _ask_ablation(command: argparse.ArgumentParser, ways: Sequence[str], text: str | None = None) -> None:
    command.add_argument("--ablation", choices=ways, default="resample", help=text)
    command.add_argument("--metric", default="logit_difference")


def _ask_search(command: argparse.ArgumentParser) -> None:
    methods = tuple(list_plugins("circuit_discovery"))
    command.add_argument("--method", choices=methods, default="exact", help="search method for circuits")
    command.add_argument("--universe", choices=tuple(Universe), default=Universe.HEADS.value)
