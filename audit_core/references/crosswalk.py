"""Crosswalk: relation of evidence items to clauses of laws, standards and guidance, as a dated file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_crosswalk import CROSSWALK
from audit_core.verifier.strict_json import NotStrictJson, load_strict

SHIPPED_CROSSWALK = DATA / "crosswalk/crosswalk.json"
MAX_CROSSWALK_BYTES = 2 << 20


class Relation(StrEnum):
    """Relation of an item of evidence to a clause; no value states that a duty is met."""

    SUPPORTS = "supports"
    PARTIALLY_SUPPORTS = "partially supports"
    CONTEXT_FOR = "context for"
    DOES_NOT_ADDRESS = "does not address"


class ClauseCheck(StrEnum):
    """How a clause was checked."""

    PRIMARY = "verified"
    """Its text was read in the primary source."""
    TITLE_ONLY = "title_only"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Framework:
    """A law, standard or guidance."""

    id: str
    title: str
    note: str
    """Which parts of the text were read."""


@dataclass(frozen=True)
class EvidenceItem:
    """An item of evidence that an audit produces."""

    id: str
    title: str


@dataclass(frozen=True)
class CrosswalkRow:
    """Relation of one item of evidence to one clause."""

    evidence: str
    framework: str
    version: str
    """Version of the framework's text."""
    clause: str
    quote_sha256: str | None
    """SHA-256 of the clause's text in UTF-8, as read; None if it was not recorded."""
    relation: Relation
    rationale: str
    checked_at: str | None
    """Date; None if unchecked."""
    checked_by: str | None
    source_url: str | None
    """Where the primary text is published."""
    status: ClauseCheck

    @property
    def counts(self) -> bool:
        return self.status is not ClauseCheck.UNVERIFIED


@dataclass(frozen=True)
class RowCount:
    """Counts of one framework; unverified rows are excluded from every relation."""

    framework: Framework
    by_relation: tuple[tuple[Relation, int], ...]
    """Rows by relation, for clauses of which at least number and title were read."""
    from_primary: int
    title_only: int
    left_out: int
    """Unverified rows, which no other number includes."""


@dataclass(frozen=True)
class Crosswalk:
    """The content of a crosswalk file."""

    as_of: str
    notice: str
    frameworks: tuple[Framework, ...]
    evidence: tuple[EvidenceItem, ...]
    rows: tuple[CrosswalkRow, ...]

    def choose(self, *, framework: str = "", evidence: str = "") -> tuple[CrosswalkRow, ...]:
        """Return the rows of a framework, an item of evidence, both, or all rows."""
        return tuple(
            row
            for row in self.rows
            if framework in ("", row.framework) and evidence in ("", row.evidence)
        )  # fmt: skip

    def count(self, rows: Sequence[CrosswalkRow]) -> tuple[RowCount, ...]:
        """Return the counts of each framework in these rows."""
        return tuple(
            _count(framework, own)
            for framework in self.frameworks
            if (own := [row for row in rows if row.framework == framework.id])
        )


def load_crosswalk(path: Path | None = None) -> Crosswalk:
    """Read a crosswalk; by default the shipped one.

    Raises:
        Refused: larger than 2 MiB, not strict JSON, or not the format of docs/reference/governance.md.
    """
    if path is None:
        return _load_shipped()
    with path.open("rb") as file:
        return parse_crosswalk(file.read(MAX_CROSSWALK_BYTES + 1), path.name)


def parse_crosswalk(data: bytes, name: str = "crosswalk.json") -> Crosswalk:
    """Read a crosswalk from bytes; see `load_crosswalk`."""
    if len(data) > MAX_CROSSWALK_BYTES:
        raise _refuse(name, f"more than {MAX_CROSSWALK_BYTES:,} bytes")
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise _refuse(name, str(error)) from error
    if found := find_violation(document, CROSSWALK):
        raise _refuse(name, found)
    made = Crosswalk(
        document["as_of"],
        document["notice"],
        tuple(Framework(**row) for row in document["frameworks"]),
        tuple(EvidenceItem(**row) for row in document["evidence"]),
        tuple(_read_row(row) for row in document["rows"]),
    )
    if wrong := _find_contradiction(made):
        raise _refuse(name, wrong)
    return made


@cache
def _load_shipped() -> Crosswalk:
    return load_crosswalk(SHIPPED_CROSSWALK)


def _read_row(fields: dict[str, Any]) -> CrosswalkRow:
    return CrosswalkRow(**fields | {"relation": Relation(fields["relation"]), "status": ClauseCheck(fields["status"])})


def _find_contradiction(made: Crosswalk) -> str:
    """Check rules that a schema cannot express; returns the first violation, or an empty text."""
    frameworks, evidence = [row.id for row in made.frameworks], [row.id for row in made.evidence]
    if not _is_date(made.as_of):
        return f"as_of {made.as_of} is not a date"
    for ids in (frameworks, evidence):
        if twice := [one for one, times in Counter(ids).items() if times > 1]:
            return f"{twice[0]} is described twice"
    seen: set[tuple[str, str, str, str]] = set()
    for number, row in enumerate(made.rows):
        key = (row.evidence, row.framework, row.version, row.clause)
        if key in seen:
            return f"rows[{number}] is a duplicate: {row.evidence}, {row.clause}"
        seen.add(key)
        if row.framework not in frameworks or row.evidence not in evidence:
            return f"rows[{number}] names {row.framework} and {row.evidence}, one of which is not described"
        if wrong := _find_wrong_check(row, made.as_of):
            return f"rows[{number}] {wrong}"
    return ""


def _find_wrong_check(row: CrosswalkRow, as_of: str) -> str:
    if (row.checked_at is None) != (row.checked_by is None):
        return "needs both checked_at and checked_by, or neither"
    if row.checked_at is not None and (not _is_date(row.checked_at) or row.checked_at > as_of):
        return f"was checked on {row.checked_at}, which is not a date up to {as_of}"
    if row.counts and row.checked_at is None:
        return f"has status {row.status} but no check"
    if row.status is ClauseCheck.PRIMARY and (row.quote_sha256 is None or row.source_url is None):
        return "was read in the primary source but lacks quote_sha256 or source_url"
    return ""


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _count(framework: Framework, rows: Sequence[CrosswalkRow]) -> RowCount:
    counted = [row for row in rows if row.counts]
    tally = Counter(row.relation for row in counted)
    titles = sum(row.status is ClauseCheck.TITLE_ONLY for row in counted)
    return RowCount(
        framework,
        tuple((relation, tally[relation]) for relation in Relation),
        len(counted) - titles,
        titles,
        len(rows) - len(counted),
    )


def _refuse(name: str, found: str) -> Refused:
    return Refused(
        f"{name}: {found}.",
        wanted="a crosswalk in the format of docs/reference/governance.md.",
        remedy="fix the file; rows without a check have status unverified and are not counted.",
    )
