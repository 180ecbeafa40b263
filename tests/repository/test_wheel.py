"""The wheel holds the library, its data and the pages, needs what the requirements name, and works away from the checkout."""

from __future__ import annotations

import email
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from audit_core.evidence.source import hash_source
from audit_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "audit_core": "audit_core", "data": "audit_core/data", "pages": "assay_dashboard/pages", "ui": "assay_dashboard/ui",
    "app.py": "assay_dashboard/app.py", ".streamlit/config.toml": "assay_dashboard/.streamlit/config.toml",
}  # fmt: skip
"""Where each part of the checkout is in the wheel."""
ABOUT = f"assay-{VERSION}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built by the back end of this environment: no network, no environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(folder / f"assay-{VERSION}-py3-none-any.whl")


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip lays it out."""
    folder = tmp_path_factory.mktemp("site")
    wheel.extractall(folder)
    return folder


def list_parts() -> dict[str, bytes]:
    """Every file of the parts of the checkout under its name in the wheel; programs that made data are not shipped."""
    parts = {}
    for source, target in PLACES.items():
        files = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
        for path in files:
            is_program = source == "data" and path.suffix == ".py"
            if path.is_file() and "__pycache__" not in path.parts and not is_program:
                inside = path.relative_to(ROOT / source).as_posix()
                parts[target if inside == "." else f"{target}/{inside}"] = path.read_bytes()
    return parts


def read_about(wheel: zipfile.ZipFile) -> email.message.Message:
    return email.message_from_bytes(wheel.read(f"{ABOUT}/METADATA"))


def test_every_file_of_the_library_the_data_and_the_pages_is_in_the_wheel_and_no_other(wheel: zipfile.ZipFile) -> None:
    parts = list_parts()
    assert len(parts) > 400
    assert {name for name in wheel.namelist() if not name.startswith(ABOUT)} == set(parts)
    assert {name for name, data in parts.items() if wheel.read(name) != data} == set()


def test_each_requirement_is_one_of_the_wheel_or_of_one_extra(wheel: zipfile.ZipFile) -> None:
    def pin(line: str) -> str:
        return re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() + "==" + line.split("==")[1]

    rows = [row.partition(";") for row in read_about(wheel).get_all("Requires-Dist") or ()]
    base = {pin(line.strip()) for line, _, marker in rows if not marker}
    dashboard = {pin(line.strip()) for line, _, marker in rows if "'dashboard'" in marker}
    text = (ROOT / "requirements.txt").read_text()
    wanted = {pin(line) for line in text.splitlines() if "==" in line and not line.startswith("#")}
    api = {pin(line.strip()) for line, _, marker in rows if "'api'" in marker}
    explain = {pin(line.strip()) for line, _, marker in rows if "'explain'" in marker}
    stamps = {pin(line.strip()) for line, _, marker in rows if "'timestamps'" in marker}
    parts = (base, dashboard, api, explain, stamps)
    assert set().union(*parts) == wanted
    assert sum(map(len, parts)) == len(wanted)
    assert {line.split("==")[0] for line in stamps} == {"rfc3161-client"}
    assert {line.split("==")[0] for line in explain} == {"onnxruntime", "scikit-learn", "interpret-core"}
    assert {line.split("==")[0] for line in api} == {"starlette", "uvicorn", "python-multipart"}
    assert {line.split("==")[0] for line in dashboard} == {"streamlit", "plotly", "authlib"}
    cluster = {pin(line.strip()) for line, _, marker in rows if "'cluster'" in marker}
    assert {line.split("==")[0] for line in cluster} == {"ray", "submitit"}
    tracking = {pin(line.strip()) for line, _, marker in rows if "'mlflow'" in marker}
    assert {line.split("==")[0] for line in tracking} == {"mlflow-skinny"}
    dev = {pin(line.strip()) for line, _, marker in rows if "'dev'" in marker}
    text = (ROOT / "requirements-dev.txt").read_text()
    assert dev - dashboard - api - explain - stamps == {pin(line) for line in text.splitlines() if "==" in line}


def test_the_command_is_a_function_that_exists(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(f"{ABOUT}/entry_points.txt").decode()
    module, function = re.fullmatch(r"\[console_scripts\]\nassay = ([\w.]+):(\w+)\n+", text).groups()  # type: ignore[union-attr]
    assert callable(getattr(importlib.import_module(module), function))


def test_the_version_is_written_in_one_place(wheel: zipfile.ZipFile) -> None:
    assert read_about(wheel)["Version"] == VERSION
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pattern = re.compile(rf'(?<!_KEY_FORMAT = )"{re.escape(VERSION)}"')
    files = [path for path in (ROOT / "audit_core").rglob("*.py") if pattern.search(path.read_text())]
    assert files == [ROOT / "audit_core/version.py"], "the constant in content keys is no version: it never changes"


def test_an_installed_library_finds_its_data_and_is_the_same_code(installed: Path, tmp_path: Path) -> None:
    program = """
import audit_core
from audit_core.evidence.source import hash_source
from audit_core.references.crosswalk_file import SHIPPED_CROSSWALK
from audit_core.evidence.report.paper import FONTS
from audit_core.data_folder import APP, DATA
from audit_core.shipped import list_circuits, list_policies, list_prompt_sets
print(audit_core.__file__, DATA, len(list_prompt_sets()), len(list_circuits()), list_policies())
print(APP.is_file(), SHIPPED_CROSSWALK.is_file(), len(list(FONTS.glob("*.ttf"))), audit_core.__version__, hash_source())
"""
    environment = {**os.environ, "PYTHONPATH": str(installed), "AUDIT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    package = installed / "audit_core"
    assert done.stdout.splitlines() == [
        f"{package / '__init__.py'} {package / 'data'} {len(list((ROOT / 'data/prompts').glob('*.jsonl')))} "
        f"{len(list((ROOT / 'data/circuits').glob('*.json')))} ('default',)",
        f"True True {len(list((ROOT / 'data/fonts').glob('*.ttf')))} {VERSION} {hash_source()}",
    ]
