"""What a report is made of: the same sections, numbers and figures, whether they become HTML or PDF."""

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
    """Who speaks: a reader must never take what was put in for what was found."""

    OURS = "ours"
    THEIRS = "theirs"
    CODE = "code"


@dataclass(frozen=True)
class Span:
    """Words of one voice; make those that are not ours by `theirs` and `code`."""

    text: str
    voice: Voice = Voice.OURS


Line = tuple[Span, ...]


def theirs(value: Any) -> Span:
    """Whatever a document holds, as text in which nothing is hidden."""
    return Span(make_visible(_spell(value)), Voice.THEIRS)


def code(value: Any) -> Span:
    """A digest, id or name of a file, likewise."""
    return Span(make_visible(_spell(value)), Voice.CODE)


def line(*parts: str | Span) -> Line:
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def join_spans(spans: Sequence[Span], between: str = ", ") -> Line:
    """Spans with a comma between them."""
    return tuple(part for i, span in enumerate(spans) for part in ((Span(between), span) if i else (span,)))


def _spell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Paragraph:
    line: Line
    is_lead: bool = False
    """Set larger: the sentence to read if only one is read."""


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    line: Line


@dataclass(frozen=True)
class Bullets:
    items: tuple[Line, ...]


@dataclass(frozen=True)
class Facts:
    """Names with what stands behind them."""

    rows: tuple[tuple[str, Line], ...]


@dataclass(frozen=True)
class Table:
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    numeric: tuple[int, ...] = ()
    """Columns that are set flush right."""
    widths: tuple[int, ...] = ()
    """Shares of the width on paper; equal where none are given."""


@dataclass(frozen=True)
class Figure:
    """A drawing and the table with the same numbers."""

    title: Line
    badge: Evidence
    reading: str
    """How to read it, in one sentence."""
    plot: Plot
    table: Table


@dataclass(frozen=True)
class Finding:
    """A state in words and shape, and the sentence that goes with it."""

    shape: str
    words: str
    line: Line
    tone: str = "open"
    """`for`, `against` or `open`: a colour beside the shape and the words, never instead of them."""


@dataclass(frozen=True)
class Side:
    """One side of a balance."""

    title: str
    items: tuple[Line, ...]
    empty: str
    """What is said where there is nothing."""


@dataclass(frozen=True)
class Balance:
    """What speaks for and what speaks against, in the same space."""

    pro: Side
    contra: Side


Block = Paragraph | Heading | Bullets | Facts | Table | Figure | Finding | Balance


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Seal:
    """The digest that stands on every page, and what it is the digest of."""

    label: str
    digest: str


@dataclass(frozen=True)
class Report:
    """A whole document."""

    kind: str
    """What stands above the title."""
    title: Line
    facts: Facts
    seal: Seal
    sections: tuple[Section, ...]
    made_at: str | None
    """RFC 3339 time of the documents, which is also that of the rendering; None where they have none."""
