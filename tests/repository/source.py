"""Files of the repository as trees of syntax: each is read and walked once, however many rules look at it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)


@cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(read(path))


@cache
def _sort_nodes(path: Path) -> dict[type[ast.AST], list[ast.AST]]:
    found: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
    for node in ast.walk(parse(path)):
        found[type(node)].append(node)
    return found


def find_nodes(path: Path, kind: type[Node]) -> Iterator[Node]:
    """Every node of a kind, in the order of `ast.walk`."""
    for node in _sort_nodes(path).get(kind, ()):
        assert isinstance(node, kind)
        yield node


def name_call(call: ast.Call) -> str:
    """What is called, such as `np.random.choice`; in `f(x).choice` the part before the attribute is `…`."""
    parts, of = [], call.func
    while isinstance(of, ast.Attribute):
        parts.append(of.attr)
        of = of.value
    parts.append(of.id if isinstance(of, ast.Name) else "…")
    return ".".join(reversed(parts))
