"""Crosswalk: relation of evidence items to clauses of laws, standards and guidance, with quote, reader and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


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
    COPY = "read_in_copy"
    """Its text was read in a pinned copy, which is not the publisher's site."""
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
class TextCopy:
    """A copy of a framework's text, pinned by digest; it is not the publisher's site."""

    id: str
    framework: str
    title: str
    file: str
    """Name of the file in the folder of public texts, which is not part of the project."""
    sha256: str
    """SHA-256 of the file."""
    origin: str
    """Repository, commit and folder of the copy."""
    publisher_url: str
    note: str
    """How the copy differs from the publication, as far as seen."""


@dataclass(frozen=True)
class SecondReader:
    """Reading of a row by a second person."""

    by: str
    at: str
    """Date."""
    relation: Relation
    """Relation that the second reader found, which may differ from the row's."""
    note: str


@dataclass(frozen=True)
class Act:
    """An amendment, or a date from which clauses apply."""

    id: str
    framework: str
    act: str
    what: str
    clauses: tuple[str, ...]
    """Clauses of the rows that it bears on, as the rows name them."""
    date: str | None
    """Date from which it applies; None if unknown."""
    source: str
    quote: str | None
    copy: str | None
    entry: str | None
    checked_at: str | None
    checked_by: str | None
    status: ClauseCheck


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
    quote: str | None = None
    """The clause's own words, as the copy has them."""
    copy: str | None = None
    """Id of the copy that was read."""
    entry: str | None = None
    """Entry of the copy that contains the quote."""
    not_known: str | None = None
    """What the reader could not find out."""
    second_reader: SecondReader | None = None

    @property
    def counts(self) -> bool:
        return self.status is not ClauseCheck.UNVERIFIED


@dataclass(frozen=True)
class RowCount:
    """Rows of one framework with one status."""

    framework: Framework
    status: ClauseCheck
    by_relation: tuple[tuple[Relation, int], ...]
    """Rows by relation; empty if unverified, because no relation was read."""
    total: int


@dataclass(frozen=True)
class Crosswalk:
    """The content of a crosswalk file."""

    as_of: str
    notice: str
    frameworks: tuple[Framework, ...]
    evidence: tuple[EvidenceItem, ...]
    rows: tuple[CrosswalkRow, ...]
    copies: tuple[TextCopy, ...] = ()
    acts: tuple[Act, ...] = ()

    def choose(self, *, framework: str = "", evidence: str = "") -> tuple[CrosswalkRow, ...]:
        """Return the rows of a framework, an item of evidence, both, or all rows."""
        return tuple(
            row
            for row in self.rows
            if framework in ("", row.framework) and evidence in ("", row.evidence)
        )  # fmt: skip

    def count(self, rows: Sequence[CrosswalkRow]) -> tuple[RowCount, ...]:
        """Return the counts of these rows by framework and status; combinations without a row are left out."""
        return tuple(
            _count(framework, status, own)
            for framework in self.frameworks
            for status in ClauseCheck
            if (own := [row for row in rows if row.framework == framework.id and row.status is status])
        )

    def find_copy(self, row: CrosswalkRow) -> TextCopy | None:
        """Return the copy that a row was read in; None if it names none."""
        return next((copy for copy in self.copies if copy.id == row.copy), None)

    def find_acts(self, row: CrosswalkRow) -> tuple[Act, ...]:
        """Return the amendments and dates that bear on a row's clause."""
        return tuple(act for act in self.acts if act.framework == row.framework and row.clause in act.clauses)


def _count(framework: Framework, status: ClauseCheck, rows: Sequence[CrosswalkRow]) -> RowCount:
    tally = Counter(row.relation for row in rows)
    read = () if status is ClauseCheck.UNVERIFIED else tuple((relation, tally[relation]) for relation in Relation)
    return RowCount(framework, status, read, len(rows))
