"""Who may decide about a pack, in which order, and which decisions somebody may see: author, reviewer and approver are three persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.errors import DecisionRefused
from audit_core.evidence.keys import SigningKey
from audit_core.governance.approval import name_person
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack

_STANDING = ("approve", "approve_with_conditions")


@dataclass(frozen=True)
class Decider:
    """Who decides: the person that signs, and the account that was signed in to."""

    key: SigningKey
    account: str = ""
    """Empty without sign-in: then the key alone stands for the person."""
    organisation: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every name by which this may be somebody else's second account."""
        return frozenset(name_person(name) for name in (self.key.person, self.account) if name)


@dataclass(frozen=True)
class ReviewDecision:
    """What somebody decides."""

    role: str
    """reviewer | approver"""
    decision: str
    """approve | reject | approve_with_conditions"""
    independence: str
    """Relation to whoever prepared the pack, in the decider's own words."""
    conditions: tuple[str, ...] = ()
    conflicts: str = ""
    evidence_viewed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One pack on the desk with what was decided about it."""

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
        """Decisions that somebody may see: a review is blind until one's own is given."""
        own = [one for one in self.decisions if names & names_of(one)]
        if own or names & fold_names(self.pack.authors) or any(one.role == "approver" for one in self.decisions):
            return self.decisions
        return tuple(one for one in self.decisions if one.role != "reviewer")


def refuse_decision(review_decision: ReviewDecision) -> None:
    """Raise `DecisionRefused` for a decision that leaves out what has to be said with it."""
    if not review_decision.independence.strip():
        raise DecisionRefused(
            "No word on how you stand to whoever prepared it.",
            wanted="your relation to them, such as `another team, no part in the work`.",
            remedy="fill in the independence statement.",
            code="no_independence_statement",
        )
    if (review_decision.decision == "approve_with_conditions") is not bool(review_decision.conditions):
        raise DecisionRefused(
            f"{review_decision.decision} with {len(review_decision.conditions)} conditions.",
            wanted="conditions with approve_with_conditions, and with nothing else.",
            remedy="name them, or choose another decision.",
            code="conditions_do_not_fit",
        )


def refuse_person(case: Case, review_decision: ReviewDecision, decider: Decider) -> None:
    """Raise `DecisionRefused` where three persons would not be three, where somebody decides twice, or where it is not their turn."""
    if decider.names & fold_names(case.pack.authors):
        raise DecisionRefused(
            f"{decider.key.person} prepared this pack or owns a claim in it.",
            wanted="somebody else.",
            remedy="ask a colleague.",
            code="author",
        )
    own = [one for one in case.decisions if decider.names & names_of(one)]
    takes_back = review_decision.decision == "reject" and all(
        (one.role, one.decision) != (review_decision.role, "reject") for one in own
    )
    if own and not (takes_back and {one.role for one in own} == {review_decision.role}):
        raise DecisionRefused(
            f"{decider.key.person} has decided about this pack.",
            wanted="one decision of each person; what one let pass one may reject later, in the same role.",
            remedy="a new pack is decided anew.",
            code="decided_before",
        )
    if review_decision.role == "reviewer" or review_decision.decision == "reject":
        # A reviewer who was turned away for what another has said would learn it before having said anything.
        return
    if any(one.decision == "reject" for one in case.decisions):
        raise DecisionRefused(
            "This pack was rejected.",
            wanted="a pack that stands.",
            remedy="mend what was found and make a new pack.",
            code="rejected",
        )
    if not any(one.role == "reviewer" and one.decision in _STANDING for one in case.decisions):
        raise DecisionRefused(
            "Nobody has reviewed this pack.",
            wanted="a review by a third person first.",
            remedy="ask a reviewer.",
            code="not_reviewed",
        )
    if any(one.role == "approver" for one in case.decisions):
        raise DecisionRefused(
            "An approver has signed this pack.",
            wanted="a pack that waits for a decision.",
            remedy="nothing is left to do but to reject it.",
            code="approved_before",
        )


def names_of(decision: DeskDecision) -> frozenset[str]:
    return fold_names((decision.person, decision.account))


def fold_names(names: Sequence[str]) -> frozenset[str]:
    return frozenset(map(name_person, names))
