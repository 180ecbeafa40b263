"""Render a report as PDF, with the sections and numbers of the HTML and the digest on every page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from fpdf import FontFace

from audit_core.evidence.report.blocks import (
    Balance,
    Block,
    Bullets,
    Facts,
    Figure,
    Finding,
    Heading,
    Paragraph,
    Report,
    Section,
    Table,
    line,
)
from audit_core.evidence.report.build import MANIFEST, build_report
from audit_core.evidence.report.pack_view import Documents
from audit_core.evidence.report.paper import (
    INK,
    LEADING,
    MARGIN,
    PAGE_LEADING,
    POINT_MM,
    RULE,
    SOFT,
    TONES,
    Paper,
    clip,
    plain,
    share_widths,
)
from audit_core.evidence.report.plot import Plot, Row
from audit_core.evidence.report.signing import Signature

LABEL_MM = 50.0
LETTERS_A_MM = 0.6
ROW_MM, TOP_MM, AXIS_MM = 10.5, 4.5, 10.0


def render_pdf(
    documents: Documents,
    *,
    root_digest: str,
    digest_of: str = MANIFEST,
    signatures: Sequence[Signature] | None = None,
    n_hidden: int = 0,
) -> bytes:
    """Return a pack's report as PDF; equal documents give equal bytes. See `build_report`."""
    return write_pdf(
        build_report(documents, root_digest=root_digest, digest_of=digest_of, signatures=signatures, n_hidden=n_hidden)
    )


def write_pdf(report: Report) -> bytes:
    """Return a report as PDF."""
    paper = Paper(report)
    paper.ink(SOFT)
    paper.say(report.kind.upper(), 8)
    paper.ink()
    paper.say(report.title, 21, "B")
    front = 0
    paper.leading = PAGE_LEADING
    while front < len(report.sections) and report.sections[front].is_page:
        _section(paper, report.sections[front], is_first=front == 0)
        front += 1
    paper.leading = LEADING
    if front:
        paper.add_page()
    else:
        paper.gap(2)
    _facts(paper, report.facts)
    _seal(paper, report)
    for section in report.sections[front:]:
        _section(paper, section)
    return bytes(paper.output())


def _section(paper: Paper, section: Section, *, is_first: bool = False) -> None:
    if section.is_page and not is_first:
        paper.add_page()
    _open_section(paper, section.title, is_first=is_first)
    for block in section.blocks:
        _show(paper, block)


def _seal(paper: Paper, report: Report) -> None:
    paper.gap(3)
    top = paper.get_y()
    paper.set_fill_color(246, 247, 249)
    paper.set_draw_color(*RULE)
    paper.rect(MARGIN, top, paper.epw, 12.5, style="DF")
    paper.set_xy(MARGIN, top + 1.8)
    paper.ink(SOFT)
    paper.say(report.seal.label, 7.5, indent_mm=3)
    paper.ink()
    paper.set_font("code", "", 8.5)
    paper.set_x(MARGIN + 3)
    paper.cell(paper.epw - 6, 4.5, report.seal.digest)
    paper.set_y(top + 14)


def _open_section(paper: Paper, title: str, *, is_first: bool) -> None:
    paper.need(40)
    if is_first:
        paper.gap(3)
    elif paper.get_y() > paper.t_margin + 1:
        paper.gap(7)
        paper.set_draw_color(*RULE)
        paper.line(MARGIN, paper.get_y(), MARGIN + paper.epw, paper.get_y())
        paper.gap(5)
    paper.start_section(title)
    paper.ink()
    paper.say(title, 14, "B")
    paper.gap(2)


def _show(paper: Paper, block: Block) -> None:
    paper.ink()
    match block:
        case Paragraph():
            paper.say(block.line, 10.5 if block.is_lead else 9.5)
            paper.gap(2)
        case Heading():
            paper.need(26)
            paper.gap(3.5)
            paper.say(block.line, 10.5, "B")
            paper.gap(1)
        case Bullets():
            for item in block.items:
                _bullet(paper, item)
            paper.gap(1.5)
        case Facts():
            _facts(paper, block)
        case Table():
            _table(paper, block)
        case Figure():
            _figure(paper, block)
        case Finding():
            _finding(paper, block)
        case Balance():
            _balance(paper, block)


def _bullet(paper: Paper, item: tuple) -> None:
    paper.need(5)
    y = paper.get_y()
    paper.set_font("text", "", 9.5)
    paper.set_xy(MARGIN + 0.6, y)
    paper.cell(4, 9.5 * POINT_MM * paper.leading, "•")
    paper.set_xy(MARGIN, y)
    paper.say(item, 9.5, indent_mm=5)
    paper.gap(0.8)


def _facts(paper: Paper, block: Facts) -> None:
    for name, value in block.rows:
        paper.need(10)
        y, page = paper.get_y(), paper.page_no()
        paper.ink(SOFT)
        paper.set_font("text", "", 8.5)
        paper.multi_cell(LABEL_MM - 3, 4.5, name, align="L")
        below, same = paper.get_y(), paper.page_no() == page
        paper.set_y(y if same else paper.t_margin)
        paper.ink()
        paper.say(value, 8.5, indent_mm=LABEL_MM)
        paper.set_y(max(paper.get_y(), below) if paper.page_no() == page else paper.get_y())
    paper.gap(3)


def _table(paper: Paper, block: Table) -> None:
    if not block.rows:
        return
    widths = share_widths(block.widths, len(block.columns))
    room = [paper.epw * width / sum(widths) for width in widths]
    longest = max(len(plain(value)) / width for value, width in zip(block.rows[0], room, strict=True))
    # Keep the caption on one page with the first row, which needs about this height.
    paper.need(min(22 + 4.2 * longest / LETTERS_A_MM, 80))
    paper.ink(SOFT)
    paper.say(block.caption, 8)
    paper.ink()
    paper.gap(0.8)
    paper.set_font("text", "", 8)
    paper.set_draw_color(*RULE)
    # Tables fill their cells with the last colour used.
    paper.set_fill_color(255, 255, 255)
    aligns = tuple("RIGHT" if i in block.numeric else "LEFT" for i in range(len(block.columns)))
    with paper.table(
        col_widths=widths, text_align=aligns, align="LEFT", v_align="TOP", borders_layout="HORIZONTAL_LINES", line_height=4.2,
        padding=(1.1, 2.4, 1.1, 0), headings_style=FontFace(family="text", emphasis="B", color=INK), markdown=False,
    ) as table:  # fmt: skip
        head = table.row()
        for name in block.columns:
            head.cell(name)
        for row in block.rows:
            cells = table.row()
            for width, value in zip(room, row, strict=True):
                cells.cell(paper.cells(value, width))
    paper.gap(3.5)


def _finding(paper: Paper, block: Finding) -> None:
    paper.need(18)
    page, top = paper.page_no(), paper.get_y()
    paper.ink(TONES[block.tone])
    paper.say(f"{block.shape} {block.words}", 11, "B", 4)
    paper.ink()
    paper.say(block.line, 9.5, indent_mm=4)
    if paper.page_no() == page:
        paper.set_fill_color(*TONES[block.tone])
        paper.rect(MARGIN, top + 0.5, 1.0, paper.get_y() - top - 0.5, style="F")
    paper.gap(3)


def _balance(paper: Paper, block: Balance) -> None:
    nothing = [(line(side.empty),) if not side.items else side.items for side in (block.pro, block.contra)]
    rows = tuple((pro, contra) for pro, contra in zip_longest(*nothing, fillvalue=()))
    paper.gap(1)
    _table(paper, Table("Evidence for and against the claim", (block.pro.title, block.contra.title), rows))


def _figure(paper: Paper, block: Figure) -> None:
    plot = block.plot
    paper.need(30 + TOP_MM * plot.guide_levels + ROW_MM * len(plot.rows) + AXIS_MM)
    paper.gap(2)
    paper.say((*block.title, *line(f"  [{block.badge}]")), 9.5, "B")
    paper.ink(SOFT)
    paper.say(f"How to read this: {block.reading}", 8.5)
    paper.gap(1.5)
    _draw(paper, plot)
    _table(paper, block.table)


def _draw(paper: Paper, plot: Plot) -> None:
    """Draw the plot at page width; positions are fractions of it."""
    top = paper.get_y() + TOP_MM * plot.guide_levels
    foot = top + ROW_MM * len(plot.rows)
    for guide in plot.guides:
        x = MARGIN + guide.at * paper.epw
        paper.set_draw_color(*SOFT)
        paper.set_line_width(0.2)
        with paper.local_context():
            if not guide.is_zero:
                paper.set_dash_pattern(1.2, 0.9)
            paper.line(x, top, x, foot)
        _label(paper, x, top - TOP_MM * (plot.guide_levels - guide.level), guide.label)
    for i, row in enumerate(plot.rows):
        _draw_row(paper, row, top + ROW_MM * i)
    for tick in plot.ticks:
        _label(paper, MARGIN + tick.at * paper.epw, foot + 0.6, tick.label)
    _label(paper, MARGIN + paper.epw / 2, foot + 4.6, plot.unit)
    paper.set_xy(MARGIN, foot + AXIS_MM)
    paper.ink()


def _draw_row(paper: Paper, row: Row, y: float) -> None:
    middle, width = y + 7.2, paper.epw
    paper.ink()
    paper.set_font("text", "", 8)
    paper.set_fill_color(255, 255, 255)
    label = clip(paper.cells(line(row.label), width), 60)
    paper.set_xy(MARGIN, y + 0.8)
    paper.cell(paper.get_string_width(label) + 1, 3.8, label, fill=True)
    room = paper.get_string_width(row.text) + 1
    paper.set_xy(MARGIN + width - room, y + 0.8)
    paper.cell(room, 3.8, row.text, align="R", fill=True)
    paper.set_draw_color(*RULE)
    paper.line(MARGIN, y + ROW_MM, MARGIN + width, y + ROW_MM)
    paper.set_draw_color(*TONES["for"])
    paper.set_fill_color(*(TONES["for"] if row.is_deciding else (255, 255, 255)))
    paper.set_line_width(0.5)
    if row.low is not None and row.high is not None:
        paper.line(MARGIN + row.low * width, middle, MARGIN + row.high * width, middle)
    if row.at is not None:
        x = MARGIN + row.at * width
        if row.is_deciding:
            paper.polygon([(x - 1.7, middle), (x, middle - 1.7), (x + 1.7, middle), (x, middle + 1.7)], style="DF")
        else:
            paper.circle(x, middle, 1.2, style="DF")
    paper.set_line_width(0.2)
    paper.set_draw_color(*SOFT)
    for share in row.strip:
        paper.line(MARGIN + share * width, middle - 1.6, MARGIN + share * width, middle + 1.6)


def _label(paper: Paper, x: float, y: float, text: str) -> None:
    """Write small text centred on a position, within the margins."""
    if not text:
        return
    shown = clip(paper.cells(line(text), paper.epw), 60)
    paper.set_font("text", "", 7.5)
    paper.ink(SOFT)
    width = paper.get_string_width(shown) + 2
    paper.set_xy(min(max(x - width / 2, MARGIN), MARGIN + paper.epw - width), y)
    paper.cell(width, 4, shown, align="C")
