"""A home of its own for each page that is opened, and nothing left in Streamlit's caches."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from audit_core.sample import remove_sample


@pytest.fixture(scope="session", autouse=True)
def packages_scanned_once() -> Iterator[None]:
    """Streamlit looks for components in all installed packages whenever a page is opened, which takes longer than most pages."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def pages_waited_for_without_polling() -> Iterator[None]:
    """Streamlit's driver looks every millisecond whether a page has ended, through all that the page has sent."""
    from streamlit.testing.v1 import local_script_runner

    def wait(runner: Any, timeout: float = 3) -> None:
        runner._script_thread.join(timeout)
        if runner._script_thread.is_alive():
            runner.request_stop()
            runner.join()
            raise RuntimeError(f"AppTest script run timed out after {timeout}(s)")
        assert runner.script_stopped()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_script_runner, "require_widgets_deltas", wait)
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import streamlit as st

    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    # An empty page is what these tests are about; tests of the sample bring it back.
    remove_sample(tmp_path)
    monkeypatch.setattr(
        st, "get_option", lambda name, real=st.get_option: "127.0.0.1" if name == "server.address" else real(name)
    )
    # Each worker has a core: products of planted models are slower on two threads, which wait for each other.
    for module in ("actions", "model_pool", "services"):
        monkeypatch.setattr(f"ui.flow.{module}.use_all_cores", lambda: None)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield tmp_path
    st.cache_resource.clear()
