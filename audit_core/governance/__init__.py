"""Governance rules: people and permissions, policies, four-eyes approval, waivers, the gate. No model, page or log."""

from audit_core.governance.approval import name_person
from audit_core.governance.gate import GateResult, GateRow
from audit_core.governance.kpi import KeyFigure, list_process_figures
from audit_core.governance.people import (
    LOCAL_PERSON,
    PERMISSIONS,
    Permission,
    Person,
    PersonRole,
    identify_person,
    read_person_id,
    require,
    require_recent,
)
from audit_core.governance.policy import Policy, ThresholdSource, load_policy, parse_policy
from audit_core.governance.policy_changes import Direction, PolicyChange, compare_policies
from audit_core.governance.policy_edit import edit_policy
from audit_core.governance.role_map import RoleMap, load_role_map, parse_role_map
from audit_core.governance.severities import FindingRules, Severity, read_finding_rules

__all__ = [
    "LOCAL_PERSON",
    "PERMISSIONS",
    "Direction",
    "FindingRules",
    "GateResult",
    "GateRow",
    "KeyFigure",
    "Permission",
    "Person",
    "PersonRole",
    "Policy",
    "PolicyChange",
    "RoleMap",
    "Severity",
    "ThresholdSource",
    "compare_policies",
    "edit_policy",
    "identify_person",
    "list_process_figures",
    "load_policy",
    "load_role_map",
    "name_person",
    "parse_policy",
    "parse_role_map",
    "read_finding_rules",
    "read_person_id",
    "require",
    "require_recent",
]
