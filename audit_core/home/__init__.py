"""Read models of a data directory: claims by status, models, portfolio, evidence counts, cost of audits."""

from audit_core.home.claim_history import AttemptLine, ClaimHistory, read_claim_history
from audit_core.home.claim_report import read_claim_brief, render_claim_report
from audit_core.home.claim_status import CardState, ClaimStatus, ClaimSummary, judge_sentence, read_claim_statuses
from audit_core.home.cost import AnswerTally, CostReport, KindCost, Seconds, read_costs
from audit_core.home.evidence_counts import EvidenceCount, list_evidence_counts
from audit_core.home.home_records import HomeFacts, read_home
from audit_core.home.model_sheet import ModelSheet, count_done, describe_signature, list_model_names, read_sheet
from audit_core.home.overview_report import OverviewClaim, OverviewFacts, OverviewModel, render_overview
from audit_core.home.portfolio import ModelLine, Trend, follow_figures, list_models
from audit_core.home.result_page import render_result

__all__ = [
    "AnswerTally",
    "AttemptLine",
    "CardState",
    "ClaimHistory",
    "ClaimStatus",
    "ClaimSummary",
    "CostReport",
    "EvidenceCount",
    "HomeFacts",
    "KindCost",
    "ModelLine",
    "ModelSheet",
    "OverviewClaim",
    "OverviewFacts",
    "OverviewModel",
    "Seconds",
    "Trend",
    "count_done",
    "describe_signature",
    "follow_figures",
    "judge_sentence",
    "list_evidence_counts",
    "list_model_names",
    "list_models",
    "read_claim_brief",
    "read_claim_history",
    "read_claim_statuses",
    "read_costs",
    "read_home",
    "read_sheet",
    "render_claim_report",
    "render_overview",
    "render_result",
]
