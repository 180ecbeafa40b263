"""Names beside marks: none covers another name or a named mark, as far as there is a free place."""

from __future__ import annotations

from ui.parts.figure_labels import MARK_PX, NARROW_PX, PLACES, name_box, place_names

HEIGHT = 340.0


def list_boxes(names: list[str], marks: list[tuple[float, float]]) -> list:
    places = {place: (across, up) for place, across, up in PLACES}
    found = place_names(names, marks, height_px=HEIGHT)
    return [
        name_box(n, x * NARROW_PX, y * HEIGHT, *places[at]) for n, (x, y), at in zip(names, marks, found, strict=True)
    ]


def test_two_marks_at_nearly_one_place_have_names_apart() -> None:
    names, marks = ["L23.H0", "L23.H3"], [(0.5, 0.5), (0.51, 0.505)]
    first, second = list_boxes(names, marks)
    assert not first.overlaps(second)
    # Both above their marks, as without a choice of places, they would.
    above = [name_box(name, x * NARROW_PX, y * HEIGHT, 0, 1) for name, (x, y) in zip(names, marks, strict=True)]
    assert above[0].overlaps(above[1])


def test_a_name_covers_no_other_named_mark() -> None:
    marks = [(0.3, 0.5), (0.3, 0.5 + 15 / HEIGHT), (0.3, 0.5 - 15 / HEIGHT)]
    for i, box in enumerate(list_boxes(["L1.H1", "L2.H2", "L3.H3"], marks)):
        for j, (x, y) in enumerate(marks):
            if i != j:
                at_x, at_y = x * NARROW_PX, y * HEIGHT
                mark = type(box)(at_x - MARK_PX, at_y - MARK_PX, at_x + MARK_PX, at_y + MARK_PX)
                assert not box.overlaps(mark)


def test_a_name_at_the_edge_stays_inside_the_plot() -> None:
    (box,) = list_boxes(["L29.H1"], [(0.99, 0.99)])
    assert box.right <= NARROW_PX
    assert box.top <= HEIGHT
