"""Every file on a shelf is a plug-in that can be asked for by name; an unknown name is refused with those there are."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import audit_core
from audit_core.errors import Refused
from audit_core.registry import PLUGIN_FOLDERS, get_plugin, list_plugins

LIBRARY = Path(audit_core.__file__).parent


@pytest.mark.parametrize("shelf", PLUGIN_FOLDERS)
def test_every_file_on_a_shelf_is_a_plugin_under_its_own_name(shelf: str) -> None:
    folders = {path.parent.name for path in (LIBRARY / shelf).glob("*/__init__.py")}
    files = {path.stem for path in (LIBRARY / shelf).glob("*.py")} - {"__init__"} | folders
    assert set(list_plugins(shelf)) == files
    assert files
    for key, plugin in list_plugins(shelf).items():
        assert plugin.name == key
        assert plugin.question.endswith("?")
        assert get_plugin(shelf, key) is plugin


@pytest.mark.parametrize("shelf", PLUGIN_FOLDERS)
def test_an_unknown_plugin_is_refused_with_the_names_there_are(shelf: str) -> None:
    with pytest.raises(Refused, match=", ".join(list_plugins(shelf))):
        get_plugin(shelf, "no such plug-in")


def test_an_unknown_shelf_is_refused() -> None:
    with pytest.raises(Refused, match="metrics, subjects, estimators, views, circuit_discovery, audits"):
        list_plugins("helpers")


def test_shelves_cannot_be_written_to() -> None:
    with pytest.raises(TypeError):
        list_plugins("metrics")["mine"] = None  # type: ignore[index]


def test_a_file_without_a_plugin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it passed over in silence, a plug-in with a slip in it would just be missing."""
    package = importlib.import_module("audit_core.metrics")
    (tmp_path / "unfinished.py").write_text("PLUGING = 1\n")
    list_plugins.cache_clear()
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    try:
        with pytest.raises(Refused, match=r"metrics/unfinished\.py has no PLUGIN"):
            list_plugins("metrics")
    finally:
        list_plugins.cache_clear()
