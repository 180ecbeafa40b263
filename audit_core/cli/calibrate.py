"""The command `calibrate`: error rates of the verdict rule on models with known ground truth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache

from audit_core.calibration.census import count_supported
from audit_core.calibration.experts import ExpertCalibration, summarise_experts
from audit_core.calibration.known_answers import check_known_answers
from audit_core.calibration.other_rules import OtherRules, count_rules, replace_rules
from audit_core.calibration.other_rules_text import (
    ANSWER_COLUMNS,
    RATE_COLUMNS,
    list_answer_rows,
    list_rule_rows,
    list_unrated_rows,
)
from audit_core.calibration.ranges import RangeCalibration, calibrate_ranges
from audit_core.calibration.report import (
    PAGE,
    Calibration,
    load_calibration,
    save_calibration,
    summarise,
    write_markdown,
)
from audit_core.calibration.samples import Sample, calibrate
from audit_core.cli.output import print_json, print_result, print_status, show_progress
from audit_core.component import Kind
from audit_core.errors import NotMeasured, Refused
from audit_core.run import Auditor, dump_result, open_subject
from audit_core.store import RunLog, audit_home
from audit_core.subject_family import find_planted, list_planted, load_folder
from audit_core.subjects.planted import build_planted
from audit_core.subjects.planted.key import PlantedModel

SAMPLES = 3
"""Samples of prompts per claim and build, unless a number is given."""
_BUILDS_KEPT = 40
"""Loaded at once: planted models are small."""


def calibrate_rule(options: argparse.Namespace) -> int:
    if options.write and not PAGE.parent.is_dir():
        raise Refused(
            "An installed package without the documentation.",
            wanted="a checkout of the repository.",
            remedy="run the command there, or omit --write to print the numbers.",
        )
    if options.only and (not options.audits or options.samples is None):
        raise Refused("--only without rates.", wanted="--audits and --samples beside it.", remedy="add them.")
    if options.audits:
        return check_audits(options) if options.samples is None else _rate_audits(options)
    is_in_part = options.heads_only or options.experts_only or options.ranges_only
    found = _recalibrate(options) if is_in_part else _calibrate_all(options)
    if options.write:
        save_calibration(found)
        print_status(f"Written to {PAGE.name} and the record that verdicts quote.")
    if options.json:
        return print_json(dump_result(found))
    print_result(write_markdown(found))
    return 0


def check_audits(options: argparse.Namespace) -> int:
    """Ask every audit's examples of its planted model; the exit code is 3 where an audit misses what is planted."""

    @cache
    def open_auditor(name: str) -> Auditor:
        return Auditor(open_subject(name), RunLog(audit_home()))

    answers = check_known_answers(open_auditor, on_audit=print_status)
    missed = [one for one in answers if not one.is_found]
    if options.json:
        print_json({"known_answers": [dump_result(one) for one in answers]})
    else:
        for one in answers:
            print_result(f"{'found ' if one.is_found else 'MISSED'} {one.audit:<16} {one.model:<16} {one.expects}")
        print_result(f"{len(answers) - len(missed)} of {len(answers)} known answers were found.")
    return NotMeasured.exit_code if missed else 0


def _rate_audits(options: argparse.Namespace) -> int:
    """Ask every audit's known answers with several seeds, and count its verdicts."""
    before = load_calibration()
    if options.write and before is None:
        raise Refused(
            "No record of this version of the rule.",
            wanted="a record that these rates are added to.",
            remedy="run `calibrate --write` first, or omit --write to print the rates.",
        )
    if options.samples < 1:
        raise Refused(f"{options.samples} samples.", wanted="1 or more.", remedy="change the number.")
    log = RunLog(audit_home())

    @lru_cache(maxsize=_BUILDS_KEPT)
    def load(name: str, seed: int) -> Auditor:
        model = find_planted(name)
        assert model is not None, name
        return Auditor(load_folder(build_planted(model, seed)), log)

    def open_build(name: str, seed: int) -> Auditor:
        return load(name, seed if _differs_by_seed(name) else 0)

    rules = count_rules(
        open_build,
        samples=options.samples,
        only=options.only,
        on_case=lambda name, seed: print_status(f"{name} (sample {seed + 1} of {options.samples})"),
    )
    if options.write and before is not None:
        save_calibration(replace(before, others=replace_rules(before.others, rules)))
        print_status(f"Written to {PAGE.name} and its record.")
    if options.json:
        return print_json({"rules": [dump_result(one) for one in rules]})
    found = OtherRules(rules)
    for columns, rows in ((RATE_COLUMNS, list_rule_rows(found)), (ANSWER_COLUMNS, list_answer_rows(found))):
        print_result("\n".join(" | ".join(row) for row in (columns, *rows)) + "\n")
    names = {rule.audit for rule in rules}
    print_result("\n".join(f"{name}: {why}" for name, why in list_unrated_rows(found) if name in names))
    return 0


@cache
def _differs_by_seed(name: str) -> bool:
    """Whether another seed gives other weights: two builds are compared."""
    model = find_planted(name)
    if model is None:
        raise Refused(f"{name}.", wanted="a planted model.", remedy="name one.")
    first, second = (
        {path.name: path.read_bytes() for path in build_planted(model, seed).glob("*.safetensors")} for seed in (0, 1)
    )
    return first != second


def _calibrate_all(options: argparse.Namespace) -> Calibration:
    samples = _judge(options, list_planted(about=Kind.HEAD))
    census = None if options.planted_only else count_supported(on_progress=show_progress)
    found = summarise(samples, census, _calibrate_experts(options), _calibrate_ranges(options))
    return _keep_others(found, load_calibration())


def _keep_others(found: Calibration, before: Calibration | None) -> Calibration:
    """With the rates of other rules that were measured apart; a page shows those of audits whose version is the same."""
    return found if before is None else replace(found, others=before.others)


def _recalibrate(options: argparse.Namespace) -> Calibration:
    """The record with new error rates of what the options name; all else stays as it was measured."""
    found = load_calibration()
    if found is None:
        raise Refused(
            "No record of this version of the rule.",
            wanted="a record whose other rows can stay.",
            remedy="run `calibrate --write` without --heads-only, --experts-only and --ranges-only.",
        )
    experts = _calibrate_experts(options) if options.experts_only else found.experts
    ranges = _calibrate_ranges(options) if options.ranges_only else found.ranges
    if not options.heads_only:
        return replace(found, experts=experts, ranges=ranges)
    heads = summarise(_judge(options, list_planted(about=Kind.HEAD)), found.census, experts, ranges)
    return _keep_others(heads, found)


def _calibrate_ranges(options: argparse.Namespace) -> RangeCalibration:
    return calibrate_ranges(seeds=range(options.builds), samples=_count_samples(options), on_model=_announce)


def _calibrate_experts(options: argparse.Namespace) -> ExpertCalibration:
    return summarise_experts(_judge(options, list_planted(about=Kind.EXPERT)))


def _judge(options: argparse.Namespace, models: Sequence[PlantedModel]) -> tuple[Sample, ...]:
    return calibrate(
        seeds=range(options.builds),
        samples=_count_samples(options),
        models=models,
        on_model=_announce,
    )


def _count_samples(options: argparse.Namespace) -> int:
    return SAMPLES if options.samples is None else int(options.samples)


def _announce(name: str, done: int, total: int) -> None:
    print_status(f"{name} ({done + 1} of {total})")
