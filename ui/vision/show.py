"""Vision on the page: maps at the left, what changing the region does at the right, and tables below."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.tables import estimate_cells
from audit_core.vision import MODELS, TITLES, MapRow, ShownImage, VisionResult, find_recorded
from ui.parts import figures
from ui.parts.header import BADGES, controls_line, figure_header, plain, show_rows, table_with_csv
from ui.parts.workbench import Table, pane_header, split_panes
from ui.vision import drawings

_ESTIMATE = ("value", "low", "high", "n", "unit")
_FIRST = "grad_cam"


def show_answer(result: VisionResult) -> None:
    """Show the verdict, and apart from it what the first map shows of the region."""
    _say(result.finding, "causal", result.n)
    row = next((one for one in result.maps if one.method == _FIRST), None)
    if row is not None and row.on_region is not None:
        _say(_tell_map(row, result.area), "estimated", row.on_region.n)


def _say(text: str, kind: str, n: int) -> None:
    icon, colour = BADGES[kind]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(text)}**", width="content")
        st.badge(kind, icon=icon, color=colour)
        st.badge(f"n = {n} images", color="gray")


def _tell_map(row: MapRow, area: float) -> str:
    found = row.on_region
    assert found is not None
    ends = "" if found.low is None or found.high is None else f" [{found.low:.1%}, {found.high:.1%}]"
    return (
        f"{row.title} puts {found.value:.1%}{ends} of its map on the region, which is {area:.1%} of the image: "
        f"place {row.rank} of {row.n_places} regions of this size."
    )


def show_panes(result: VisionResult, place: str = "") -> None:
    """Show one image with its maps beside what changes do over all images."""
    shown = {f"{one.image}: a {one.label}": one for one in result.shown}
    left, right = split_panes(f"vision{place}")
    with left:
        pane_header(
            "What maps show", "estimated",
            "The outline is the region under test. Lighter is a larger value, relative to the largest of that map. Signs are "
            "left out here, and the table has them. A map is one image, so it has no interval.",
            table=Table(lambda: _table_grid(_pick(shown, place)), "Maps", f"maps{place}"),
        )  # fmt: skip
        image = shown[st.selectbox("Image", list(shown), key=f"image{place}", width=260, label_visibility="collapsed")]
        figures.show(
            drawings.draw_maps(result, image), f"figure-maps{place}",
            "One image and its maps, with the region outlined. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "What the region does", "causal",
            "Each point is the mean loss of the logit difference over all images, with its 95 % interval. Dashed lines are the "
            "smallest effect of interest. Crosses are the same change of pixels at other places.",
            table=Table(lambda: _table_changes(result), "Changes", f"changes{place}"),
        )  # fmt: skip
        figures.show(
            drawings.draw_changes(result), f"figure-changes{place}",
            "One interval for every change of the images, and a cross for every other place. The table has the numbers.",
        )  # fmt: skip
        swap = result.arms[0]
        st.markdown(
            f"Swapping turns the preference on {plain(format_estimate(swap.flipped))}. As they are: "
            f"{plain(format_estimate(result.clean))}, {plain(format_estimate(result.accuracy))}."
        )


def _pick(shown: dict[str, ShownImage], place: str) -> ShownImage:
    return shown.get(st.session_state.get(f"image{place}", ""), next(iter(shown.values())))


def show_maps(result: VisionResult, place: str = "") -> None:
    """Show every method over all images, and its check on shuffled weights."""
    figure_header(
        "Maps over all images", "estimated",
        "the share of a map on the region, beside its share of the image. Nothing here enters the verdict.",
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in result.maps],
            [("on the region", "circle", [row.on_region for row in result.maps])],
            unit="Share of the map on the region", lines=((result.area, "share of the image"),), is_effect=False,
        ),
        f"figure-shares{place}",
        "One interval for each method: the share of its map on the region. The table has the numbers.",
    )  # fmt: skip
    table_with_csv(lambda: _table_maps(result), "Maps over all images", f"map-rows{place}")
    for row in result.maps:
        refused = f" Not shown: {row.refused}." if row.refused else ""
        st.markdown(f"- **{plain(row.title)}** assumes: {plain(row.assumes)}{plain(refused)}")


def show_sanity(result: VisionResult, place: str = "") -> None:
    """Show the agreement of every map with itself on shuffled weights."""
    figure_header(
        "Shuffled weights", "estimated",
        "left of the line, a map changes with the weights. A map that does not would show the image and not the model.",
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in result.maps],
            [("shuffled weights", "circle", [row.randomised for row in result.maps])],
            unit="Rank correlation with the map on shuffled weights", lines=((0.5, "0.5"),), is_effect=False,
        ),
        f"figure-shuffled{place}",
        "One interval for each method: rank correlation with its map on shuffled weights. The table has the numbers.",
    )  # fmt: skip
    names = ("method", "finding", *_ESTIMATE, "completeness error")
    rows = [(row.title, row.depends, *estimate_cells(row.randomised), row.error) for row in result.maps]
    show_rows(make_table(names, rows), f"vision-sanity{place}")


def show_places(result: VisionResult, place: str = "") -> None:
    """Show the matched null: the same swap at every other place."""
    figure_header(
        "The same swap at other places", "causal",
        "each cell is the mean effect where both contents of the region are written there. The outlined cell is the region.",
    )  # fmt: skip
    figures.show(
        drawings.draw_places(result), f"figure-places{place}",
        "A grid of effects by place, the region outlined. The table has the numbers.",
    )  # fmt: skip
    rows = [(one.row, one.column, one.effect) for one in result.places]
    table_with_csv(lambda: make_table(("row", "column", "effect, logits"), rows), "Places", f"places{place}")
    st.markdown(
        f"p = {result.p_null:.3f}: the share of {len(rows) + 1} places, the region counted, with an effect at least this "
        "large. Every place has one image set, so cells have no interval."
    )


def show_control(result: VisionResult, place: str = "") -> None:
    """Show the shipped classifiers: one architecture trained with and without the marker, and another with it."""
    figure_header(
        "Three classifiers, one marker", "causal estimated",
        "all were trained on the same digits. Two had a marker in the corner of threes and eights, one had none.",
    )  # fmt: skip
    rows = []
    for name in MODELS:
        if (found := find_recorded(name)) is not None:
            swap = found.result.arms[0]
            cam = next(row for row in found.result.maps if row.method == _FIRST)
            rows.append((TITLES[name], found.result.verdict.state, *estimate_cells(swap.share), *_map_cells(cam)))
    names = ("classifier", "verdict (causal)", *(f"swap {part}" for part in _ESTIMATE))
    show_rows(make_table((*names, "Grad-CAM on region (estimated)", "rank"), rows), f"vision-control{place}")
    st.markdown("The verdicts differ. Compare what Grad-CAM shows of the region in each row.")


def _map_cells(row: MapRow) -> tuple[Any, Any]:
    return (None if row.on_region is None else row.on_region.value), row.rank


def show_details(result: VisionResult) -> None:
    """Show region, limits and controls."""
    row, column, height, width = result.region
    st.markdown(
        f"Region: {height} × {width} pixels from row {row}, column {column}. Smallest effect of interest: "
        f"{result.smallest:g} of the logit difference between the two classes."
    )
    for arm in result.arms:
        st.markdown(f"- **{plain(drawings.NAMES[arm.change])}**: {plain(arm.what)}.")
    st.markdown(
        "Images count as independent. Files of digits name no writer, so the intervals may be too narrow. A verdict is about "
        "this region, these two classes and these images. Another region may do more."
    )
    controls_line(result.controls)


def _table_grid(image: ShownImage) -> Any:
    names = ("row", "column", "pixel", *image.maps)
    rows = [
        (row, column, pixel, *(grid[row][column] for grid in image.maps.values()))
        for row, line in enumerate(image.pixels)
        for column, pixel in enumerate(line)
    ]
    return make_table(names, rows)


def _table_changes(result: VisionResult) -> Any:
    parts = ("low", "high")
    names = (
        "change", "loss, logits", *(f"loss {part}" for part in parts), "fraction", *(f"fraction {part}" for part in parts),
        "preference turned", *(f"turned {part}" for part in parts), "images",
    )  # fmt: skip
    rows = [
        (
            drawings.NAMES[arm.change],
            *(value for one in (arm.effect, arm.share, arm.flipped) for value in (one.value, one.low, one.high)), arm.effect.n,
        )
        for arm in result.arms
    ]  # fmt: skip
    return make_table(names, rows)


def _table_maps(result: VisionResult) -> Any:
    names = ("method", *(f"region {part}" for part in _ESTIMATE), "rank", "of", *(f"ink {part}" for part in _ESTIMATE))
    rows = [
        (row.title, *estimate_cells(row.on_region), row.rank, row.n_places, *estimate_cells(row.on_ink))
        for row in result.maps
    ]
    return make_table(names, rows)
