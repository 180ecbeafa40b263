"""Candidate circuits: components with a statement and their origin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from audit_core.claim import Universe
from audit_core.component import Component, parse_component, parse_components, unique_components
from audit_core.errors import ClaimRefused

MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class Circuit:
    """A candidate circuit, read from `data/circuits/*.json`, with its origin."""

    id: str
    name: str
    statement: str
    """The hypothesis about it, in one sentence."""
    components: tuple[Component, ...]
    universe: Universe
    task: str
    """Its prompt set."""
    model: str
    """Title of the model it was found in."""
    weights_sha256: str
    """Digest of the weights it was found in, on which alone it was tested; empty if a publication does not give it."""
    origin: str
    """How it was found, and on which split of which prompts."""
    is_example: bool
    """Whether it is one of the two heads compared on a first visit."""
    source: str = ""
    """Source publication; empty if it was found with Assay."""


def load_circuit(path: Path) -> Circuit:
    """Load one candidate circuit.

    Raises:
        ClaimRefused: the file is not in the format.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ClaimRefused(f"{path.name} is too large.", wanted="one circuit.", remedy="shorten it.")
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return Circuit(
            id=path.stem,
            name=str(row["name"]),
            statement=str(row["statement"]),
            components=parse_components(" ".join(row["components"])),
            universe=Universe(row["universe"]),
            task=str(row["task"]),
            model=str(row["model"]),
            weights_sha256=str(row["weights_sha256"]),
            origin=str(row["origin"]),
            is_example=row.get("is_example") is True,
            source=str(row.get("source", "")),
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ClaimRefused(
            f"{path.name} is not a circuit: {type(error).__name__} {error}",
            wanted="name, statement, components, universe, task, model, weights_sha256, origin.",
            remedy="fix the file.",
        ) from error


def read_components(text: str) -> tuple[Component, ...]:
    """Components of a JSON document: a list of addresses, or an object with such a list as `components`.

    Raises:
        ClaimRefused: it is not such a document.
        ComponentRefused: an address does not parse.
    """
    wanted = '["L23.H3", "L5.MLP"] or {"components": ["L23.H3", "L5.MLP"]}.'
    if len(text) > MAX_FILE_BYTES:
        raise ClaimRefused(f"{len(text):,} characters.", wanted="one circuit.", remedy="shorten it.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClaimRefused(f"Not JSON: {str(error)[:100]}", wanted=wanted, remedy="fix the file.") from error
    names = found.get("components") if isinstance(found, dict) else found
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ClaimRefused("No list of addresses.", wanted=wanted, remedy="fix the file.")
    return unique_components(parse_component(name) for name in names)
