"""Small drawings of what each audit changes and reads, in colours that are readable on light and dark."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from ui.parts.figures import EFFECT, INK

WIDTH, HEIGHT = 104, 56
"""Pixels of a drawing."""
_TOP, _BOTTOM, _MIDDLE = 8, 48, 28
_ATTENDED, _FAINT = (0.75, 0.15, 0.4), 0.12


def draw(file: str) -> str:
    """Image of a page's audit as HTML; its alternative text is empty, because the sentence beside it says the same.

    Raises:
        KeyError: the page has no drawing.
    """
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" fill="none" stroke="{INK}" stroke-width="1.4" '
        f'stroke-linejoin="round">{_DRAWINGS[file]()}</svg>'
    )
    # Streamlit takes SVG elements out of HTML, but keeps images.
    source = base64.b64encode(svg.encode()).decode()
    return f'<img alt="" width="{WIDTH}" height="{HEIGHT}" src="data:image/svg+xml;base64,{source}">'


def _box(x: float, y: float, width: float, height: float, *, fill: str = "none", strength: float = 1.0) -> str:
    opacity = f'fill-opacity="{strength}"'
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="1.5" fill="{fill}" {opacity}/>'


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="3 3"' if dashed else ""
    return f'<path d="M{x1} {y1}L{x2} {y2}"{dashes}/>'


def _arrow(x: float, y: float = _MIDDLE, length: float = 12) -> str:
    end = x + length
    return _line(x, y, end, y) + f'<path d="M{end - 4} {y - 4}L{end} {y}L{end - 4} {y + 4}"/>'


def _cross(x: float, y: float, width: float, height: float) -> str:
    """An edit: what is crossed out is replaced."""
    body = f"M{x} {y}L{x + width} {y + height}M{x + width} {y}L{x} {y + height}"
    return f'<path stroke="{EFFECT}" stroke-width="2.4" d="{body}"/>'


def _effect(x: float, y: float, width: float, height: float) -> str:
    """What is measured, in the colour of effects."""
    return _box(x, y, width, height, fill=EFFECT)


def _grid(x: float, strong: Sequence[int], fill: str) -> str:
    """Four by four heads, of which some are strong; the same one is outlined on every grid."""
    cells = [
        _box(x + 10 * (at % 4), _TOP + 10 * (at // 4), 10, 10, fill=fill, strength=0.85 if at in strong else _FAINT)
        for at in range(16)
    ]
    return f'<g stroke-width=".5">{"".join(cells)}</g><rect x="{x + 20}" y="{_TOP + 10}" width="10" height="10" stroke-width="2.6"/>'


def _draw_live_audit() -> str:
    return _grid(4, (1, 9, 14), INK) + _grid(60, (6,), EFFECT)


def _draw_sweep() -> str:
    bars = (_effect(58, _TOP + 10 * at + 2, width, 6) for at, width in enumerate((12, 40, 6, 20)))
    return _grid(4, (6, 13), EFFECT) + "".join(bars)


def _draw_circuit() -> str:
    left = ((14, 12), (14, 44), (52, _MIDDLE))
    lines = (
        _line(20, 12, 46, 26)
        + _line(20, 44, 46, 30)
        + _line(58, _MIDDLE, 84, _MIDDLE)
        + _line(52, 8, 84, 22, dashed=True)
    )
    nodes = "".join(f'<circle cx="{x}" cy="{y}" r="6" fill="{EFFECT}"/>' for x, y in left)
    return lines + nodes + f'<circle cx="52" cy="8" r="5" stroke-dasharray="3 3"/>{_box(84, 18, 16, 20)}'


def _draw_experts() -> str:
    boxes = "".join(_box(44, y, 26, 9, fill=INK, strength=_FAINT) for y in (5, 18, 31, 44))
    lines = "".join(_line(17, _MIDDLE, 44, y + 4.5) for y in (5, 18, 31, 44))
    return f'<circle cx="11" cy="{_MIDDLE}" r="6"/>{lines}{boxes}{_cross(48, 17, 18, 11)}{_arrow(74)}{_effect(90, 20, 12, 16)}'


def _draw_lenses() -> str:
    lens = '<circle cx="20" cy="24" r="13"/>' + _line(29, 34, 40, 48)
    written = "".join(_box(12, y, w, 4, fill=INK, strength=0.5) for y, w in ((18, 16), (26, 8)))
    return lens + written + _arrow(50) + "".join(_effect(70, y, w, 8) for y, w in ((14, 10), (30, 30)))


def _draw_probes() -> str:
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="3" fill="{INK if y > x - 4 else "none"}"/>'
        for x, y in ((10, 20), (14, 36), (26, 44), (24, 30), (30, 14), (44, 20), (46, 34), (58, 46))
    )
    return dots + _line(6, 6, 62, 52, dashed=True) + _cross(30, 22, 12, 12) + _arrow(70) + _effect(88, 20, 12, 16)


def _draw_features() -> str:
    bars = "".join(_box(6 + 9 * at, 46 - h, 6, h, fill=INK, strength=0.5) for at, h in enumerate((4, 30, 6, 4, 18, 4)))
    return _line(4, 46, 60, 46) + bars + _cross(12, 14, 12, 34) + _arrow(68) + _effect(86, 20, 12, 16)


def _draw_tools() -> str:
    boxes = "".join(_box(34, y, 22, 12, fill=INK, strength=s) for y, s in zip((5, 22, 39), (_FAINT, 0.7, _FAINT)))
    lines = "".join(_line(17, _MIDDLE, 34, y + 6) for y in (5, 22, 39))
    return f'<circle cx="11" cy="{_MIDDLE}" r="6"/>{lines}{boxes}{_arrow(58)}{_cross(60, 21, 8, 14)}{_effect(88, 20, 12, 16)}'


def _draw_documents() -> str:
    sheets = "".join(
        _box(x, 10, 18, 26) + _line(x + 4, 17, x + 14, 17) + _line(x + 4, 23, x + 14, 23) + _line(x + 4, 29, x + 10, 29)
        for x in (4, 28, 52)
    )
    return sheets + _cross(26, 8, 22, 30) + _arrow(74, 23) + _effect(90, 15, 12, 16)


def _draw_source_tokens() -> str:
    tokens = "".join(
        _box(x, 18, 12, 20, fill=INK, strength=s) for x, s in zip((4, 20, 36, 52), (*_ATTENDED, 0.1), strict=True)
    )
    return tokens + _cross(36, 18, 12, 20) + _arrow(70) + _effect(88, 20, 12, 16)


def _draw_rationale() -> str:
    steps = "".join(f'<circle cx="7" cy="{y}" r="2.5"/>{_line(15, y, 62, y)}' for y in (12, 28, 44))
    return steps + _cross(32, 21, 16, 14) + _arrow(70) + _effect(88, 20, 12, 16)


def _draw_decisions() -> str:
    fields = "".join(_line(6, y, 24, y) + _box(28, y - 5, 24, 10) for y in (12, 28, 44))
    turned = f'<path d="M84 18l5 6 10-12" stroke="{EFFECT}" stroke-width="2.6"/>'
    return (
        fields + _cross(30, 24, 20, 8) + _arrow(60) + turned + '<path d="M85 34l11 11M96 34l-11 11" stroke-width="2"/>'
    )


def _draw_calibration() -> str:
    cells = ((28, 8, 0.85), (50, 8, _FAINT), (28, 28, _FAINT), (50, 28, 0.85))
    return "".join(_box(x, y, 22, 20, fill=INK, strength=s) for x, y, s in cells)


def _draw_robustness() -> str:
    rows = ((12, 52, 88), (24, 46, 92), (36, 56, 84), (48, 14, 40))
    bars = "".join(
        _line(a, y, b, y) + f'<circle cx="{(a + b) / 2}" cy="{y}" r="3.4" fill="{EFFECT}"/>' for y, a, b in rows
    )
    return _line(30, 4, 30, 54, dashed=True) + bars


def _draw_benchmarks() -> str:
    bars = _box(14, 18, 26, 34, fill=INK, strength=_FAINT) + _effect(62, 30, 26, 22)
    return bars + _line(6, 38, 98, 38, dashed=True) + _line(27, 8, 27, 26) + _line(75, 22, 75, 38)


def _draw_explanations() -> str:
    scores = "".join(_box(42 - w, y, w, 8, fill=INK, strength=0.5) for y, w in ((6, 34), (18, 10), (30, 22), (42, 6)))
    effects = "".join(_effect(56, y, w, 8) for y, w in ((6, 8), (18, 36), (30, 20), (42, 4)))
    return _line(49, 4, 49, 54, dashed=True) + scores + effects


def _draw_vision() -> str:
    digit = '<path d="M34 16h14l-8 10q10 0 10 8t-10 8q-6 0-8 -4" stroke-width="3"/>'
    return _box(8, 6, 50, 44) + digit + _cross(11, 9, 11, 11) + _arrow(64) + _effect(84, 20, 12, 16)


def _draw_form() -> str:
    rows = "".join(_line(6, y, 26, y) + _box(32, y - 5, 40, 10) for y in (12, 28, 44))
    return rows + _arrow(78) + _effect(92, 20, 10, 16)


_DRAWINGS: dict[str, Callable[[], str]] = {
    "live_audit.py": _draw_live_audit,
    "sweep.py": _draw_sweep,
    "circuit.py": _draw_circuit,
    "experts.py": _draw_experts,
    "lenses.py": _draw_lenses,
    "probes.py": _draw_probes,
    "features.py": _draw_features,
    "tools.py": _draw_tools,
    "documents.py": _draw_documents,
    "source_tokens.py": _draw_source_tokens,
    "rationale.py": _draw_rationale,
    "decisions.py": _draw_decisions,
    "calibration.py": _draw_calibration,
    "robustness.py": _draw_robustness,
    "benchmarks.py": _draw_benchmarks,
    "explanations.py": _draw_explanations,
    "vision.py": _draw_vision,
    "audits.py": _draw_form,
}
