"""Which item of evidence bears on which clause of which framework: a dated file, and what may be counted in it."""

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
    """How far an item of evidence bears on a clause; no word says that a duty is met."""

    SUPPORTS = "supports"
    PARTIALLY_SUPPORTS = "partially supports"
    CONTEXT_FOR = "context for"
    DOES_NOT_ADDRESS = "does not address"


class ClauseCheck(StrEnum):
    """What was read of the clause."""

    PRIMARY = "verified"
    """Its text, in the primary source."""
    TITLE_ONLY = "title_only"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Framework:
    """A law, standard or guidance."""

    id: str
    title: str
    note: str
    """What was read of it, and what was not."""


@dataclass(frozen=True)
class EvidenceItem:
    """Something that an audit leaves behind."""

    id: str
    title: str


@dataclass(frozen=True)
class CrosswalkRow:
    """One item of evidence beside one clause."""

    evidence: str
    framework: str
    version: str
    """Of the framework's text that the row is about."""
    clause: str
    quote_sha256: str | None
    """Of the clause's text in UTF-8 as it was read; None where it was not kept."""
    relation: Relation
    rationale: str
    checked_at: str | None
    """Date; None where nobody has checked."""
    checked_by: str | None
    source_url: str | None
    """Where the primary text is published."""
    status: ClauseCheck

    @property
    def counts(self) -> bool:
        return self.status is not ClauseCheck.UNVERIFIED


@dataclass(frozen=True)
class RowCount:
    """Rows of one framework. What is unverified is left out of every relation."""

    framework: Framework
    by_relation: tuple[tuple[Relation, int], ...]
    """Of rows whose clause was read, at least its number and title."""
    from_primary: int
    title_only: int
    left_out: int
    """Unverified rows: in no other number here."""


@dataclass(frozen=True)
class Crosswalk:
    """The whole file."""

    as_of: str
    notice: str
    frameworks: tuple[Framework, ...]
    evidence: tuple[EvidenceItem, ...]
    rows: tuple[CrosswalkRow, ...]

    def choose(self, *, framework: str = "", evidence: str = "") -> tuple[CrosswalkRow, ...]:
        """Rows of one framework, one item of evidence, both, or all."""
        return tuple(
            row
            for row in self.rows
            if framework in ("", row.framework) and evidence in ("", row.evidence)
        )  # fmt: skip

    def count(self, rows: Sequence[CrosswalkRow]) -> tuple[RowCount, ...]:
        """Counts for each framework that these rows name."""
        return tuple(
            _count(framework, own)
            for framework in self.frameworks
            if (own := [row for row in rows if row.framework == framework.id])
        )


def load_crosswalk(path: Path | None = None) -> Crosswalk:
    """Read a crosswalk; the shipped one unless told otherwise.

    Raises:
        Refused: larger than 2 MiB, not strict JSON, or not of the form that docs/reference/governance.md gives.
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
    """What a schema cannot say; empty where nothing is wrong."""
    frameworks, evidence = [row.id for row in made.frameworks], [row.id for row in made.evidence]
    if not _is_date(made.as_of):
        return f"as_of {made.as_of} is no date"
    for ids in (frameworks, evidence):
        if twice := [one for one, times in Counter(ids).items() if times > 1]:
            return f"{twice[0]} is described twice"
    seen: set[tuple[str, str, str, str]] = set()
    for number, row in enumerate(made.rows):
        key = (row.evidence, row.framework, row.version, row.clause)
        if key in seen:
            return f"rows[{number}] stands there twice: {row.evidence}, {row.clause}"
        seen.add(key)
        if row.framework not in frameworks or row.evidence not in evidence:
            return f"rows[{number}] names {row.framework} and {row.evidence}, and one of them is not described"
        if wrong := _find_wrong_check(row, made.as_of):
            return f"rows[{number}] {wrong}"
    return ""


def _find_wrong_check(row: CrosswalkRow, as_of: str) -> str:
    if (row.checked_at is None) != (row.checked_by is None):
        return "has a check without a date, or a date without who checked"
    if row.checked_at is not None and (not _is_date(row.checked_at) or row.checked_at > as_of):
        return f"was checked on {row.checked_at}, which is no date up to {as_of}"
    if row.counts and row.checked_at is None:
        return f"is {row.status} and nobody checked it"
    if row.status is ClauseCheck.PRIMARY and (row.quote_sha256 is None or row.source_url is None):
        return "is said to be read in its primary source and lacks the digest of the text or where it stands"
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
        wanted="a crosswalk as docs/reference/governance.md describes it.",
        remedy="mend the file; rows that nobody checked are unverified, and stay out of the counts.",
    )
