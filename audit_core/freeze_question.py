"""Freeze a question under a policy before it is answered, so that its answer can meet the policy's thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit_core.audit import Audit
from audit_core.errors import Refused
from audit_core.evidence.canonical import hash_document
from audit_core.evidence.kind import find_evidence, read_evidence
from audit_core.governance.policy import Policy
from audit_core.preregistration import PriorAccess
from audit_core.prompts.repeats import digest_texts
from audit_core.recorded import load_recorded
from audit_core.registry import get_plugin
from audit_core.request import Request
from audit_core.run import Auditor
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.log.frozen_questions import FrozenQuestion, Question, freeze_question
from audit_core.store.log.policies import keep_policy_in_force
from audit_core.verifier.answer_numbers import list_answer_fields


def freeze_request(
    home: Path,
    auditor: Auditor,
    audit: str,
    request: Request,
    policy: Policy,
    *,
    actor: str,
    declared: PriorAccess = PriorAccess.NOTHING_RUN,
) -> FrozenQuestion:
    """Log a request and the policy for its result before it runs.

    The answer is exploratory if this installation had results of this model on these texts before, or an answer is shipped.

    Args:
        declared: what its owner says was seen elsewhere; log and shipped answers can only add to it.

    Raises:
        Refused: the policy compares no number of this audit, or names one that its result does not have.
    """
    check_thresholds(get_plugin("audits", audit), policy)
    prompts = request.prompts
    question = Question(
        audit, auditor.content_key(audit, request), auditor.subject.identity.short, prompts.sha256, policy.sha256,
        hash_document(policy.resolved()),
    )  # fmt: skip
    keep_policy_in_force(policy, home=home)
    texts = frozenset(digest_texts(pair.prompt) for pair in prompts.pairs)
    weights = auditor.subject.identity.weights_sha256
    if any(one.answers(request, weights) for one in load_recorded(audit)):
        declared = PriorAccess.RESULTS_SEEN
    return freeze_question(home, question, actor=actor, declared=declared, sought=Sought((prompts.sha256,), texts))


def check_thresholds(audit: Audit, policy: Policy) -> tuple[str, ...]:
    """Return the names of the criteria that a policy has for the result of an audit.

    Raises:
        Refused: there are none, or one of them names a number that the result does not have or another kind of evidence.
    """
    if audit.judges:
        raise Refused(
            f"{audit.name} judges claims about components.",
            wanted="an audit without a claim; claims have criteria of their own.",
            remedy="preregister the claim.",
        )
    own = {name: one for name, one in policy.resolved().get("answers", {}).items() if one["audit"] == audit.name}
    if not own:
        raise Refused(
            f"Policy {policy.id} compares no number of the audit {audit.name}.",
            wanted=f'a table [answers.NAME] with audit = "{audit.name}".',
            remedy="add one; docs/reference/policy.md has the keys and data/policy/answers.toml examples.",
        )
    for name, one in own.items():
        _check_number(audit, name, one)
    return tuple(own)


def _check_number(audit: Audit, name: str, criterion: dict[str, Any]) -> None:
    found = find_evidence(read_evidence(audit.result), list_answer_fields(criterion["number"]))
    if found is None:
        raise Refused(
            f"answers.{name}: the result of {audit.name} has no number {criterion['number']}.",
            wanted="the path of an estimate, as `audit NAME --json` prints it under `result`.",
            remedy="correct `number`.",
        )
    if found.value != criterion["evidence"]:
        raise Refused(
            f"answers.{name}: {criterion['number']} is {found.value}, not {criterion['evidence']}.",
            wanted="the kind of evidence that the audit declares.",
            remedy=f'set evidence = "{found.value}".',
        )
