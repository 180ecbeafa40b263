"""A kind of component is declared in two files; no list elsewhere decides which kinds are offered."""

from __future__ import annotations

import ast
from pathlib import Path

from audit_core.audits.sweep import SWEPT
from audit_core.component import KINDS, Kind
from audit_core.engine.sites import HOOKS

ROOT = Path(__file__).resolve().parents[2]
DECLARED = {"audit_core/component.py", "audit_core/engine/sites.py"}
LONGEST = 4
"""Shorter lists are about named kinds, such as heads and MLPs in connections; a new kind does not join them."""


def list_tables() -> dict[str, int]:
    """File → kinds in its longest list; estimators apart, which declare what each can estimate."""
    found: dict[str, int] = {}
    for path in [p for folder in ("audit_core", "ui", "pages") for p in (ROOT / folder).rglob("*.py")]:
        place = path.relative_to(ROOT).as_posix()
        if place.startswith("audit_core/estimators/"):
            continue
        text = path.read_text(encoding="utf-8")
        if text.count("Kind.") <= LONGEST:
            continue
        for node in ast.walk(ast.parse(text)):
            parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            kinds = [p for p in parts if isinstance(p, ast.Attribute) and getattr(p.value, "id", "") == "Kind"]
            if len(kinds) > LONGEST:
                found[place] = max(found.get(place, 0), len(kinds))
    return found


def test_only_the_two_declarations_list_kinds() -> None:
    assert set(list_tables()) == DECLARED


def test_every_kind_is_declared_and_what_a_sweep_replaces_has_a_site() -> None:
    assert set(KINDS) == set(Kind)
    assert set(SWEPT) <= set(HOOKS)
    assert Kind.NEURON in SWEPT
