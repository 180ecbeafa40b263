"""Content model of a report: sections, tables and figures, shared by HTML and PDF."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit_core.evidence.kind import Evidence
from audit_core.evidence.report.plot import Plot
from audit_core.evidence.report.visible import make_visible


class Voice(StrEnum):
    """Origin of a text: the product, a user's document, or an identifier. Readers must be able to tell these apart."""

    OURS = "ours"
    THEIRS = "theirs"
    CODE = "code"


@dataclass(frozen=True)
class Span:
    """A piece of text with its origin; use `theirs` and `code` for text from documents."""

    text: str
    voice: Voice = Voice.OURS


Line = tuple[Span, ...]


def theirs(value: Any) -> Span:
    """Return a document's value as a span in which hidden characters are visible."""
    return Span(make_visible(_spell(value)), Voice.THEIRS)


def code(value: Any) -> Span:
    """Return a digest, id or file name as a span, likewise."""
    return Span(make_visible(_spell(value)), Voice.CODE)


def line(*parts: str | Span) -> Line:
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def join_spans(spans: Sequence[Span], between: str = ", ") -> Line:
    """Join spans with commas."""
    return tuple(part for i, span in enumerate(spans) for part in ((Span(between), span) if i else (span,)))


def spell(line: Line) -> str:
    """Return the text of a line, without the origin of its parts."""
    return "".join(span.text for span in line)


def _spell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Paragraph:
    line: Line
    is_lead: bool = False
    """Shown larger: the main sentence of its section."""


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    line: Line


@dataclass(frozen=True)
class Bullets:
    items: tuple[Line, ...]


@dataclass(frozen=True)
class Facts:
    """A list of names with values."""

    rows: tuple[tuple[str, Line], ...]


@dataclass(frozen=True)
class Table:
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    numeric: tuple[int, ...] = ()
    """Columns that are aligned right."""
    widths: tuple[int, ...] = ()
    """Relative column widths in the PDF; equal if empty."""


@dataclass(frozen=True)
class Figure:
    """A plot and a table with the same numbers."""

    title: Line
    badge: Evidence
    reading: str
    """How to read the plot, in one sentence."""
    plot: Plot
    table: Table


@dataclass(frozen=True)
class Finding:
    """A state in words and shape, with its sentence."""

    shape: str
    words: str
    line: Line
    tone: str = "open"
    """`for`, `against` or `open`: sets the colour, which repeats shape and words."""


@dataclass(frozen=True)
class Side:
    """One side of a balance."""

    title: str
    items: tuple[Line, ...]
    empty: str
    """Text shown if there are no items."""


@dataclass(frozen=True)
class Balance:
    """Evidence for and against, side by side in equal space."""

    pro: Side
    contra: Side


Block = Paragraph | Heading | Bullets | Facts | Table | Figure | Finding | Balance


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    blocks: tuple[Block, ...]
    is_page: bool = False
    """Begins a new page on paper."""


@dataclass(frozen=True)
class Seal:
    """The digest on every page, and a label that states what it covers."""

    label: str
    digest: str


@dataclass(frozen=True)
class Report:
    """A whole document."""

    kind: str
    """Kind of report, shown above the title."""
    title: Line
    facts: Facts
    seal: Seal
    sections: tuple[Section, ...]
    made_at: str | None
    """RFC 3339 time of the documents, also used as time of the report; None if they have none."""
