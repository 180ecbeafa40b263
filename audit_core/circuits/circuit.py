"""A candidate circuit: components somebody named, and how they came to name them."""

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
    """Read from `data/circuits/*.json`; the record of how it was found travels with it."""

    id: str
    name: str
    statement: str
    """What somebody might believe of it: a sentence to be tested, not a finding."""
    components: tuple[Component, ...]
    universe: Universe
    task: str
    """Prompt set it is about."""
    model: str
    """Title of the model it was found in."""
    weights_sha256: str
    """Weights it was found in; on other weights it is only a guess. Empty where a publication does not tell."""
    origin: str
    """How it was found, on which half of which prompts."""
    is_example: bool
    """One of the two heads that a first visit sets side by side."""
    source: str = ""
    """Publication it is taken from; empty where it was found here."""


def load_circuit(path: Path) -> Circuit:
    """Read one candidate circuit.

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
            remedy="mend the file.",
        ) from error


def read_components(text: str) -> tuple[Component, ...]:
    """Components of a JSON document: a list of addresses, or an object with such a list as `components`.

    Raises:
        ClaimRefused: it is no such document.
        ComponentRefused: an address is not in the grammar.
    """
    wanted = '["L23.H3", "L5.MLP"] or {"components": ["L23.H3", "L5.MLP"]}.'
    if len(text) > MAX_FILE_BYTES:
        raise ClaimRefused(f"{len(text):,} characters.", wanted="one circuit.", remedy="shorten it.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClaimRefused(f"Not JSON: {str(error)[:100]}", wanted=wanted, remedy="mend the file.") from error
    names = found.get("components") if isinstance(found, dict) else found
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ClaimRefused("No list of addresses.", wanted=wanted, remedy="mend the file.")
    return unique_components(parse_component(name) for name in names)
