"""Fixtures of all tests: a home of its own for each, and small models built once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import audit_core  # noqa: F401  before any test imports a model library: it turns their usage statistics off

# The same examples at every run, on however slow a machine: what fails here fails everywhere.
settings.register_profile("assay", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("assay")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the log of whoever runs it."""
    home = tmp_path / "home"
    monkeypatch.setenv("AUDIT_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def share_of_the_machine(request: pytest.FixtureRequest) -> None:
    """Small models run on one thread: their products are slower on two, and far slower where other work wants a core."""
    if "torch" in sys.modules:
        # Imported, not taken from the table: a page's thread may be half way through importing it.
        import torch

        torch.set_num_threads(1 if request.node.get_closest_marker("slow") is None else os.cpu_count() or 1)


@pytest.fixture(scope="session")
def load_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The subject of a family with random weights, built and loaded at the first call."""
    from toy.models import build_random, load

    return cache(lambda family: load(build_random(family, tmp_path_factory.mktemp(family))))


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The subject whose weights are set by hand."""
    from toy.models import load
    from toy.planted import build_planted

    return load(build_planted(tmp_path_factory.mktemp("planted")))


@pytest.fixture(scope="session")
def load_planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The subject of a planted model, built and loaded at the first call."""
    from toy.models import load

    from audit_core.subjects.planted import find_planted

    def build(name: str) -> Any:
        model, folder = find_planted(name), tmp_path_factory.mktemp(name)
        assert model is not None
        model.build(folder, 0)
        return load(folder)

    return cache(build)
