"""The commands `prereg`, `run`, `claims`, `amend` and `withdraw`: from a claim to a confirmatory run."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit_core.circuits.circuit_check import list_claim_questions
from audit_core.claim import load_claim
from audit_core.cli.output import print_json, print_result, print_status, show_fetch, show_progress
from audit_core.cli.prompt_set import add_prompts_option, load_prompt_set
from audit_core.cli.session import Adder, ask_form, current_actor, open_subject, print_notices, put_in_form
from audit_core.confirm import (
    Confirmation,
    describe_registered,
    describe_sought,
    explain_exploratory,
    freeze_claim,
    pin_now,
    run_confirmatory,
)
from audit_core.errors import NotMeasured, Refused
from audit_core.governance.policy import Policy, parse_policy
from audit_core.judging.trial import FAMILIES
from audit_core.judging.verdict import State
from audit_core.policy_choice import read_policy
from audit_core.preregistration import ChangeKind, Preregistration, PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import drop_repeats, take_split
from audit_core.run import Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.stats.estimates import format_estimate
from audit_core.store import RunLog, audit_home, keep_policy_in_force, load_kept_prompts
from audit_core.store.claims.change_log import list_stale
from audit_core.store.claims.register import Register
from audit_core.store.data_directory import load_kept_policy

NOT_DECIDABLE = NotMeasured.exit_code


def add_claim_commands(add: Adder) -> None:
    prereg = add("prereg", freeze, "freeze a claim with model, prompts, policy and code; print its id and digest")
    prereg.add_argument("claim", type=Path, help="the claim in TOML")
    prereg.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    add_prompts_option(prereg, required=True, text="the whole prompt set, judged on its confirmatory split")
    ask_form(prereg)
    prereg.add_argument(
        "--policy", type=Path, help="policy in TOML, or the id of a saved one; the shipped default unless given"
    )
    questions = list_claim_questions()
    prereg.add_argument(
        "--ask",
        nargs="*",
        choices=questions,
        help="robustness checks fixed with the claim",
    )
    prereg.add_argument(
        "--prior-access", choices=tuple(PriorAccess), default=PriorAccess.NOTHING_RUN.value,
        help="your prior access to the confirmatory split; the run log can only lower the status",
    )  # fmt: skip
    prereg.add_argument("--seed", type=int, default=0)
    run = add("run", confirm, "run a confirmatory test of a frozen claim; recorded as an attempt")
    run.add_argument("claim_id", help="as prereg printed it, such as C-0001")
    run.add_argument("--model", help="current location of the model; it must match the frozen digest")
    add("claims", show_claims, "the claims register: what was frozen, by whom, with which prior access")
    amended = add("amend", amend_claim, "change a frozen plan: a new version, with a row for every field")
    amended.add_argument("claim_id")
    amended.add_argument("--reason", required=True, help="why; recorded in every pack")
    amended.add_argument("--class", dest="kind", choices=tuple(ChangeKind), default=ChangeKind.OTHER.value)
    amended.add_argument("--delta", type=float, help="new smallest effect of interest")
    amended.add_argument("--ask", nargs="*", choices=questions, help="other questions")
    amended.add_argument(
        "--repin", action="store_true", help="pin runs to the current model and code, such as after an update"
    )
    amended.add_argument("--model", help="with --repin: the model to pin, if its name has changed")
    amended.add_argument("--policy", type=Path, help="with --repin: the policy to pin")
    withdraw = add("withdraw", withdraw_claim, "withdraw a claim; it stays in the register")
    withdraw.add_argument("claim_id")
    withdraw.add_argument("--reason", required=True)


def freeze(options: argparse.Namespace) -> int:
    """Freeze one claim."""
    claim, prompts = load_claim(options.claim), load_prompt_set(options)
    policy = _read_policy(options.policy)
    subject = open_subject(options.model, on_progress=show_fetch)
    prompts = put_in_form(prompts, options, subject)
    plan = freeze_claim(
        Register(audit_home()), subject, claim, prompts, policy, owner=current_actor().name, model=options.model,
        questions=None if options.ask is None else tuple(options.ask), declared=PriorAccess(options.prior_access), seed=options.seed,
    )  # fmt: skip
    half = tokenise(take_split(drop_repeats(prompts), exploratory=False), subject.tokenizer)
    notices = keep_measurable(half, half, FAMILIES).notices
    print_notices(notices)
    if plan.is_exploratory:
        print_status(
            f"Results on this split are known ({plan.prior_access}). Runs of {plan.claim_id} will be exploratory and cannot meet a "
            "policy. Freeze before the first run, or use new prompts."
        )
    found = {
        "claim_id": plan.claim_id,
        "digest": plan.digest,
        "prior_access": plan.prior_access.value,
        "n_prompts": plan.pins.n_prompts,
        "notices": list(notices),
    }
    if options.json:
        return print_json(found)
    print_result(f"{plan.claim_id}: frozen at {plan.frozen_at}, digest {plan.digest}")
    print_result(f"  judged on {plan.pins.n_prompts} prompts of {plan.pins.prompts}; prior access: {plan.prior_access}")
    print_result(f"  next: python -m audit_core run {plan.claim_id}")
    return 0


def _read_policy(path: Path | None) -> Policy:
    return load_shipped_policy() if path is None else read_policy(audit_home(), path)


def confirm(options: argparse.Namespace) -> int:
    """Make one attempt at a frozen claim."""
    home = audit_home()

    def open_auditor(model: str) -> Auditor:
        return Auditor(open_subject(options.model or model, on_progress=show_fetch), RunLog(home))

    found = run_confirmatory(
        Register(home), options.claim_id, open_auditor, actor=current_actor(), on_progress=show_progress
    )
    verdict = found.result.verdict
    print_notices(found.notices)
    if options.json:
        print_json(_describe(options.claim_id, found))
    else:
        reason = f" ({verdict.reason})" if verdict.reason else ""
        print_result(
            f"{options.claim_id}, attempt {found.attempt}: {verdict.state.upper()}{reason}: {verdict.sentence}"
        )
        for family, estimate in verdict.families.items():
            print_result(f"  {family:<9} {'not measured' if estimate is None else format_estimate(estimate)}")
        for question, why in found.result.not_measured.items():
            print_result(f"  {question}: not measured: {why}")
        if found.exploratory:
            print_result(f"  EXPLORATORY: {found.exploratory}; it cannot meet a policy")
        print_result(f"  next: python -m audit_core pack {options.claim_id} --out PACK.zip")
    return NOT_DECIDABLE if verdict.state == State.INCONCLUSIVE else 0


def _describe(claim_id: str, found: Confirmation) -> dict[str, Any]:
    verdict = found.result.verdict
    return {
        "claim_id": claim_id,
        "run_id": found.run_id,
        "attempt": found.attempt,
        "state": verdict.state,
        "reason": verdict.reason,
        "sentence": verdict.sentence,
        "exploratory": found.exploratory or None,
        "asked": sorted(found.result.answers),
        "not_measured": found.result.not_measured,
        "notices": list(found.notices),
        "wall_s": found.wall_s,
    }


def show_claims(options: argparse.Namespace) -> int:
    """Print every registered claim, oldest first."""
    claims = Register(audit_home()).list_claims()
    stale: dict[str, list[str]] = {}
    for row in list_stale(audit_home()):
        if row.is_open:
            stale.setdefault(row.trigger.claim_id, []).append(row.trigger.kind.value)
    if options.json:
        return print_json([describe_registered(known) | {"stale": stale.get(known.claim_id, [])} for known in claims])
    for known in claims:
        plan = known.plan
        state = f"withdrawn: {known.withdrawn}" if known.withdrawn else explain_exploratory(known) or "confirmatory"
        print_result(
            f"{known.claim_id}  version {plan.version}  {plan.digest[:12]}  {known.owner}  expires {known.expires_at}  {state}"
        )
        print_result(f"  {plan.claim.name}")
        if known.claim_id in stale:
            print_result(f"  STALE: {', '.join(stale[known.claim_id])}")
    return 0


def amend_claim(options: argparse.Namespace) -> int:
    """Write the next version of a plan: an amendment, or a deviation if results were seen."""
    home = audit_home()
    register = Register(home)
    known = register.find(options.claim_id)
    prompts = load_kept_prompts(known.prompts)
    pins = known.plan.pins
    if (options.model or options.policy) and not options.repin:
        raise Refused("--model or --policy without --repin.", wanted="--repin beside it.", remedy="add it.")
    if options.repin:
        policy = _read_pinned_policy(options.policy, pins.policy_sha256)
        now = pin_now(open_subject(options.model or known.model, on_progress=show_fetch), prompts, policy)
        # Prompts are stored under their digest; the frozen name stays.
        pins = replace(now, prompts=pins.prompts)

    def change(plan: Preregistration) -> Preregistration:
        claim = plan.claim if options.delta is None else replace(plan.claim, delta=options.delta)
        return replace(
            plan, claim=claim, pins=pins, questions=plan.questions if options.ask is None else tuple(options.ask)
        )

    plan = register.amend(
        known.claim_id, change, by=current_actor().name, reason=options.reason, kind=ChangeKind(options.kind),
        sought=describe_sought(prompts, pins.prompts_sha256),
    )  # fmt: skip
    found = {"claim_id": plan.claim_id, "version": plan.version, "digest": plan.digest, "counts_as": "deviation" if plan.is_exploratory else "amendment"}  # fmt: skip
    if options.json:
        return print_json(found)
    print_result(f"{plan.claim_id} version {plan.version}, digest {plan.digest}: {'a deviation, its runs are exploratory' if plan.is_exploratory else 'an amendment'}")  # fmt: skip
    return 0


def _read_pinned_policy(path: Path | None, sha256: str) -> Policy:
    """Load and store another policy, or load the frozen one."""
    if path is None:
        return parse_policy(load_kept_policy(sha256), "the frozen policy")
    policy = read_policy(audit_home(), path)
    keep_policy_in_force(policy, home=audit_home())
    return policy


def withdraw_claim(options: argparse.Namespace) -> int:
    """Withdraw one claim."""
    Register(audit_home()).withdraw(options.claim_id, by=current_actor().name, reason=options.reason)
    return print_json({"withdrawn": options.claim_id}) if options.json else 0
