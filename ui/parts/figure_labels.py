"""Place the names of marks, and of marked lines, so that no text covers another or a named mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

LETTER_PX, LINE_PX, MARK_PX = 7.0, 15.0, 7.0
"""Width of a letter and height of a line at 12 px, and half a named mark."""
NARROW_PX = 250.0
"""Plot width on a phone. Labels that are apart there are apart on every wider screen, as only distances grow."""
PLACES = (
    ("top center", 0, 1), ("bottom center", 0, -1), ("middle right", 1, 0), ("middle left", -1, 0),
    ("top right", 1, 1), ("bottom right", 1, -1), ("top left", -1, 1), ("bottom left", -1, -1),
)  # fmt: skip
"""Plotly's text positions, and the direction of each from its mark."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )  # fmt: skip


def place_names(
    names: Sequence[str], marks: Sequence[tuple[float, float]], *, height_px: float, width_px: float = NARROW_PX
) -> list[str]:
    """A text position for each name: the first that covers no other name and no named mark.

    Args:
        marks: position of each mark, as fractions of the plot's width and height.
    """
    spots = [(x * width_px, y * height_px) for x, y in marks]
    taken = [Box(x - MARK_PX, y - MARK_PX, x + MARK_PX, y + MARK_PX) for x, y in spots]
    room = Box(0, 0, width_px, height_px)
    found = []
    for i, (name, (x, y)) in enumerate(zip(names, spots, strict=True)):
        boxes = [name_box(name, x, y, across, up) for _, across, up in PLACES]
        others = taken[:i] + taken[i + 1 :]
        costs = [
            (sum(box.overlaps(other) for other in others), not _is_inside(box, room), rank)
            for rank, box in enumerate(boxes)
        ]
        best = min(costs)[-1]
        taken.append(boxes[best])
        found.append(PLACES[best][0])
    return found


def name_box(name: str, x: float, y: float, across: int, up: int) -> Box:
    """The rectangle of a name beside its mark, in pixels."""
    width = LETTER_PX * len(name)
    left = x - width / 2 if across == 0 else x + MARK_PX if across > 0 else x - MARK_PX - width
    bottom = y - LINE_PX / 2 if up == 0 else y + MARK_PX if up > 0 else y - MARK_PX - LINE_PX
    return Box(left, bottom, left + width, bottom + LINE_PX)


def _is_inside(box: Box, room: Box) -> bool:
    return box.left >= room.left and box.right <= room.right and box.bottom >= room.bottom and box.top <= room.top


def mark_tokens(figure: go.Figure) -> go.Figure:
    """Slant the tokens of a horizontal axis of categories; where they would overlap, as on a phone, some are left out."""
    return figure.update_xaxes(type="category", tickangle=-60)
