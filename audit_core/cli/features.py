"""The command `features`: dictionaries of a model, their evaluation, and how their features fire in two versions of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit_core.cli.output import print_json, print_result, print_status, show_fetch, show_progress
from audit_core.cli.session import current_actor, open_subject, run_audit
from audit_core.dictionaries.shelf import BASELINES, DictionaryEntry, list_dictionaries
from audit_core.errors import AuditError, Refused
from audit_core.features import Recipe
from audit_core.features.absorption import CAVEAT
from audit_core.features.difference import FiringDifference
from audit_core.features.evaluation import DictionaryEvaluation
from audit_core.features.held_out import describe_prompts, list_shipped_texts, read_labelled_file, read_text_file
from audit_core.features.making import NewDictionary, import_own, make_baseline, train_own
from audit_core.features.whole import EvaluationRequest, VersionsRequest
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Request
from audit_core.run import Auditor, record_refusal
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.store import RunLog, audit_home
from audit_core.subject import Subject

MAX_FILE_BYTES = 4 << 20
_BASELINES = {one.name.lower(): one for one in BASELINES}


def add_feature_commands(features: argparse.ArgumentParser) -> None:
    """Add the actions of `features`, each with `--json`."""
    actions = features.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    add("list", list_all, "the dictionaries that ship, and those of the data directory")
    for name, command, text in (
        ("evaluate", run_evaluation, "a dictionary beside random directions and principal components"),
        ("compare", run_comparison, "which features fire differently in another version of the model"),
    ):
        sub = add(name, command, text)
        _ask_model(sub)
        sub.add_argument("--dictionary", default="default-layer-12", help="a dictionary of `features list`")
        sub.add_argument("--out", type=Path, help="also write the result as JSON to a new file")
        if name == "compare":
            sub.add_argument("--other", required=True, help="the other version: a known name or a folder")
        else:
            sub.add_argument("--labels", type=Path, help="CSV of labelled texts for probes, as `audit probes` takes it")
    plain = Recipe()
    train = add("train", train_dictionary, "train a dictionary on the stream that enters a layer, and keep it")
    train.add_argument("--layer", type=int, required=True)
    train.add_argument("--width", type=int, default=plain.width, help=f"features (default {plain.width:,})")
    train.add_argument("--active", type=int, default=plain.active, help=f"active per token (default {plain.active})")
    train.add_argument(
        "--steps", type=int, default=plain.steps, help=f"of {plain.batch:,} tokens (default {plain.steps:,})"
    )
    take = add(
        "import", import_folder, "keep a dictionary from a folder of SAELens: cfg.json and sae_weights.safetensors"
    )
    take.add_argument("folder", type=Path)
    base = add(
        "baseline", write_baseline, "keep directions that no training made, to be chosen in a dictionary's place"
    )
    base.add_argument("kind", choices=tuple(_BASELINES))
    base.add_argument("--dictionary", default="default-layer-12", help="at whose layer, and as many as its features")
    for sub in (train, take, base):
        sub.add_argument("--name", required=True, help="its new name: lower-case letters, digits and hyphens")
        _ask_model(sub)


def _ask_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    command.add_argument("--texts", type=Path, help="CSV with the column text, and group; shipped prompts unless given")
    command.add_argument("--seed", type=int, default=0)


def list_all(options: argparse.Namespace) -> int:
    """List every dictionary."""
    found = list_dictionaries()
    if options.json:
        return print_json({"dictionaries": [_describe(one) for one in found]})
    for one in found:
        print_result(f"{one.model}+{one.name}: layer {one.layer}, {one.origin.value}, SHA-256 {one.sha256}")
    return 0


def train_dictionary(options: argparse.Namespace) -> int:
    """Train a dictionary, and keep it; texts of a file are split by line: every eighth is held out."""
    subject = open_subject(options.model, on_progress=show_fetch)
    if options.texts is None:
        train, other = (list_shipped_texts(subject.tokenizer, exploratory=one) for one in (True, False))
    else:
        whole = _read_texts(options, subject)
        held = [at for at in range(len(whole)) if at % 8 == 0]
        train, other = whole.take([at for at in range(len(whole)) if at % 8]), whole.take(held)
    recipe = Recipe(width=options.width, active=options.active, steps=options.steps, seed=options.seed)
    made = train_own(subject, _name(options), train, other, options.layer, recipe, on_progress=show_progress)
    return _print_entry(made, options)


def import_folder(options: argparse.Namespace) -> int:
    """Keep a dictionary of SAELens."""
    subject = open_subject(options.model, on_progress=show_fetch)
    return _print_entry(import_own(subject, _name(options), options.folder, _read_explored(options, subject)), options)


def write_baseline(options: argparse.Namespace) -> int:
    """Keep a baseline."""
    subject = open_subject(options.model, on_progress=show_fetch)
    texts, origin = _read_explored(options, subject), _BASELINES[options.kind]
    made = make_baseline(subject, _name(options), options.dictionary, origin, texts, seed=options.seed)
    return _print_entry(made, options)


def _name(options: argparse.Namespace) -> NewDictionary:
    return NewDictionary(options.name, options.model, audit_home(), current_actor().name)


def _describe(entry: DictionaryEntry) -> dict[str, Any]:
    return {
        "name": entry.name, "model": entry.model, "layer": entry.layer, "origin": entry.origin.value,
        "sha256": entry.sha256, "is_shipped": entry.is_shipped,
    }  # fmt: skip


def _print_entry(entry: DictionaryEntry, options: argparse.Namespace) -> int:
    if options.json:
        return print_json(_describe(entry))
    print_result(f"Kept: {entry.name}, layer {entry.layer}, SHA-256 {entry.sha256}.")
    print_result(f"Open the model with it: --model {entry.model}+{entry.name}")
    return 0


def run_evaluation(options: argparse.Namespace) -> int:
    """Evaluate a dictionary."""

    def ask(subject: Subject) -> Request:
        labelled, source = None, None
        if options.labels is not None:
            labelled = read_labelled_file(_read_file(options.labels), options.labels.name, subject.tokenizer)
        if options.texts is None:
            texts = list_shipped_texts(subject.tokenizer)
        else:
            texts, source = read_text_file(_read_file(options.texts), options.texts.name, subject.tokenizer)
        return EvaluationRequest(
            texts, source or describe_prompts(texts), options.dictionary, labelled, seed=options.seed
        )

    return _run(options, "feature_evaluation", ask, _print_evaluation)


def run_comparison(options: argparse.Namespace) -> int:
    """Compare two versions of a model."""

    def ask(subject: Subject) -> Request:
        return VersionsRequest(_read_texts(options, subject), options.other, options.dictionary, options.seed)

    return _run(options, "feature_versions", ask, _print_comparison)


def _run(
    options: argparse.Namespace, audit: str, ask: Callable[[Subject], Request], show: Callable[[Any], None]
) -> int:
    """Answer from the log, or run; a refusal is logged before it is reported."""
    if options.out is not None and options.out.exists():
        raise Refused(f"{options.out.name[:60]!r} exists.", wanted="a new file.", remedy="choose another name.")
    log = RunLog(audit_home())
    try:
        auditor = Auditor(open_subject(options.model, on_progress=show_fetch), log)
        request = ask(auditor.subject)
        earlier = auditor.find_earlier(audit, request)
    except AuditError as error:
        asked = {"model": options.model, "dictionary": options.dictionary}
        record_refusal(log, audit, error, actor=current_actor(), request=asked)
        raise
    if earlier is not None:
        print_status("The same question was answered before: this is that answer, from the log.")
    found = (earlier or run_audit(auditor, audit, request)).result
    if options.out is not None:
        text = json.dumps(asdict(found), ensure_ascii=False, allow_nan=False, indent=1)
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.json:
        return print_json(asdict(found))
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


def _read_texts(options: argparse.Namespace, subject: Subject) -> TokenisedPrompts:
    if options.texts is None:
        return list_shipped_texts(subject.tokenizer)
    return read_text_file(_read_file(options.texts), options.texts.name, subject.tokenizer)[0]


def _read_explored(options: argparse.Namespace, subject: Subject) -> TokenisedPrompts:
    """Texts that a dictionary is made on: of the other split than the one it is evaluated on."""
    if options.texts is None:
        return list_shipped_texts(subject.tokenizer, exploratory=True)
    return _read_texts(options, subject)


def _read_file(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        raise Refused(f"{path.name[:60]!r} is no file of at most 4 MB.", wanted="a CSV file.", remedy="choose another.")
    return path.read_bytes()
