"""The commands `diff`, `revalidate`, `incident` and `changes`: model changes, stale claims, and their rerun."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audit_core.change.effect_diff import EffectDiff, EffectQuestion, measure_effect_diff
from audit_core.change.model_diff import ModelDiff, compare_models
from audit_core.change.revalidation import Artefact, Revalidated, describe_revalidation, rerun_stale, revalidate_claims
from audit_core.change.revalidation_report import write_revalidation_junit
from audit_core.cli.gate import write_file
from audit_core.cli.output import print_json, print_result, show_fetch, show_progress
from audit_core.cli.prompt_set import add_prompts_option, load_prompt_set
from audit_core.cli.session import Adder, current_actor, divide_own, find_folder, open_subject
from audit_core.component import Kind
from audit_core.governance.gate_report import show_text
from audit_core.intervention import Replacement
from audit_core.policy_choice import read_policy
from audit_core.prompts.prompt_set import PromptSet, take_split
from audit_core.run import Auditor
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.store import RunLog, audit_home
from audit_core.store.claims.change_log import declare_incident, list_stale
from audit_core.store.claims.register import Register

_SHOWN = 20


def add_change_commands(add: Adder) -> None:
    diff = add("diff", show_diff, "compare two models: tensors, heads, tokenizer, settings; no verdict")
    diff.add_argument("before", metavar="A", help="default, a known name, a folder, or a hub id")
    diff.add_argument("after", metavar="B")
    add_prompts_option(diff, required=False, text="measure every component's effect in both, on these prompts")
    diff.add_argument("--half", choices=("exploratory", "confirmatory", "all"), default="exploratory")
    diff.add_argument("--kind", choices=("head", "mlp"), default="head")
    diff.add_argument("--ablation", choices=("resample", "mean", "zero"), default="resample")
    diff.add_argument("--metric", default="logit_difference")
    diff.add_argument("--seed", type=int, default=0)
    again = add("revalidate", revalidate, "list stale claims about a model; with --run, test them again")
    again.add_argument("--model", required=True, help="the current model: a name, a folder, or a hub id")
    again.add_argument("--was", help="the previous model, if it had another name")
    again.add_argument("--claim", nargs="+", default=(), metavar="CLAIM_ID", help="only these claims about it")
    again.add_argument(
        "--policy",
        type=Path,
        help="the current policy, a file or the id of a saved one; claims frozen under another are stale",
    )
    add_prompts_option(again, required=False, text="the current prompt set; claims judged on another are stale")
    again.add_argument(
        "--run", action="store_true", help="test stale claims again, as regression tests and not as attempts"
    )
    again.add_argument("--junit", type=Path, help="where to write JUnit XML")
    incident = add("incident", print_incident, "report an incident, which makes a claim stale")
    incident.add_argument("claim_id")
    incident.add_argument("--reason", required=True, help="what happened; recorded in the change log")
    add("changes", show_changes, "the change log: what made claims stale, and which runs tested them again")


def show_diff(options: argparse.Namespace) -> int:
    """Compare two models; with prompts, measure both."""
    prompts = None if options.prompts is None else _read_split(options)
    folders = [find_folder(name, on_progress=show_fetch) for name in (options.before, options.after)]
    found = compare_models(folders[0], folders[1])
    effects = None
    if prompts is not None:
        log = RunLog(audit_home())
        auditors = [Auditor(open_subject(str(folder), on_progress=show_fetch), log) for folder in folders]
        question = EffectQuestion(
            prompts, Kind(options.kind), Replacement(options.ablation), metric=options.metric, seed=options.seed
        )
        effects = measure_effect_diff(
            auditors[0], auditors[1], question, actor=current_actor(), on_progress=show_progress
        )
    if options.json:
        half = {} if effects is None else {"half": options.half}
        return print_json({"models": found.to_json(), "effects": None if effects is None else effects.to_json()} | half)
    _print_diff(found)
    if effects is not None:
        _print_effects(effects)
    return 0


def _read_split(options: argparse.Namespace) -> PromptSet:
    prompts = divide_own(load_prompt_set(options))
    return prompts if options.half == "all" else take_split(prompts, exploratory=options.half == "exploratory")


def _print_diff(found: ModelDiff) -> None:
    print_result(f"{found.before.short} → {found.after.short}")
    if found.is_same:
        print_result("Every relevant file has the same bytes.")
        return
    print_result(f"{found.n_changed} of {found.n_tensors} tensors differ, in {found.n_components} components")
    for one in found.components[:_SHOWN]:
        size = one.reason or f"largest {one.max_abs:.3g}, relative {_show(one.relative)}"
        print_result(show_text(f"  {one.component:<14} {', '.join(one.parts)}: {size}"))
    _print_more(found.n_components, "--json lists them")
    if found.not_by_head:
        print_result(show_text(f"  Heads are not distinguished: {found.not_by_head}."))
    for name in found.outside[:_SHOWN]:
        print_result(show_text(f"  {name}: in no head or MLP"))
    payload = found.tokenizer
    for change in (*found.settings[:_SHOWN], *payload.settings[:_SHOWN]):
        print_result(show_text(f"  {change.file} {change.key}: {change.before} → {change.after}"))
    if payload.vocabulary is not None and not payload.vocabulary.is_same:
        words = payload.vocabulary
        print_result(f"  vocabulary: {words.n_added} added, {words.n_removed} removed, {words.n_moved} moved")
    elif payload.not_read:
        print_result(f"  vocabulary: not compared: {payload.not_read}")
    for is_other, name in ((payload.has_other_merges, "merges"), (payload.has_other_template, "chat template")):
        if is_other:
            print_result(f"  {name}: differ" if name == "merges" else f"  {name}: differs")
    for file in found.files:
        print_result(show_text(f"  {file.name}: {(file.before or 'none')[:12]} → {(file.after or 'none')[:12]}"))


def _show(number: float | None) -> str:
    return "not known: all zero before" if number is None else f"{number:.3g}"


def _print_more(number: int, how: str) -> None:
    if number > _SHOWN:
        print_result(f"  and {number - _SHOWN} more; {how}.")


def _print_effects(found: EffectDiff) -> None:
    print_result(
        f"Causal effects, {found.kind}s ablated one at a time ({found.replacement}, {found.direction}), measured in both:"
    )
    ranked = sorted(found.rows, key=lambda row: -abs(row.difference.value))
    for row in ranked[:_SHOWN]:
        mark = "not marked" if row.is_changed is None else "changed" if row.is_changed else "no change shown"
        print_result(
            f"  {row.component:<8} {_round(row.before)} → {_round(row.after)}; "
            f"difference {format_estimate(row.difference)}  {mark}"
        )
    _print_more(len(ranked), "--json lists them")
    if found.no_marks:
        print_result(f"Nothing is marked: {found.no_marks}")


def _round(estimate: Estimate) -> str:
    # Adding zero turns −0.0 into 0.0.
    return f"{round(estimate.value, 2) + 0.0:.2f}"


def revalidate(options: argparse.Namespace) -> int:
    """Compare registered claims with a model; the exit code is for a pipeline."""
    if options.junit:
        # Truncate first, so that an older report is not taken for this one if the command fails.
        write_file(options.junit, b"")
    home, who = audit_home(), current_actor()
    artefact = Artefact(
        options.model,
        find_folder(options.model, on_progress=show_fetch),
        None if options.was is None else find_folder(options.was, on_progress=show_fetch),
        None if options.policy is None else read_policy(home, options.policy),
        None if options.prompts is None else load_prompt_set(options),
    )
    found = revalidate_claims(home, artefact, options.claim, actor=who)
    if options.run:

        def open_auditor() -> Auditor:
            return Auditor(open_subject(str(artefact.folder), on_progress=show_fetch), RunLog(home))

        found = rerun_stale(home, found, open_auditor, actor=who, on_progress=show_progress)
    if options.junit:
        write_file(options.junit, write_revalidation_junit(found))
    if options.json:
        print_json(describe_revalidation(found))
        return found.exit_code
    for one in found.claims:
        _print_claim(one)
    stale = sum(one.is_stale for one in found.claims)
    nothing = "" if found.claims else "; nothing was evaluated, because no claim is about this model"
    print_result(f"{stale} of {len(found.claims)} claims about {found.identity.short} are stale{nothing}.")
    return found.exit_code


def _print_claim(one: Revalidated) -> None:
    print_result(show_text(f"{one.claim_id}: {'STALE' if one.is_stale else 'not stale'}  {one.name}"))
    for row in one.open_rows:
        print_result(show_text(f"  {row.trigger.describe()}  (since {row.trigger.at}, by {row.trigger.by})"))
    if one.own_parts:
        print_result(f"  changed components of the claim: {', '.join(one.own_parts)}")
    payload = one.regression
    if payload is None:
        return
    print_result(
        f"  rerun here: {payload.outcome.value.upper()}: {payload.state_before} → {payload.state_after}  ({payload.label})"
    )
    for family in dict.fromkeys((*payload.before, *payload.after)):
        print_result(f"    {family:<9} {_format(payload.before.get(family))} → {_format(payload.after.get(family))}")
    if payload.reason:
        print_result(show_text(f"    {payload.reason}"))
    if one.waits_for:
        print_result(f"  not resolved by a rerun: {', '.join(one.waits_for)}")


def _format(estimate: Estimate | None) -> str:
    return "not measured" if estimate is None else format_estimate(estimate)


def print_incident(options: argparse.Namespace) -> int:
    """Mark a claim as stale because of a reported incident."""
    home = audit_home()
    digest = Register(home).find(options.claim_id).plan.pins.model_digest
    trigger = declare_incident(home, options.claim_id, held_for=digest, by=current_actor().name, reason=options.reason)
    if options.json:
        return print_json(trigger.to_json())
    print_result(show_text(f"{trigger.claim_id}: STALE  {trigger.describe()}"))
    return 0


def show_changes(options: argparse.Namespace) -> int:
    """Print every row of the change log, oldest first."""
    rows = list_stale(audit_home())
    if options.json:
        payload: list[dict[str, Any]] = [
            {"number": row.number, **row.trigger.to_json(), "answered_by": row.answered_by or None, "answered_at": row.answered_at or None}
            for row in rows
        ]  # fmt: skip
        return print_json(payload)
    for row in rows:
        answer = "open" if row.is_open else f"tested again by run {row.answered_by[:12]} at {row.answered_at}"
        trigger = row.trigger
        print_result(
            show_text(
                f"{row.number}  {trigger.at}  {trigger.claim_id}  {trigger.describe()}  by {trigger.by}  {answer}"
            )
        )
    return 0
