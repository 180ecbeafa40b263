"""A gate's decision for other programs: one JSON document, JUnit XML, and SARIF results."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from audit_core.governance.gate import GateResult, GateRow
from audit_core.verifier.criteria import DOES_NOT_MEET, INTEGRITY_FAILED, MEETS

_TOOL = "assay gate"
_SARIF_LEVELS = {MEETS: "none", DOES_NOT_MEET: "error", INTEGRITY_FAILED: "error"}
_SARIF_KINDS = {MEETS: "pass", DOES_NOT_MEET: "fail", INTEGRITY_FAILED: "fail"}


def describe_gate(result: GateResult) -> dict[str, Any]:
    """The decision as one JSON document; every number with its interval, n, unit and level."""
    required, evaluated = result.coverage
    return {
        "overall": result.overall,
        "exit_code": result.exit_code,
        "policy": {"id": result.policy_id, "sha256": result.policy_sha256},
        "coverage": {"required": required, "evaluated": evaluated},
        "waived": [row.waiver.to_json() | {"result": row.result} for row in result.rows if row.waiver is not None],
        "notes": list(result.notes),
        "decisions": result.decisions,
        "criteria": [_describe_row(row) for row in result.rows],
        "sarif": write_sarif(result),
    }


def write_sarif(result: GateResult) -> dict[str, Any]:
    """The rows as SARIF results, without file or line."""
    rules = list(dict.fromkeys(row.id for row in result.rows))
    return {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": _TOOL, "rules": [{"id": rule} for rule in rules]}},
                "results": [_describe_for_sarif(row) for row in result.rows],
                "properties": {"overall": result.overall, "policy_sha256": result.policy_sha256},
            }
        ],
    }


def write_junit(result: GateResult) -> bytes:
    """JUnit XML: one test case per criterion and claim, and one for the decision, so that a report has at least one.

    DOES_NOT_MEET is a failure and an undecided row is an error. "skipped", which most viewers show as green, marks only
    rows that do not count: optional rows, and waived rows with their waiver.
    """
    cases = [_describe_case(row) for row in result.rows]
    decision = ElementTree.Element("testcase", {"classname": "gate", "name": "overall"})
    if result.overall != MEETS:
        decision.append(_describe_problem(result.overall, f"exit code {result.exit_code}"))
    cases.append(decision)
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": show_text(f"{_TOOL}: policy {result.policy_id}"),
            "tests": str(len(cases)),
            "failures": str(counts["failure"]),
            "errors": str(counts["error"]),
            "skipped": str(counts["skipped"]),
        },
    )
    suite.extend(cases)
    if result.decisions:
        ElementTree.SubElement(suite, "system-out").text = show_text(result.decisions)
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    text: bytes = ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True)
    return text


def show_text(text: str) -> str:
    """Escape untrusted text: characters that XML forbids, control characters and bidirectional marks become numbers."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def _describe_row(row: GateRow) -> dict[str, Any]:
    number = None
    if row.estimate is not None:
        number = {
            "value": row.estimate,
            "low": row.ci_low,
            "high": row.ci_high,
            "n": row.n,
            "unit": row.unit,
            "level": row.level,
        }
    return {
        "id": row.id,
        "claim_id": row.claim_id,
        "result": row.result,
        "reason": row.reason,
        "required": row.is_required,
        "waived": row.waiver is not None,
        "metric": row.metric,
        "comparator": row.comparator,
        "threshold": row.threshold,
        "measured": number,
        "n_required": row.n_required,
    }


def _describe_for_sarif(row: GateRow) -> dict[str, Any]:
    counts = row.counts or row.result == MEETS
    return {
        "ruleId": row.id,
        "kind": _SARIF_KINDS.get(row.result, "open") if counts else "review",
        "level": _SARIF_LEVELS.get(row.result, "warning") if counts else "note",
        "message": {"text": show_text(f"{row.claim_id or 'pack'}: {_describe_message(row)}")},
        "properties": _describe_row(row),
    }


def _describe_case(row: GateRow) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": show_text(row.claim_id or "pack"), "name": show_text(row.id)})
    if row.result == MEETS:
        return case
    if row.counts:
        case.append(_describe_problem(row.result, _describe_message(row)))
    else:
        case.append(ElementTree.Element("skipped", {"message": show_text(_describe_message(row))}))
    return case


def _describe_problem(result: str, message: str) -> ElementTree.Element:
    tag = "failure" if result == DOES_NOT_MEET else "error"
    return ElementTree.Element(tag, {"type": result, "message": show_text(message)})


def _describe_message(row: GateRow) -> str:
    parts = [row.result]
    if row.waiver is not None:
        parts.append(f"waived by {row.waiver.by} until {row.waiver.expires_at}: {row.waiver.reason}")
    elif not row.is_required:
        parts.append("optional")
    if row.estimate is not None:
        between = "" if row.ci_low is None or row.ci_high is None else f" [{row.ci_low:.3f}, {row.ci_high:.3f}]"
        parts.append(f"{row.metric} = {row.estimate:.3f}{between}, wanted {row.comparator} {row.threshold:g}")
    if row.reason:
        parts.append(row.reason)
    return "; ".join(parts)
