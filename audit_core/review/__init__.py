"""The review desk: preparer, reviewer and approver of a pack are three persons, each with a signed decision."""

from audit_core.review.case_file import CaseFile, find_case, open_case
from audit_core.review.checked_pack import load_home_trust
from audit_core.review.desk import APPROVAL_DAYS, assemble_pack, decide, list_cases, take_pack
from audit_core.review.desk_rules import Case, Decider, ReviewDecision
from audit_core.review.policy_trial import TrialPack, TriedPack, TriedRow, read_trial_pack, read_trial_packs, try_policy
from audit_core.review.policy_words import FIXED, CriterionWords, describe_policy, describe_rule
from audit_core.review.reading import ClaimReading, PackReading, read_pack
from audit_core.review.review_agreement import ReviewAgreement, measure_agreement

__all__ = [
    "APPROVAL_DAYS",
    "FIXED",
    "Case",
    "CaseFile",
    "ClaimReading",
    "CriterionWords",
    "Decider",
    "PackReading",
    "ReviewAgreement",
    "ReviewDecision",
    "TrialPack",
    "TriedPack",
    "TriedRow",
    "assemble_pack",
    "decide",
    "describe_policy",
    "describe_rule",
    "find_case",
    "list_cases",
    "load_home_trust",
    "measure_agreement",
    "open_case",
    "read_pack",
    "read_trial_pack",
    "read_trial_packs",
    "take_pack",
    "try_policy",
]
