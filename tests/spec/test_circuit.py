"""Candidate circuits: read with the record of how they were found, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit_core.circuits.circuit import load_circuit, read_components
from audit_core.claim import Universe
from audit_core.component import head
from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.shipped import list_circuits

ROW = {
    "name": "Looks most",
    "statement": "These heads look at the name.",
    "components": ["L1.H3", "L0.H2"],
    "universe": "heads",
    "task": "indirect_object",
    "model": "a model",
    "weights_sha256": "0" * 64,
    "origin": "exploratory half",
}


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "looks.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_circuit_has_its_parts_and_its_origin(tmp_path: Path) -> None:
    found = load_circuit(write(tmp_path, ROW))
    assert (found.id, found.components, found.universe) == ("looks", (head(0, 2), head(1, 3)), Universe.HEADS)
    assert (found.origin, found.is_example) == ("exploratory half", False)
    assert load_circuit(write(tmp_path, {**ROW, "is_example": True})).is_example


@pytest.mark.parametrize("field", ROW)
def test_a_circuit_without_one_of_its_fields_is_refused(field: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="fix the file"):
        load_circuit(write(tmp_path, {key: value for key, value in ROW.items() if key != field}))


@pytest.mark.parametrize(
    "content", ["{", "[]", "1" * 5000, "[" * 50_000, {**ROW, "components": ["x"]}, {**ROW, "universe": "all"}, {**ROW, "components": 5}, "x" * 300_000],
    ids=lambda content: str(content)[:20],
)  # fmt: skip
def test_a_file_that_is_no_circuit_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="What to do"):
        load_circuit(write(tmp_path, content))


@pytest.mark.parametrize("text", ['["L1.H3", "L0.H2"]', '{"components": ["L0.H2", "L1.H3", "L0.H2"], "name": "x"}'])
def test_components_are_read_from_json(text: str) -> None:
    assert read_components(text) == (head(0, 2), head(1, 3))


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "[1]", '["x"]', "[" * 50_000, '"L1.H3"', " " * 2_000_000])
def test_json_that_is_no_circuit_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(Refused, match="What to do"):
        read_components(text)


def test_the_published_circuit_ships_with_its_source_and_is_of_another_model() -> None:
    (published,) = [circuit for circuit in list_circuits() if circuit.source]
    assert published.id == "indirect_object-published-gpt2"
    assert "2211.00593" in published.source
    assert len(published.components) == 26
    row = json.loads((DATA / f"circuits/{published.id}.json").read_text())
    assert sorted(part for parts in row["classes"].values() for part in parts) == sorted(row["components"])
    assert not published.weights_sha256
