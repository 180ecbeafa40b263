"""Rules of the review desk: who may decide, in which order, and which decisions a person sees; three different persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.errors import DecisionRefused
from audit_core.evidence.keys import SigningKey
from audit_core.governance.approval import name_person
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack

_POSITIVE = ("approve", "approve_with_conditions")


@dataclass(frozen=True)
class Decider:
    """The person who decides: their signing key and their account."""

    key: SigningKey
    account: str = ""
    """Empty without sign-in; the key then identifies the person."""
    organisation: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every name of the person, to detect a second account."""
        return frozenset(name_person(name) for name in (self.key.person, self.account) if name)


@dataclass(frozen=True)
class ReviewDecision:
    """A decision with its declarations."""

    role: str
    """reviewer | approver"""
    decision: str
    """approve | reject | approve_with_conditions"""
    independence: str
    """The decider's relationship to the preparer, in their own words."""
    conditions: tuple[str, ...] = ()
    conflicts: str = ""
    evidence_viewed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One pack on the desk with the decisions about it."""

    pack: DeskPack
    decisions: tuple[DeskDecision, ...]

    @property
    def state(self) -> str:
        """waiting for review | waiting for approval | signed by all three | signed with conditions | rejected"""
        if any(one.decision == "reject" for one in self.decisions):
            return "rejected"
        approvals = [one for one in self.decisions if one.role == "approver"]
        if approvals:
            given = {one.decision for one in self.decisions}
            return "signed with conditions" if "approve_with_conditions" in given else "signed by all three"
        return "waiting for approval" if self.decisions else "waiting for review"

    def show_to(self, names: frozenset[str]) -> tuple[DeskDecision, ...]:
        """Decisions that a person may see: reviews are blind until their own is given."""
        own = [one for one in self.decisions if names & names_of(one)]
        if own or names & fold_names(self.pack.authors) or any(one.role == "approver" for one in self.decisions):
            return self.decisions
        return tuple(one for one in self.decisions if one.role != "reviewer")


def refuse_decision(review_decision: ReviewDecision) -> None:
    """Raise `DecisionRefused` for a decision that lacks a required declaration."""
    if not review_decision.independence.strip():
        raise DecisionRefused(
            "The independence statement is empty.",
            wanted="your relationship to the preparer, such as `another team, no part in the work`.",
            remedy="fill in the independence statement.",
            code="no_independence_statement",
        )
    if (review_decision.decision == "approve_with_conditions") is not bool(review_decision.conditions):
        raise DecisionRefused(
            f"{review_decision.decision} with {len(review_decision.conditions)} conditions.",
            wanted="conditions with approve_with_conditions, and with no other decision.",
            remedy="list the conditions, or choose another decision.",
            code="conditions_do_not_fit",
        )


def refuse_person(case: Case, review_decision: ReviewDecision, decider: Decider) -> None:
    """Raise `DecisionRefused` where two of the three persons are the same, a person decides twice, or it is not their turn."""
    if decider.names & fold_names(case.pack.authors):
        raise DecisionRefused(
            f"{decider.key.person} prepared this pack or owns a claim in it.",
            wanted="another person.",
            remedy="ask a colleague.",
            code="author",
        )
    own = [one for one in case.decisions if decider.names & names_of(one)]
    takes_back = review_decision.decision == "reject" and all(
        (one.role, one.decision) != (review_decision.role, "reject") for one in own
    )
    if own and not (takes_back and {one.role for one in own} == {review_decision.role}):
        raise DecisionRefused(
            f"{decider.key.person} has already decided about this pack.",
            wanted="one decision per person; a later rejection in the same role is allowed.",
            remedy="decide about a new pack instead.",
            code="decided_before",
        )
    if review_decision.role == "reviewer" or review_decision.decision == "reject":
        # Reviews are blind: a refusal here would reveal another reviewer's decision.
        return
    if any(one.decision == "reject" for one in case.decisions):
        raise DecisionRefused(
            "This pack was rejected.",
            wanted="a pack without a rejection.",
            remedy="fix the findings and export a new pack.",
            code="rejected",
        )
    if not any(one.role == "reviewer" and one.decision in _POSITIVE for one in case.decisions):
        raise DecisionRefused(
            "This pack has no review.",
            wanted="a review by a third person before the approval.",
            remedy="ask a reviewer.",
            code="not_reviewed",
        )
    if any(one.role == "approver" for one in case.decisions):
        raise DecisionRefused(
            "An approver has signed this pack.",
            wanted="a pack that is waiting for approval.",
            remedy="only a rejection is possible now.",
            code="approved_before",
        )


def names_of(decision: DeskDecision) -> frozenset[str]:
    return fold_names((decision.person, decision.account))


def fold_names(names: Sequence[str]) -> frozenset[str]:
    return frozenset(map(name_person, names))
