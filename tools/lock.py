"""Write what is installed, by digest, and under which licences: the locks, `constraints.txt` and `docs/reference/licences.md`.

`make lock` runs it. Versions that are pinned now are kept where the requirements allow it; `make lock UPGRADE=1` takes the newest.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUN, DEV = "requirements.lock", "requirements-dev.lock"
APART = ("requirements-cluster", "requirements-mlflow", "tests/catalogue/requirements")
"""Extras and tests with an environment of their own; each lock has all that it needs."""
PLATFORM_BUILD = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
"""torch and what its CUDA build brings along: chosen for each machine, so that no one digest fits."""
_BROWSER = "sys_platform == 'emscripten'"
_LONGEST_LICENCE = 60

LOCK_HEAD = """\
# Written by `make lock`. Every file that the index has of each version, by SHA-256; installed with --require-hashes.
# torch and the packages of its CUDA build are not here: each machine has its own build, installed by version alone.
"""
CONSTRAINTS_HEAD = """\
# Written by `make lock`. The versions of both locks without digests, for `pip install -c constraints.txt .`
"""
LICENCES_HEAD = """\
# Licences of dependencies

Written by `make lock` from the metadata of each package, as its authors state it; it is no legal advice. *Tests* marks what
only the development environment installs. A CUDA build of torch brings packages of its own, which are not listed here.

| package | version | licence | for |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Pin:
    """One package of a lock: `name==version`, its marker or nothing, and the digests of its files."""

    requirement: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.requirement.split("==")[0]

    @property
    def line(self) -> str:
        return f"{self.requirement} ; {self.marker}" if self.marker else self.requirement


def read_lock(text: str) -> list[Pin]:
    """Pins of a requirements file that has digests, in its order."""
    pins = []
    for block in re.findall(r"^\w.*(?:\n[ \t]+--hash=.*)*", text, re.M):
        requirement, _, marker = block.partition("\n")[0].rstrip(" \\").partition(" ; ")
        pins.append(Pin(requirement, marker, tuple(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))))
    return pins


def write_lock(pins: list[Pin]) -> str:
    """The same as text, below a comment that says what it is."""
    blocks = [" \\\n    ".join([pin.line, *(f"--hash={digest}" for digest in pin.hashes)]) for pin in pins]
    return LOCK_HEAD + "\n".join(blocks) + "\n"


def resolve(file: str, installer: str, *, known: str) -> list[Pin]:
    """Every package that this file and the installer need, on every platform but in browsers.

    Args:
        file: a requirements file of the repository.
        installer: one more requirement.
        known: lines `name==version` to keep where the requirements allow it.

    Returns:
        Pins by name, each with the digests of all the files that the index has of that version.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "all.in"), Path(folder, "all.txt")
        source.write_text(f"-r {ROOT / file}\n{installer}\n", encoding="utf-8")
        # The resolver keeps the versions that its output names already.
        target.write_text(known, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", str(source), "--output-file", str(target), "--quiet"]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
        # One version for every Python where one fits all, and not the newest that each can take.
        command += ["--fork-strategy", "fewest"]
        subprocess.run(command, check=True, cwd=folder)
        pins = read_lock(target.read_text(encoding="utf-8"))
    return [pin for pin in pins if _BROWSER not in pin.marker]


def write_constraints(pins: list[Pin]) -> str:
    """Their versions and markers alone, sorted, below a comment that says what they are."""
    lines = sorted(pin.line for pin in pins)
    return CONSTRAINTS_HEAD + "\n".join(lines) + "\n"


def split_versions(requirements: list[str]) -> list[list[str]]:
    """Lists without a package twice: pip takes one version of each at a time, and a lock can have two for different Pythons."""
    lists: list[dict[str, str]] = []
    for requirement in requirements:
        name = requirement.split("==")[0]
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = requirement
    return [list(one.values()) for one in lists]


def read_metadata(requirements: list[str]) -> list[dict[str, Any]]:
    """Metadata of each package, as pip reports it without installing any; no package twice."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "all.txt")
        source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        command += ["--report", "-", "--requirement", str(source)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [row["metadata"] for row in json.loads(done.stdout)["install"]]


def name_licence(metadata: dict[str, Any]) -> str:
    """The licence by its expression, else by its classifiers, else by a short licence field."""
    if expression := metadata.get("license_expression"):
        return str(expression)
    classifiers = [row for row in metadata.get("classifier", []) if row.startswith("License ::")]
    named = [row.rsplit(" :: ", 1)[1] for row in classifiers if row != "License :: OSI Approved"]
    if named:
        return ", ".join(named)
    lines = str(metadata.get("license") or "").strip().splitlines()
    return lines[0] if lines and len(lines[0]) <= _LONGEST_LICENCE else "not stated"


def write_licences(metadata: list[dict[str, Any]], run: set[str]) -> str:
    """The page of licences; `run` names the packages that the product itself needs."""
    rows = []
    for row in sorted(metadata, key=lambda row: normalise(row["name"])):
        # A build for one machine, such as `+cpu`, says nothing about the licence.
        name, version = normalise(row["name"]), row["version"].split("+")[0]
        licence = name_licence(row).replace("|", "or")
        rows.append(f"| `{name}` | {version} | {licence} | {'Assay' if name in run else 'tests'} |\n")
    return LICENCES_HEAD + "".join(rows)


def normalise(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pip", required=True, help="the version of pip that installs the others")
    parser.add_argument("--upgrade", action="store_true", help="the newest versions that the requirements allow")
    options = parser.parse_args()
    installer = f"pip=={options.pip}"
    pinned = "" if options.upgrade else (ROOT / "constraints.txt").read_text(encoding="utf-8")
    everything = resolve("requirements-dev.txt", installer, known=pinned)
    needed = {pin.name for pin in resolve("requirements.txt", installer, known=write_constraints(everything))}
    pins = [pin for pin in everything if not PLATFORM_BUILD.fullmatch(pin.name)]
    run = [pin for pin in pins if pin.name in needed]
    dev = [pin for pin in pins if pin.name not in needed]
    torch = next(pin for pin in everything if pin.name == "torch")
    lists = split_versions([pin.requirement for pin in [*pins, torch]])
    metadata = [row for one in lists for row in read_metadata(one)]
    apart = {name: resolve(f"{name}.txt", installer, known=write_constraints(everything)) for name in APART}
    # Written last and together, so that a failure leaves the files as they were.
    for name, text in (
        *((f"{name}.lock", write_lock([pin for pin in found if pin.name != "pip"])) for name, found in apart.items()),
        (RUN, write_lock(run)),
        (DEV, write_lock(dev)),
        ("constraints.txt", write_constraints([*pins, torch])),
        ("docs/reference/licences.md", write_licences(metadata, {pin.name for pin in run} | {"torch"})),
    ):
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
