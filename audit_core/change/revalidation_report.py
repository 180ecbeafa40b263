"""Revalidation as JUnit XML: one test case per claim, and one overall, so that a report has at least one."""

from __future__ import annotations

from xml.etree import ElementTree

from audit_core.change.revalidation import Revalidated, Revalidation
from audit_core.governance.gate_report import show_text

_TOOL = "assay revalidate"


def write_revalidation_junit(found: Revalidation) -> bytes:
    """Write JUnit XML: a changed verdict is a failure, a stale and undecided claim an error; none is skipped."""
    cases = [_describe(one) for one in found.claims]
    whole = ElementTree.Element("testcase", {"classname": "revalidate", "name": "overall"})
    _mark(whole, found.exit_code, f"exit code {found.exit_code}, {len(found.claims)} claims")
    cases.append(whole)
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error")}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": f"{_TOOL}: {found.identity.short}", "tests": str(len(cases)), "failures": str(counts["failure"]),
            "errors": str(counts["error"]), "skipped": "0",
        },
    )  # fmt: skip
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _describe(one: Revalidated) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": show_text(one.claim_id), "name": "revalidate"})
    message = "; ".join(row.trigger.describe() for row in one.open_rows)
    if one.regression is not None:
        message += f"; rerun: {one.regression.outcome.value} {one.regression.reason}"
    _mark(case, one.exit_code, show_text(message))
    return case


def _mark(case: ElementTree.Element, exit_code: int, message: str) -> None:
    if exit_code:
        tag = "failure" if exit_code == 1 else "error"
        case.append(ElementTree.Element(tag, {"type": "STALE", "message": message}))
