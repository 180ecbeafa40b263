"""The graph of a circuit: every node has a place of its own, and no line passes through a node that it does not join."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from audit_core.assessment import list_recorded
from ui.circuit.figures import NEAR, Node, bend_line
from ui.circuit.graph import place_nodes

PATHS = {
    record.circuit: answer.read() for record in list_recorded() for answer in record.answers if answer.audit == "paths"
}


def nodes_of(paths: Any) -> dict[str, Node]:
    return {node.name: node for node in place_nodes(paths, {"input", "output"})}


@pytest.mark.parametrize("paths", PATHS.values(), ids=list(PATHS))
def test_no_two_nodes_share_a_place(paths: Any) -> None:
    nodes = nodes_of(paths)
    assert set(nodes) == {"input", "output", *paths.components}
    for a, b in combinations(nodes.values(), 2):
        assert a.y != b.y or abs(a.x - b.x) > 0.12, (a.name, b.name)


def test_no_line_of_the_example_passes_through_another_node() -> None:
    paths = PATHS["indirect_object-found"]
    nodes = nodes_of(paths)
    for connection in paths.connections:
        sender, receiver = nodes[connection.sender], nodes[connection.receiver]
        for other in nodes.values():
            if other not in (sender, receiver):
                points = zip(*bend_line(sender, receiver, list(nodes.values())), strict=True)
                assert not any(abs(x - other.x) < NEAR and abs(y - other.y) < NEAR for x, y in points), other.name


def test_an_input_without_a_drawn_line_is_not_drawn() -> None:
    paths = SimpleNamespace(components=("L0.H0", "L1.H0"))
    assert [node.name for node in place_nodes(paths, {"L0.H0", "output"})] == ["L0.H0", "L1.H0", "output"]
