"""Jobs of the API: an audit, a claim to be frozen, or an attempt at one, each in the queue of the server."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from audit_core.api.asked import AuditAsked, ClaimAsked
from audit_core.api.endpoint import Call
from audit_core.api.errors import refuse_missing
from audit_core.api.workbench import JobDocument, JobOutcome, check_model
from audit_core.claim import read_claim
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.engine import use_all_cores
from audit_core.errors import AuditError, Cancelled
from audit_core.governance.policy import parse_policy
from audit_core.jobs import Report
from audit_core.run import Actor, record_refusal
from audit_core.shipped import load_shipped_policy
from audit_core.store import Register, RunLog

_REMEDY = "jobs are forgotten when the server stops, or after 64 later ones; finished runs stay in the run log."


def start_audit(call: Call) -> JobDocument:
    """Queue one audit; what can be refused without the model is refused at once."""
    asked: AuditAsked = call.body
    audit = asked.find_audit()
    check_model(asked.model)
    asked.check_input()
    who, home = _find_actor(call), call.home

    def work(report: Report) -> JobOutcome:
        use_all_cores()
        try:
            auditor = call.bench.open_auditor(asked.model, who.session, report)
            request = asked.make_request(audit, auditor.subject)
        except Cancelled:
            raise
        except AuditError as error:
            named = {"prompts": asked.name_input(), "model": asked.model}
            record_refusal(RunLog(home), audit.name, error, actor=who, request=named)
            raise
        found = auditor.run(audit.name, request, actor=who, on_progress=report)
        return JobOutcome(run_id=found.run_id, notices=found.notices)

    return _submit(call, f"audit {audit.name} on {asked.model}", work)


def freeze(call: Call) -> JobDocument:
    """Queue the freezing of a claim, which needs the model."""
    asked: ClaimAsked = call.body
    claim = read_claim(asked.claim.encode(), name="claim.toml")
    policy = parse_policy(asked.policy.encode(), "policy.toml") if asked.policy else load_shipped_policy()
    check_model(asked.model)
    asked.prompts.load()
    who, home = _find_actor(call), call.home

    def work(report: Report) -> JobOutcome:
        subject = call.bench.open_auditor(asked.model, who.session, report).subject
        plan = freeze_claim(
            Register(home), subject, claim, asked.prompts.prepare(subject), policy, owner=who.name, model=asked.model,
            questions=asked.questions, declared=asked.prior_access, seed=asked.seed,
        )  # fmt: skip
        return JobOutcome(claim_id=plan.claim_id, digest=plan.digest)

    return _submit(call, f"freeze a claim on {asked.model}", work)


def attempt(call: Call) -> JobDocument:
    """Queue a confirmatory attempt at a frozen claim."""
    who, register, claim_id = _find_actor(call), Register(call.home), call.path["claim_id"]
    register.find(claim_id)

    def work(report: Report) -> JobOutcome:
        use_all_cores()
        found = run_confirmatory(
            register, claim_id, lambda name: call.bench.open_auditor(name, who.session, report), actor=who, on_progress=report
        )  # fmt: skip
        verdict = found.result.verdict
        return JobOutcome(
            found.run_id, claim_id, "", found.attempt, str(verdict.state), verdict.sentence, found.notices
        )

    return _submit(call, f"attempt at {claim_id}", work)


def read_job(call: Call) -> JobDocument:
    """A job that this token started."""
    found = call.bench.find_job(call.path["job_id"], owner=call.token.owner)
    if found is None:
        raise refuse_missing("job", _REMEDY)
    return found


def cancel_job(call: Call) -> JobDocument:
    """Cancel a job of this token; it stops at its next step."""
    read_job(call)
    call.bench.jobs().cancel(call.path["job_id"], owner=call.token.owner)
    return read_job(call)


def _submit(call: Call, title: str, work: Callable[[Report], JobOutcome]) -> JobDocument:
    # A key of its own: each request is one run, also where an equal one was asked before.
    return call.bench.submit(uuid.uuid4().hex, title[:200], work, owner=call.token.owner)


def _find_actor(call: Call) -> Actor:
    return Actor(call.token.person.id, call.token.owner)
