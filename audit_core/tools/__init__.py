"""Tools: what decides which one a model chooses, and whether its answer relies on what the tool returns."""

from audit_core.tools.agents import Agent, AgentResult, audit_agent
from audit_core.tools.calculator import calculate
from audit_core.tools.choice_pairs import VARIES, ChoicePairs, Factor, write_pairs
from audit_core.tools.converter import FACTORS, convert
from audit_core.tools.lookup import look_up, read_table
from audit_core.tools.requests import read_file as read_requests_file
from audit_core.tools.results import CellRow, EditRow, RequestRow, ToolsRequest, ToolsResult
from audit_core.tools.texts import ResultKind
from audit_core.tools.toolbox import FORMS, KINDS, Call, Toolbox, ToolKind, call_tool
from audit_core.tools.verdicts import AT_CHANCE, DELTA, MEANINGS, Verdict

__all__ = [
    "AT_CHANCE",
    "DELTA",
    "FACTORS",
    "FORMS",
    "KINDS",
    "MEANINGS",
    "VARIES",
    "Agent",
    "AgentResult",
    "Call",
    "CellRow",
    "ChoicePairs",
    "EditRow",
    "Factor",
    "RequestRow",
    "ResultKind",
    "ToolKind",
    "Toolbox",
    "ToolsRequest",
    "ToolsResult",
    "Verdict",
    "audit_agent",
    "calculate",
    "call_tool",
    "convert",
    "look_up",
    "read_requests_file",
    "read_table",
    "write_pairs",
]
