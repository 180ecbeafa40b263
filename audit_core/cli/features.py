"""The command `features`: evaluate a sparse dictionary, and compare how its features fire in two versions of a model."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from audit_core.cli.output import print_json, print_result, show_fetch, show_progress
from audit_core.cli.session import open_subject
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.errors import Refused
from audit_core.feature_record import write_measure
from audit_core.features import load_dictionary, open_dictionary
from audit_core.features.absorption import CAVEAT
from audit_core.features.difference import FiringDifference, compare_firing
from audit_core.features.evaluation import DictionaryEvaluation, evaluate_dictionary
from audit_core.features.held_out import HeldOutTexts, list_shipped_texts, read_labelled_file, read_text_file
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Subject

MAX_FILE_BYTES = 4 << 20
Found = TypeVar("Found", DictionaryEvaluation, FiringDifference)


def add_feature_commands(features: argparse.ArgumentParser) -> None:
    """Add the actions of `features`, each with `--json`."""
    actions = features.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        sub.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
        sub.add_argument("--dictionary", default="default-layer-12", help="a shipped dictionary, or a folder of one")
        sub.add_argument("--texts", type=Path, help="CSV with the column text, and group; shipped prompts unless given")
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--out", type=Path, help="also write the result as a record to a new file")
        return sub

    evaluate = add("evaluate", run_evaluation, "a dictionary beside random directions and principal components")
    evaluate.add_argument(
        "--labels", type=Path, help="CSV of labelled texts for sparse probes, as `audit probes` takes it"
    )
    compare = add("compare", run_comparison, "which features fire differently in another version of the model")
    compare.add_argument("--other", required=True, help="the other version: a known name or a folder")


def run_evaluation(options: argparse.Namespace) -> int:
    """Evaluate a dictionary."""
    _check_out(options.out)
    subject, start = open_subject(options.model, on_progress=show_fetch), time.monotonic()
    texts = _read_texts(options, subject)
    labelled = None
    if options.labels is not None:
        labelled = read_labelled_file(_read_file(options.labels), options.labels.name, subject.tokenizer)
    found = evaluate_dictionary(
        subject, _open_dictionary(subject, options.dictionary), texts.rows, texts.names, labelled, seed=options.seed,
        on_progress=show_progress,
    )  # fmt: skip
    return _finish(found, options, start, _print_evaluation)


def run_comparison(options: argparse.Namespace) -> int:
    """Compare two versions of a model."""
    _check_out(options.out)
    first, second = (open_subject(name, on_progress=show_fetch) for name in (options.model, options.other))
    start, texts = time.monotonic(), _read_texts(options, first)
    found = compare_firing(
        first, second, _open_dictionary(first, options.dictionary), texts.rows, texts.names, seed=options.seed
    )
    return _finish(found, options, start, _print_comparison)


def _finish(found: Found, options: argparse.Namespace, start: float, show: Callable[[Found], None]) -> int:
    if options.out is not None:
        write_measure(found, options.out, wall_s=time.monotonic() - start)
    if options.json:
        print_json(asdict(found))
    else:
        show(found)
    return 0


def _print_evaluation(found: DictionaryEvaluation) -> None:
    print_result(found.finding)
    for one in found.families:
        parts = [("loss recovered", one.recovered), ("probe, 1 feature", one.probe_one), ("probe, 5 features", one.probe_five),
                 ("first letters", one.letters), ("absorbed", one.absorbed)]  # fmt: skip
        known = "; ".join(f"{title} {format_estimate(value)}" for title, value in parts if value is not None)
        print_result(f"{one.family}: {known}")
    print_result(CAVEAT)


def _print_comparison(found: FiringDifference) -> None:
    print_result(found.finding)
    for row in found.rows:
        if row.differs:
            print_result(f"{row.component}: {_change(row.first)} → {_change(row.second)}, {format_estimate(row.rate)}")


def _change(estimate: Estimate) -> str:
    return f"{estimate.value:.2%}"


def _open_dictionary(subject: Subject, name: str) -> Dictionary:
    if Path(name).is_dir():
        return load_dictionary(Path(name))[0]
    return open_dictionary(subject, name)[1]


def _read_texts(options: argparse.Namespace, subject: Subject) -> HeldOutTexts:
    if options.texts is None:
        return list_shipped_texts(subject.tokenizer)
    return read_text_file(_read_file(options.texts), options.texts.name, subject.tokenizer)


def _read_file(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(f"{path.name[:60]!r} is no file of at most 4 MB.", wanted="a CSV file.", remedy="choose another.")
    return path.read_bytes()


def _check_out(path: Path | None) -> None:
    if path is not None and path.exists():
        raise Refused(f"{path.name[:60]!r} exists.", wanted="a new file.", remedy="choose another name.")
