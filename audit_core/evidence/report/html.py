"""Render a report as one HTML file without scripts or external content; all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2

from audit_core.evidence.report.blocks import Block, Line, Report
from audit_core.evidence.report.build import MANIFEST, build_report
from audit_core.evidence.report.pack_view import Documents
from audit_core.evidence.report.signing import Signature

TEMPLATES = Path(__file__).resolve().parent / "templates"
MOST_LETTERS = 48
"""Maximal length of a label in a plot, where text does not wrap; the table contains the full label."""
_ESCAPES = re.compile(r"(⟨U\+[0-9A-F]{4,6}⟩)")


def render_html(
    documents: Documents,
    *,
    root_digest: str,
    digest_of: str = MANIFEST,
    signatures: Sequence[Signature] | None = None,
    n_hidden: int = 0,
) -> bytes:
    """Return a pack's report as HTML; equal documents give equal bytes. See `build_report`."""
    return write_html(
        build_report(documents, root_digest=root_digest, digest_of=digest_of, signatures=signatures, n_hidden=n_hidden)
    )


def write_html(report: Report) -> bytes:
    """Return a report as UTF-8 HTML."""
    return _environment().get_template("report.html.j2").render(report=report).encode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    made.filters |= {"split_escapes": _ESCAPES.split, "clip": _clip, "plain": _plain, "sort_of": _sort_of}
    return made


def _clip(text: str) -> str:
    from audit_core.evidence.report.visible import make_visible

    shown = make_visible(text)
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


def _plain(line: Line) -> str:
    return "".join(span.text for span in line)


def _sort_of(block: Block) -> str:
    return type(block).__name__
