"""Draws docs/structure.svg, the packages of the library by layer with the imports between them: `make structure`."""

from __future__ import annotations

import sys
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/structure.svg"
WIDTH, ROW, BOX, GAP = 1280, 64, 26, 10
CHARACTER = 6.7
"""Pixels that a character takes at this size of monospace letters."""


def read_layers() -> list[list[str]]:
    """Names of each layer without the library's, the topmost first, as the import contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    return [[name.strip().removeprefix("audit_core.") for name in row.split(":")] for row in contracts[0]["layers"]]


def read_arrows() -> set[tuple[str, str]]:
    """Imports between the library's packages and modules: (importer, imported)."""
    import grimp

    graph = grimp.build_graph("audit_core", exclude_type_checking_imports=True)
    arrows = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            first, second = (name.split(".")[1] if "." in name else "" for name in (module, other))
            if first and second and first != second:
                arrows.add((first, second))
    return arrows


def reduce_arrows(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without those that a longer way through others implies, so that the picture can be read."""
    below: dict[str, set[str]] = {}
    for first, second in arrows:
        below.setdefault(first, set()).add(second)

    def reach(name: str) -> set[str]:
        found: set[str] = set()
        waiting = list(below.get(name, ()))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += below.get(one, ())
        return found

    return {(a, b) for a, b in arrows if not any(b in reach(c) for c in below[a] if c != b)}


def draw(layers: list[list[str]], arrows: set[tuple[str, str]]) -> str:
    packages = {path.parent.name for path in (ROOT / "audit_core").glob("*/__init__.py")}
    places: dict[str, tuple[float, float, float]] = {}
    for row, names in enumerate(layers):
        widths = [len(name) * CHARACTER + 16 for name in names]
        left = (WIDTH - sum(widths) - GAP * (len(names) - 1)) / 2
        for name, width in zip(names, widths):
            places[name] = (left, 20 + row * ROW, width)
            left += width + GAP
    height = 20 + len(layers) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
        "<title>Packages of audit_core by layer; each imports only what is below it</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for first, second in sorted(arrows):
        if first in places and second in places:
            (x0, y0, w0), (x1, y1, w1) = places[first], places[second]
            lines.append(
                f'<line x1="{x0 + w0 / 2:.0f}" y1="{y0 + BOX:.0f}" x2="{x1 + w1 / 2:.0f}" y2="{y1:.0f}" stroke="#9aa4b2" stroke-width="0.8"/>'
            )
    for name, (x, y, width) in places.items():
        dash = "" if name in packages else ' stroke-dasharray="3 2"'
        lines.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="4" fill="#f4f6f9" stroke="#334"{dash}/>'
        )
        lines.append(
            f'<text x="{x + width / 2:.0f}" y="{y + 17:.0f}" text-anchor="middle" fill="#112">{escape(name)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    arrows = read_arrows()
    PICTURE.write_text(draw(read_layers(), reduce_arrows(arrows)), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {len(arrows)} imports between packages and modules\n")
