"""A4 pages with bundled fonts; characters that the fonts lack are printed as code points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import groupby

from fontTools.ttLib import TTFont
from fpdf import FPDF

from audit_core.data_folder import DATA
from audit_core.evidence.report.blocks import Line, Report, Span, Voice
from audit_core.evidence.report.visible import make_visible, name_code_point

FONTS = DATA / "fonts"
FACES = {
    ("text", ""): "NotoSans-Regular.ttf", ("text", "B"): "NotoSans-Bold.ttf", ("code", ""): "DejaVuSansMono.ttf",
    ("signs", ""): "DejaVuSans.ttf",
}  # fmt: skip
MARGIN, FOOT = 22.0, 24.0
INK, SOFT, RULE = (27, 31, 36), (87, 96, 106), (213, 218, 224)
TONES = {"for": (84, 39, 136), "against": (154, 74, 6), "open": SOFT}
LEADING, PAGE_LEADING = 1.5, 1.3
"""Line height over the size of the text; on pages that must hold a claim's whole first screen, less."""
POINT_MM = 0.3528
_PAGES = "\ue000" * 6
"""A private-use character; in documents it is printed as a code point, so it cannot collide."""
_UNDATED = datetime(1980, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class _Run:
    """Consecutive text in one font."""

    text: str
    family: str
    style: str
    size: float
    width: float


class Paper(FPDF):
    """PDF pages with header, footer and text in the styles of a report."""

    def __init__(self, report: Report) -> None:
        super().__init__("P", "mm", "A4")
        self.report = report
        for (family, style), file in FACES.items():
            self.add_font(family, style, FONTS / file)
        self.set_fallback_fonts(["text", "signs"], exact_match=False)
        # The library replaces this character by the number of pages; other text cannot contain it.
        self.alias_nb_pages(_PAGES)
        self.set_margins(MARGIN, 20, MARGIN)
        self.c_margin = 0.0
        self.set_auto_page_break(True, FOOT)
        self.leading = LEADING
        self.set_title(_drawn(f"{report.kind}: {plain(report.title)}"))
        self.set_creator("Assay")
        self.set_lang("en")
        self.set_creation_date(_read_time(report.made_at))
        self.add_page()

    def header(self) -> None:
        if self.page_no() == 1:
            return
        self.set_y(11)
        self._small()
        self.cell(self.epw, 4, clip(_drawn(f"{self.report.kind}: {plain(self.report.title)}"), 90))
        self.set_xy(MARGIN, 20)

    def footer(self) -> None:
        self.set_y(-17)
        self.set_draw_color(*RULE)
        self.line(MARGIN, self.get_y(), MARGIN + self.epw, self.get_y())
        self.set_y(-15)
        self._small()
        self.cell(self.epw - 20, 4, self.report.seal.label)
        self.cell(20, 4, f"Page {self.page_no()} of {_PAGES}")
        self.set_xy(MARGIN, -11)
        self.set_font("code", "", 7.5)
        self.cell(self.epw, 4, self.report.seal.digest)

    def _small(self) -> None:
        self.set_font("text", "", 7.5)
        self.set_text_color(*SOFT)

    def ink(self, colour: tuple[int, int, int] = INK) -> None:
        self.set_text_color(*colour)

    def need(self, height_mm: float) -> None:
        """Start a new page if less than this height is left."""
        if self.get_y() + height_mm > self.page_break_trigger:
            self.add_page()

    def gap(self, height_mm: float) -> None:
        """Add vertical space, except at the end of a page."""
        self.set_y(min(self.get_y() + height_mm, self.page_break_trigger))

    def say(self, line: Line | str, size: float = 9.5, style: str = "", indent_mm: float = 0.0) -> None:
        """Write a paragraph, wrapped between words, each span in its style."""
        spans = (Span(line),) if isinstance(line, str) else line
        height, left = size * POINT_MM * self.leading, MARGIN + indent_mm
        self.set_y(self.get_y())
        x, waiting = left, list[_Run]()
        for word in self._split(spans, size, style):
            if x > left and x + sum(run.width for run in word) > MARGIN + self.epw:
                x = self._set_line(waiting, left, height)
                word = word[1:] if word[0].text == " " else word
            for run in word:
                for piece in self._fit(run, MARGIN + self.epw - left):
                    if x > left and x + piece.width > MARGIN + self.epw + 0.01:
                        x = self._set_line(waiting, left, height)
                    waiting.append(piece)
                    x += piece.width
        self._set_line(waiting, left, height)

    def _set_line(self, runs: list[_Run], left: float, height_mm: float) -> float:
        """Write one line, joining neighbours of the same font, and clear the list."""
        if self.get_y() + height_mm > self.page_break_trigger:
            self.add_page()
        x, y = left, self.get_y()
        for face, members in groupby(runs, key=lambda run: (run.family, run.style, run.size)):
            together = list(members)
            self.set_font(*face)
            self.set_xy(x, y)
            self.cell(sum(run.width for run in together), height_mm, "".join(run.text for run in together))
            x += sum(run.width for run in together)
        runs.clear()
        self.set_xy(left, y + height_mm)
        return left

    def _split(self, spans: Sequence[Span], size: float, style: str) -> list[list[_Run]]:
        """Split text into words of single-font runs, with a space before each but the first; adjacent spans share a word."""
        words: list[list[_Run]] = [[]]
        for span in spans:
            face = ("code", "", size * 0.88) if span.voice is Voice.CODE else ("text", style, size)
            self.set_font(*face)
            for i, piece in enumerate(_drawn(span.text).split(" ")):
                if i:
                    words.append([_Run(" ", *face, self.get_string_width(" "))])
                if piece:
                    words[-1].append(_Run(piece, *face, self.get_string_width(piece)))
        return [word for word in words if word]

    def _fit(self, run: _Run, room_mm: float) -> list[_Run]:
        """Split a run into pieces that fit on a line."""
        if run.width <= room_mm:
            return [run]
        self.set_font(run.family, run.style, run.size)
        pieces = [replace(run, text="", width=0.0)]
        for character in run.text:
            width = self.get_string_width(character)
            if pieces[-1].width + width > room_mm:
                pieces.append(replace(run, text="", width=0.0))
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text + character, width=pieces[-1].width + width)
        return pieces

    def cells(self, line: Line, width_mm: float) -> str:
        """Return a line as plain text for a table cell; text too long for a page is truncated with a note."""
        return cut(_drawn(plain(line)), int(width_mm * 24))


@cache
def _code_points() -> frozenset[int]:
    return frozenset(code for file in set(FACES.values()) for code in TTFont(FONTS / file).getBestCmap())


def _drawn(text: str) -> str:
    """Replace characters without a glyph by their code points."""
    known = _code_points()
    return "".join(c if ord(c) in known else name_code_point(c) for c in make_visible(text))


def plain(line: Line) -> str:
    return "".join(span.text for span in line)


def clip(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def cut(text: str, letters: int) -> str:
    """Truncate text to this length, and state how many characters were cut."""
    return (
        text if len(text) <= letters else f"{text[:letters]}… [{len(text) - letters} more characters in the documents]"
    )


def _read_time(made_at: str | None) -> datetime:
    """Return the documents' own time, so that repeated renderings are equal."""
    found = _SECONDS.match(made_at or "")
    return datetime.fromisoformat(found[0]).replace(tzinfo=UTC) if found else _UNDATED


def share_widths(widths: Sequence[int], columns: int) -> tuple[int, ...]:
    return tuple(widths) if len(widths) == columns else (1,) * columns
