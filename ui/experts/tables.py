"""Tables of the experts page: shown to a stated precision; downloads have every digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from audit_core import Estimate, make_table, parse_component
from audit_core.audits import (
    ExpertRow,
    ExpertsResult,
    ForcedRoute,
    JointEffect,
    ScreenAgreement,
    SharedRow,
    WeightCurve,
)
from audit_core.routing import LayerRouting
from audit_core.tables import estimate_cells
from ui.experts import drawings
from ui.parts.header import show_table

_ESTIMATE = ("value", "low", "high", "n", "unit")
_DECIMALS = {"p": 3, "p ": 3}
"""Of columns that need others than two: the smallest p-value of 199 shuffles is 0.005."""


def show_rounded(table: Any, key: str) -> None:
    """Show a table to 0.01, and p-values to 0.001: what an interval leaves of a number is coarser than that."""
    columns = {}
    table = table.copy()
    for name in table.columns:
        if table[name].dtype == float and not (table[name].dropna() % 1 == 0).all():
            decimals = _DECIMALS.get(name, 2)
            # Adding zero turns −0.0 into 0.0.
            table[name] = table[name].round(decimals) + 0.0
            columns[name] = st.column_config.NumberColumn(format=f"%.{decimals}f")
    show_table(table, key=key, column_config=columns)


def say_rounding() -> None:
    """Say how the tables above are rounded, once."""
    st.caption("Tables are rounded to 0.01, p-values to 0.001.")


def received(rows: Sequence[ExpertRow]) -> Any:
    """Tokens that each expert received, and what the router and the expert made of them."""
    columns = (
        "expert", "tokens", "of", "load", "low", "high", "n", "mean weight", "low ", "high ", "output norm", "low  ", "high  ",
        "weight × norm", "low   ", "high   ",
    )  # fmt: skip
    return make_table(
        columns,
        [
            (
                r.component,
                r.slots,
                r.n_tokens,
                *estimate_cells(r.load)[:4],
                *estimate_cells(r.weight)[:3],
                *estimate_cells(r.output_norm)[:3],
                *estimate_cells(r.weighted_norm)[:3],
            )
            for r in rows
        ],
    )


def effects(result: ExpertsResult) -> Any:
    """Effects of experts and of shared paths under each replacement."""
    columns = ("expert", "replacement", *_ESTIMATE, "fraction of the gap", "low ", "high ", "reading")
    rows = (*result.experts, *result.shared)
    found = [
        (row.component, name, *estimate_cells(value), *_fraction(row.fractions, name), row.reading)
        for row in rows
        for name, value in row.effects.items()
    ]
    missing = [(row.component, None, *(None,) * 5, *(None,) * 3, row.reading) for row in rows if not row.effects]
    return make_table(columns, [*found, *missing])


def one_row(row: ExpertRow | SharedRow) -> Any:
    """One expert or shared path under each replacement."""
    found = [(name, *estimate_cells(value), *_fraction(row.fractions, name)) for name, value in row.effects.items()]
    return make_table(("replacement", *_ESTIMATE, "fraction of the gap", "low ", "high "), found)


def _fraction(fractions: Mapping[str, Estimate], name: str) -> tuple[Any, ...]:
    return tuple(estimate_cells(fractions.get(name))[:3])


def split(rows: Sequence[ExpertRow]) -> Any:
    """The three parts of a mask, and their sum."""
    columns = ("expert", "part", *_ESTIMATE)
    found = [
        (row.component, name, *estimate_cells(getattr(row.split, field)))
        for row in rows
        if row.split
        for field, name in (*drawings.PARTS.items(), ("whole", "masked"))
    ]
    return make_table(columns, found)


def joint(groups: Sequence[JointEffect]) -> Any:
    """Experts ablated together."""
    columns = (
        "experts", "tokens", "joint effect", "low", "high", "n", "unit", "interaction", "low ", "high ", "reading",
    )  # fmt: skip
    return make_table(columns, [_joint_row(group) for group in groups])


def _joint_row(group: JointEffect) -> tuple[Any, ...]:
    names = (
        " + ".join(group.components)
        if len(group.components) <= 3
        else f"{len(group.components)} experts of layer " + (str(parse_component(group.components[0]).layer))
    )
    return (
        names,
        group.tokens_together,
        *estimate_cells(group.effects["zero"]),
        *estimate_cells(group.interaction)[:3],
        group.reading,
    )


def shared(rows: Sequence[SharedRow]) -> Any:
    """The shared path of each layer under zero, and restored in the corrupted run."""
    columns = ("shared path", "effect of zero", "low", "high", "n", "unit", "restored", "low ", "high ", "reading")
    found = [
        (row.component, *estimate_cells(row.effects["zero"]), *estimate_cells(row.restored)[:3], row.reading)
        for row in rows
    ]
    return make_table(columns, found)


def forced(routes: Sequence[ForcedRoute]) -> Any:
    """Stated experts in the place of the router's choice."""
    columns = (
        "chosen",
        "tokens sent elsewhere before",
        "of",
        "effect",
        "low",
        "high",
        "n",
        "unit",
        "fraction of the gap",
        "low ",
        "high ",
    )
    found = [
        (" + ".join(one.components), one.tokens_moved, one.n_tokens, *estimate_cells(one.effect), *estimate_cells(one.fraction)[:3])
        for one in routes
    ]  # fmt: skip
    return make_table(columns, found)


def weighed(curves: Sequence[WeightCurve]) -> Any:
    """Loss of the metric at each factor of an expert's weight."""
    columns = ("expert", "weight times", "effect", "low", "high", "n", "unit", "metric")
    found = [
        (one.component, point.factor, *estimate_cells(point.effect), one.reading) for one in curves for point in one.points
    ]  # fmt: skip
    return make_table(columns, found)


def screens(found: Sequence[ScreenAgreement]) -> Any:
    """How well each screen ranks the experts as their effects do."""
    columns = ("screen", "Spearman ρ with the effect", "low", "high", "n")
    return make_table(columns, [(one.screen, *estimate_cells(one.agreement)[:4]) for one in found])


def layers(found: Sequence[LayerRouting]) -> Any:
    """How each layer's router spreads tokens."""
    columns = (
        "layer", "entropy of load, nats", "low", "high", "entropy of weights, nats", "low ", "high ", "committee",
        "choices that change", "low  ", "high  ", "n",
    )  # fmt: skip
    rows = [
        (one.layer, *estimate_cells(one.load_entropy)[:3], *estimate_cells(one.weight_entropy)[:3],
         ", ".join(f"E{i}" for i in one.committee), *estimate_cells(one.changed)[:4])
        for one in found
    ]  # fmt: skip
    return make_table(columns, rows)


def information(found: Sequence[LayerRouting]) -> Any:
    """What each layer's routing tells about the template, over all tokens and among occurrences of the same token."""
    columns = (
        "layer",
        "on the template, nats",
        "low",
        "high",
        "p",
        "given the token, nats",
        "low ",
        "high ",
        "p ",
        "n",
    )
    rows = [
        (one.layer, *estimate_cells(one.template_information)[:3], one.template_p,
         *estimate_cells(one.token_information)[:3], one.token_p, one.load_entropy.n)
        for one in found
    ]  # fmt: skip
    return make_table(columns, rows)
