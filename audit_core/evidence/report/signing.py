"""The signature page: every person who signed a pack, with the decision and its declarations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.evidence.report.blocks import Block, Facts, Heading, Paragraph, Section, Table, code, line, theirs
from audit_core.evidence.report.cells import cell

DECISIONS = {
    "approve": "● Approves",
    "approve_with_conditions": "◐ Approves with conditions",
    "reject": "✕ Rejects",
}
"""Decision → its words; a preparer makes none."""
BEFORE = "This copy was made before the pack was signed. The review desk makes a copy that names every signer."
UNSIGNED = "This is a working copy of a claim without a signed pack. No person has signed it."


@dataclass(frozen=True)
class Signature:
    """One signed statement about a pack."""

    role: str
    """preparer | reviewer | approver"""
    person: str
    organisation: str
    decision: str
    """approve | reject | approve_with_conditions; empty for the preparer."""
    at: str
    expires_at: str
    conditions: tuple[str, ...]
    independence: str
    conflicts: str
    evidence_viewed: tuple[str, ...]
    keyid: str
    is_checked: bool
    """Whether the signature was checked with a trusted key."""


def describe_signatures(signatures: Sequence[Signature] | None, *, has_pack: bool, n_hidden: int = 0) -> Section:
    """Return the signature page.

    Args:
        signatures: None in a report that is part of the signed pack itself.
        has_pack: whether a pack of these documents exists.
        n_hidden: reviews that this reader may not see yet.
    """
    if not signatures:
        words = BEFORE if has_pack else UNSIGNED
        return Section("signatures", "Signatures", (Paragraph(line(words)),), is_page=True)
    rows = tuple(
        (
            line(theirs(one.person)),
            line(theirs(one.role)),
            line(DECISIONS.get(one.decision, "Prepared and signed it")),
            cell(one.at),
            line("checked with a trusted key" if one.is_checked else "key not checked"),
        )
        for one in signatures
    )
    blocks: list[Block] = [
        Table("Every person who signed", ("person", "role", "decision", "signed", "signature"), rows, widths=(20, 14, 26, 24, 22)),
        Paragraph(line("Each signature covers the manifest, whose digest is on every page. The verifier checks signatures, this report does not.")),
    ]  # fmt: skip
    if n_hidden:
        blocks.append(Paragraph(line(f"Reviews are blind: {n_hidden} more decisions are left out of this copy.")))
    for one in signatures:
        blocks += _describe(one)
    return Section("signatures", "Signatures", tuple(blocks), is_page=True)


def _describe(one: Signature) -> tuple[Block, ...]:
    declared = [
        ("Organisation", one.organisation), ("Conditions", one.conditions), ("Relationship to the preparer", one.independence),
        ("Conflicts of interest", one.conflicts), ("Has read", one.evidence_viewed), ("Valid until", one.expires_at),
    ]  # fmt: skip
    rows = [(name, cell(value)) for name, value in declared if one.decision or name == "Organisation"]
    return Heading(line(theirs(one.person), ", ", theirs(one.role))), Facts((*rows, ("Key", line(code(one.keyid)))))
