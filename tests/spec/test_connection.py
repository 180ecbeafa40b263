"""The address of a connection: parses, prints, and refuses what runs backwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_core.component import head, mlp, parse_components
from audit_core.connection import Connection, Terminal, Through, list_connections, parse_connection
from audit_core.errors import ComponentRefused

PARTS = parse_components("L0.H0 L0.H1 L0.MLP L1.H0 L1.MLP L2.H3")


@given(st.sampled_from([c for split in (False, True) for c in list_connections(PARTS, split=split, is_parallel=False)]))
def test_a_connection_reads_back_as_it_was_written(connection: Connection) -> None:
    assert parse_connection(str(connection)) == connection
    assert parse_connection(connection.draw()) == connection
    assert str(connection).isascii()


def test_what_is_written() -> None:
    assert str(Connection(head(0, 0), head(1, 0), Through.KEY)) == "L0.H0>L1.H0.K"
    assert Connection(head(0, 0), head(1, 0), Through.KEY).draw() == "L0.H0→L1.H0.K"
    assert parse_connection(" input > L2.MLP ") == Connection(Terminal.INPUT, mlp(2))
    assert parse_connection("L1.H0→output") == Connection(head(1, 0), Terminal.OUTPUT)


@pytest.mark.parametrize(
    "text",
    [
        "L1.H0>L0.H0",
        "L0.H0>L0.H1",
        "L0.MLP>L0.H0",
        "L0.MLP>L0.MLP",
        "output>L1.H0",
        "L0.H0>input",
        "L0.H0>L1.MLP.K",
        "L0.H0>output.Q",
        "L0.H0>L1.H0.X",
        "L0.H0@3>L1.H0",
        "L9.H6:14>2",
        "L0.RESID>L1.H0",
        "L0.H0",
        "",
        "L0.H0>L1.H0>L2.H0",
    ],
)
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ComponentRefused):
        parse_connection(text)


def test_all_connections_among_parts_are_counted_by_hand() -> None:
    """Three in layer 0, two in layer 1, one in layer 2.

    Between parts: the two heads of layer 0 reach the MLP beside them (2); all three reach both of layer 1 (6); L1.H0
    reaches L1.MLP (1); five reach L2.H3 (5): 14. From the input 6, to the output 6, and from end to end 1: 27. Apart,
    the heads' inputs are three: those into L0.H0, L0.H1 (1 each), L1.H0 (4) and L2.H3 (6) count twice more: 27 + 24.
    Where attention and MLP stand side by side the 3 inside a layer are gone.
    """
    assert len(list_connections(PARTS, split=False, is_parallel=False)) == 27
    assert len(list_connections(PARTS, split=True, is_parallel=False)) == 51
    assert len(list_connections(PARTS, split=False, is_parallel=True)) == 24
