"""Preregistration: everything a verdict depends on, fixed and hashed before the confirmatory split is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from audit_core.claim import Claim, Role
from audit_core.errors import ClaimRefused
from audit_core.evidence.canonical import hash_document

SCHEMA = "assay/prereg/1"


class PriorAccess(StrEnum):
    """Prior access to the confirmatory split when a plan was frozen or changed, from least to most."""

    NOTHING_RUN = "nothing_run"
    NO_RESULTS_SEEN = "no_results_seen"
    RESULTS_NOT_OPENED = "results_not_opened"
    RESULTS_SEEN = "results_seen"

    @property
    def is_late(self) -> bool:
        """Whether later changes are deviations and later runs exploratory."""
        return self in (PriorAccess.RESULTS_NOT_OPENED, PriorAccess.RESULTS_SEEN)


class ChangeKind(StrEnum):
    """Why a frozen plan was changed."""

    ERROR = "error"
    FEASIBILITY = "feasibility"
    SCOPE = "scope"
    OTHER = "other"


@dataclass(frozen=True)
class Pins:
    """Digests of the inputs of a run; a run with other inputs is refused."""

    model: str
    """Title, for display."""
    weights_sha256: str
    model_digest: str
    """`ModelIdentity.short`: weights, tokenizer, configuration, dtype and attention together."""
    prompts: str
    """Name of the confirmatory split."""
    prompts_sha256: str
    n_prompts: int
    n_templates: int
    policy_sha256: str
    code_version: str
    code_sha256: str
    """Digest of the code that computes results; see `evidence/source.py`."""
    split_salt: str = ""
    """Salt of a set that is divided by template; empty where the hash of each prompt's texts decides its split."""
    dictionary_sha256: str = ""
    """Of the dictionary that gives the claim's features their meaning; empty for a model that was opened without one."""


@dataclass(frozen=True)
class Preregistration:
    """One version of a frozen plan."""

    prereg_id: str
    claim_id: str
    version: int
    claim: Claim
    owner: str
    created_at: str
    frozen_at: str
    """RFC 3339, UTC."""
    pins: Pins
    questions: tuple[str, ...]
    """Names from `CIRCUIT_QUESTIONS`, answered in the same run."""
    prior_access: PriorAccess
    """The higher of the owner's declaration and what the run log shows."""
    seed: int = 0

    @property
    def is_exploratory(self) -> bool:
        """Whether results on the split existed before the freeze: runs under this plan cannot meet a policy."""
        return self.prior_access.is_late

    def to_document(self) -> dict[str, Any]:
        """The plan as in `prereg.json` of a pack, with its digest."""
        document = self._describe()
        return document | {"digest": hash_document(document)}

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical document without this field."""
        return hash_document(self._describe())

    def _describe(self) -> dict[str, Any]:
        claim, pins = self.claim, self.pins
        return {
            "schema": SCHEMA,
            "prereg_id": self.prereg_id,
            "version": self.version,
            "title": claim.name,
            "authors": [self.owner],
            "created_at": self.created_at,
            "frozen_at": self.frozen_at,
            "research_question": describe_question(claim),
            "hypotheses": [_describe_hypothesis(self.claim_id, claim)],
            "claims": [{"claim_id": self.claim_id, "claim_sha256": claim.sha256}],
            "prior_access": self.prior_access.value,
            "model": {
                "repo": pins.model, "revision": pins.model_digest, "weights_tree_sha256": pins.weights_sha256,
                # Absent without a dictionary, and in plans whose digests were computed before this field.
                **({"dictionary_sha256": pins.dictionary_sha256} if pins.dictionary_sha256 else {}),
            },
            "prompts": {
                "set_id": pins.prompts, "sha256": pins.prompts_sha256, "n_items": pins.n_prompts, "split": "confirmatory",
                # Absent in plans under the first rule, whose digests were computed without these fields.
                **({"split_rule": 2, "split_salt": pins.split_salt} if pins.split_salt else {}),
            },
            "interventions": [
                {
                    "type": "ablation", "site": f"{claim.universe.value}, all positions", "value_source": source,
                    "direction": "noise", "ablation": family,
                }
                for family, source in _SOURCES.items()
            ],
            "primary_metrics": [_describe_metric(claim)],
            "secondary_metrics": [
                {"name": question, "formula": "as docs/reference/library.md has it", "unit": "see its results"}
                for question in self.questions
            ],
            "policy_sha256": pins.policy_sha256,
            "sample_size": {
                "n": pins.n_prompts,
                "rationale": f"every prompt of the confirmatory half, {pins.n_templates} templates; intervals are over templates",
                "mde": None,
                "power": None,
            },
            "exclusions": ["no prompt is left out; a model that fails the task refuses the whole set"],
            "stopping_rule": "one run over all prompts; every further run of the claim is another attempt and is disclosed",
            "multiplicity": {"family": "the claims of one report", "method": "holm", "alpha": claim.alpha},
            "seeds": [self.seed],
            "analysis_code": {"git_commit": None, "path": f"audit_core {pins.code_version}", "sha256": pins.code_sha256},
            "exploratory": [],
        }  # fmt: skip


_SOURCES = {
    "resample": "the corrupted prompt's activation at the same position",
    "mean": "mean over clean and corrupted prompts of the half",
    "zero": "zero",
}


def describe_question(claim: Claim) -> str:
    """The claim as a research question."""
    parts = ", ".join(map(str, claim.components))
    if claim.role is Role.NECESSARY:
        return f"Does taking {parts} away cost more than {claim.delta:g} of the clean–empty gap?"
    return f"Do {parts} alone keep more than {claim.delta:g} of the clean–empty gap?"


def _describe_hypothesis(claim_id: str, claim: Claim) -> dict[str, Any]:
    return {
        "id": claim_id,
        "text": claim.name,
        "directional": True,
        "null": f"the share is {claim.delta:g} or less, or random sets of the same shape do as much",
    }


def _describe_metric(claim: Claim) -> dict[str, str]:
    formula = {
        Role.NECESSARY: "(m(M) − m(M∖C)) / (m(M) − m(∅)), ratio of means over prompts",
        Role.SUFFICIENT: "(m(C) − m(∅)) / (m(M) − m(∅)), ratio of means over prompts",
    }[claim.role]
    return {"name": claim.metric, "formula": formula, "unit": "ratio"}


@dataclass(frozen=True)
class Deviation:
    """A change of one field of a frozen plan: before, after, and reason."""

    prereg_version: int
    """The changed version."""
    at: str
    by: str
    field: str
    before: str
    after: str
    reason: str
    kind: ChangeKind
    prior_access: PriorAccess
    claim_id: str

    @property
    def is_deviation(self) -> bool:
        """Whether results were available before the change; otherwise it is an amendment."""
        return self.prior_access.is_late

    def to_document(self, number: int) -> dict[str, Any]:
        """A row of `deviations.jsonl`."""
        return {
            "id": f"D-{number:04d}",
            "prereg_version": self.prereg_version,
            "at": self.at,
            "by": self.by,
            "field": self.field,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "class": self.kind.value,
            "prior_access": self.prior_access.value,
            "approved_by": None,
            "effect_on_claims": [self.claim_id] if self.is_deviation else [],
        }


def amend(
    plan: Preregistration,
    changed: Preregistration,
    *,
    at: str,
    by: str,
    reason: str,
    kind: ChangeKind,
    seen: PriorAccess,
) -> tuple[Preregistration, tuple[Deviation, ...]]:
    """The next version of a plan, and one row per changed field.

    Args:
        changed: the new plan; ids, version, dates and prior access are set here.
        seen: prior access to the split at this moment.

    Raises:
        ClaimRefused: nothing changed, or no reason was given.
    """
    if not reason.strip():
        raise ClaimRefused(
            "No reason.", wanted="why the plan changes.", remedy="give a reason; every pack contains it."
        )
    before, after = _flatten(plan), _flatten(changed)
    fields = [name for name in before if before[name] != after[name]]
    if not fields:
        raise ClaimRefused("The plan is unchanged.", wanted="a change.", remedy="change a field, or do not amend.")
    access = max(plan.prior_access, seen, key=list(PriorAccess).index)
    rows = tuple(
        Deviation(plan.version, at, by, name, before[name], after[name], reason, kind, access, plan.claim_id)
        for name in fields
    )
    following = replace(
        changed, prereg_id=plan.prereg_id, claim_id=plan.claim_id, version=plan.version + 1, created_at=plan.created_at,
        frozen_at=at, prior_access=access,
    )  # fmt: skip
    return following, rows


def _flatten(plan: Preregistration) -> Mapping[str, str]:
    claim = plan.claim.to_json()
    rows = {f"claim.{name}": str(claim[name]) for name in claim}
    rows |= {f"pins.{name}": str(value) for name, value in vars(plan.pins).items()}
    return rows | {"questions": ", ".join(plan.questions), "seed": str(plan.seed)}
