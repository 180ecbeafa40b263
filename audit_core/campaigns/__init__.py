"""Campaigns: models × prompt sets × audits as tasks; workers compute, one process records, and a killed campaign resumes."""

from audit_core.campaigns.campaign_file import AuditAsked, CampaignFile, load_campaign, read_campaign
from audit_core.campaigns.conduct import retry_failed, run_campaign
from audit_core.campaigns.engines import Ended, Engine, LocalEngine
from audit_core.campaigns.folder import CampaignFolder, Plan, find_campaign, list_campaigns
from audit_core.campaigns.launch import check_sent, keep_file, read_output, require_free, start_process
from audit_core.campaigns.plan import plan_campaign
from audit_core.campaigns.question import Question
from audit_core.campaigns.ray_engine import LOCAL, RayEngine
from audit_core.campaigns.recorded import EXAMPLE_FILE, RecordedCampaign, read_recorded_campaign
from audit_core.campaigns.status import (
    CampaignStatus,
    CostLine,
    QuestionLine,
    QuestionState,
    add_seconds,
    describe_plan,
    read_status,
)
from audit_core.campaigns.worker import Task, execute_task

__all__ = [
    "EXAMPLE_FILE",
    "LOCAL",
    "AuditAsked",
    "CampaignFile",
    "CampaignFolder",
    "CampaignStatus",
    "CostLine",
    "Ended",
    "Engine",
    "LocalEngine",
    "Plan",
    "Question",
    "QuestionLine",
    "QuestionState",
    "RayEngine",
    "RecordedCampaign",
    "Task",
    "add_seconds",
    "check_sent",
    "describe_plan",
    "execute_task",
    "find_campaign",
    "keep_file",
    "list_campaigns",
    "load_campaign",
    "plan_campaign",
    "read_campaign",
    "read_output",
    "read_recorded_campaign",
    "read_status",
    "require_free",
    "retry_failed",
    "run_campaign",
    "start_process",
]
