"""A link opens a page and does nothing else: it loads no model that was never loaded here, sends nothing, and tells of no path."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.errors import ModelRefused
from audit_core.models import LINK, PAGE
from audit_core.store import note_opened
from tests.pages.test_signed_in import Provider, provider  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
NEVER_LOADED = ["someone/model", "./a-folder", "planted-strict", "C:\\models", "plainname", "![](http://x/)"]  # fmt: skip


class Loads:
    """What was asked to be loaded, and with what access; nothing is."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def open(self, name: str, *, on_progress: Any, access: Any = None) -> Any:
        self.asked.append((name, access))
        raise ModelRefused(f"{name} is a stand-in.", wanted="a model.", remedy="nothing.")


@pytest.fixture
def loads(home: Path, monkeypatch: pytest.MonkeyPatch) -> Loads:
    import ui.flow.model_pool
    from ui.flow import services
    from ui.flow.model_pool import ModelPool

    found = Loads()
    monkeypatch.setattr(ui.flow.model_pool, "open_subject", found.open)
    monkeypatch.setattr(services, "POOL", ModelPool())
    monkeypatch.setattr(ui.flow.model_pool, "use_all_cores", lambda: None)
    return found


def open_page(page: str = "live_audit", **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    if page != "live_audit":
        test.switch_page(str(ROOT / f"pages/{page}.py"))
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def said(test: AppTest) -> str:
    assert not test.exception
    return " ".join(str(one.value) for one in (*test.markdown, *test.error, *test.warning)).replace("\\", "")


def until(test: AppTest, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
        test.run()


def find_button(test: AppTest, key: str) -> bool:
    return any(one.key == key for one in test.button)


@pytest.mark.parametrize("name", NEVER_LOADED)
def test_a_link_to_a_model_that_was_never_loaded_here_asks_first(loads: Loads, name: str) -> None:
    test = open_page(model=name)
    test.run()
    assert loads.asked == []
    assert name.replace("\\", "") in said(test)
    assert "Source: **" in said(test)
    assert "Size: **" in said(test)
    test.button(key="load-model").click().run()
    until(test, lambda: bool(loads.asked))
    assert [asked for asked, _ in loads.asked] == [name]
    assert loads.asked[0][1] == (None if name.startswith("planted") else PAGE)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_loads_a_model_by_its_address_alone(loads: Loads, page: str) -> None:
    """Every parameter that any page reads, all naming models that were never loaded."""
    keys = [
        "model",
        "before",
        "after",
        "prompts",
        "freeze_model",
        "set",
        "claim",
        "case",
        "around",
        "c",
        "prompt",
        "head",
    ]
    test = open_page(page, **dict.fromkeys(keys, "someone/model"))
    test.run()
    assert [name for name, _ in loads.asked if name != "default"] == []


def test_a_model_that_was_loaded_here_opens_at_once_and_asks_nothing_of_the_hub(home: Path, loads: Loads) -> None:
    note_opened(home, "someone/model")
    test = open_page(model="someone/model")
    until(test, lambda: bool(loads.asked))
    assert loads.asked == [("someone/model", LINK)]
    assert not find_button(test, "load-model")


@pytest.mark.parametrize("name", ["default", "smollm2-135m-instruct-q4_1"])
def test_the_default_model_opens_at_once(loads: Loads, name: str) -> None:
    test = open_page(model=name)
    until(test, lambda: bool(loads.asked))
    assert loads.asked[0][0] == name


def test_picking_a_shipped_model_from_the_list_is_a_press_and_typing_another_is_not(loads: Loads) -> None:
    test = open_page(model="someone/model")
    test.selectbox(key="model").set_value("planted-strict").run()
    until(test, lambda: bool(loads.asked))
    assert [name for name, _ in loads.asked] == ["planted-strict"]
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    test.session_state["kept_choices"] = {"model": "other/model"}  # typed on another page
    test.run()
    assert find_button(test, "load-model")
    assert [name for name, _ in loads.asked] == ["planted-strict"]


def test_a_load_that_failed_for_one_person_is_asked_about_again_for_the_next(loads: Loads) -> None:
    first = open_page(model="someone/model")
    first.button(key="load-model").click().run()
    until(first, lambda: bool(first.error))
    first.run()
    assert len(loads.asked) == 1, "a page runs often, and must not try each time"
    second = open_page(model="someone/model")
    assert find_button(second, "load-model")
    assert not second.error
    first.button(key="load-again").click().run()
    until(first, lambda: len(loads.asked) == 2)


def test_a_cancelled_load_is_not_begun_again_by_the_next_run_of_the_page(
    loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    import ui.flow.model_pool

    gate = threading.Event()

    def wait(name: str, *, on_progress: Any, **_: Any) -> Any:
        loads.asked.append((name, None))
        while not gate.wait(0.01):
            on_progress("download", 1, 2)

    monkeypatch.setattr(ui.flow.model_pool, "open_subject", wait)
    test = open_page(model="someone/model")
    test.button(key="load-model").click().run()
    assert find_button(test, "cancel-load-someone/model")
    test.button(key="cancel-load-someone/model").click().run()
    for _ in range(3):
        test.run()
    assert "You cancelled loading" in said(test)
    assert len(loads.asked) == 1
    gate.set()


def test_a_full_queue_is_said_with_its_length_and_a_button(loads: Loads, monkeypatch: pytest.MonkeyPatch) -> None:
    import ui.flow.model_pool

    monkeypatch.setattr(ui.flow.model_pool, "MAX_WAITING", 0)
    test = open_page(model="someone/model")
    test.button(key="load-model").click().run()
    assert "models are queued" in said(test)
    assert find_button(test, "load-again")


PATHS = {
    "nothing": lambda folder: folder / "nothing",
    "a file": lambda folder: _make(folder / "file", is_file=True),
    "an empty folder": lambda folder: _make(folder / "empty"),
    "a folder that may not be read": lambda folder: _make(folder / "closed", mode=0),
    "a link to nothing": lambda folder: _link(folder / "link"),
    "a file in a file": lambda folder: _make(folder / "other", is_file=True) / "below",
}


def _make(path: Path, *, is_file: bool = False, mode: int = 0o755) -> Path:
    path.write_text("x") if is_file else path.mkdir()
    path.chmod(0o644 if is_file else mode)
    return path


def _link(path: Path) -> Path:
    path.symlink_to("/nowhere/at/all")
    return path


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("step", ["asked about", "pressed"])
def test_a_signed_in_person_learns_nothing_of_the_servers_folders(
    provider: Provider, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, kind: str, step: str  # noqa: F811
) -> None:  # fmt: skip
    """The page says the same of each path, whatever is there: only a model folder differs."""
    from ui.flow import services
    from ui.flow.model_pool import ModelPool

    monkeypatch.setattr(services, "POOL", ModelPool())
    monkeypatch.setattr("ui.flow.model_pool.use_all_cores", lambda: None)
    provider.sign_in("anna", "researcher")
    path = PATHS[kind](tmp_path_factory.mktemp("server"))
    test = open_page(model=str(path))
    if step == "pressed":
        test.button(key="load-model").click().run()
        until(test, lambda: bool(test.error))
    text = said(test).replace(str(path), "PATH")
    expected = "No model can be opened at 'PATH'." if step == "pressed" else "Size: **unknown before it is loaded**"
    assert expected in text
    assert "No such file" not in text
    assert "config.json." not in text.replace("with config.json and", "")


def test_the_one_local_person_sees_how_large_a_folder_is(
    loads: Loads, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.safetensors").write_bytes(b"x" * 1234)
    assert "1,234 bytes" in said(open_page(model=str(folder)))
    assert "unknown" in said(open_page(model=str(folder / "nothing")))


def test_no_one_without_the_right_to_run_loads_a_model_by_pressing(
    provider: Provider, loads: Loads  # noqa: F811
) -> None:  # fmt: skip
    provider.sign_in("anna", "researcher")
    test = open_page(model="someone/model")
    provider.claims["groups"] = ["team-view"]
    test.button(key="load-model").click().run()
    assert loads.asked == []


def test_a_comparison_shows_no_more_of_a_path_than_a_page_does(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from ui.flow import actions, services

    said = set()
    folder = tmp_path_factory.mktemp("server")
    for kind in ("nothing", "a file", "an empty folder"):
        path = PATHS[kind](folder)
        job = actions.compare(str(path), "default", "")
        deadline = time.monotonic() + 20
        while (seen := services.jobs().get(job, owner=services.current_actor().session)) is None or seen.is_active:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        said.add(seen.error.replace(str(path), "PATH"))
    assert len(said) == 1
    assert "No model can be opened at 'PATH'" in said.pop()
