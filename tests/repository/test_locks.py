"""What is installed is fixed by digest, and the locks, the constraints and the list of licences name the same packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.lock import (
    PLATFORM_BUILD,
    Pin,
    name_licence,
    normalise,
    read_lock,
    split_versions,
    write_constraints,
    write_licences,
    write_lock,
)

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def read(name: str) -> list[Pin]:
    return read_lock((ROOT / name).read_text())


def read_requirements(name: str) -> set[str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    pairs = [line.split("==") for line in lines if line and not line.startswith("-")]
    return {f"{normalise(name)}=={version}" for name, version in pairs}


def find_torch() -> str:
    return next(line for line in read_requirements("requirements.txt") if line.startswith("torch=="))


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_the_digests_of_its_files(name: str) -> None:
    pins = read(name)
    assert len(pins) > 20, "the rule below would hold of nothing"
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[a-zA-Z0-9.!+]+", pin.requirement)] == []
    assert [pin for pin in pins if not pin.hashes] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_pins_and_nothing_else_such_as_an_index(name: str) -> None:
    """Read and written again it is the same file: no option, no address and no path is in it."""
    text = (ROOT / name).read_text()
    assert write_lock(read_lock(text)) == text


def test_the_locks_fix_what_the_requirements_name() -> None:
    run, dev = ({pin.requirement for pin in read(name)} for name in LOCKS)
    assert read_requirements("requirements.txt") - run == {find_torch()}
    assert read_requirements("requirements-dev.txt") - run - dev == set()
    assert {pin.name for pin in read(LOCKS[0])} & {pin.name for pin in read(LOCKS[1])} == set()


def test_torch_and_its_cuda_build_are_left_to_each_machine() -> None:
    names = {pin.name for name in LOCKS for pin in read(name)}
    assert {name for name in names if PLATFORM_BUILD.fullmatch(name)} == set()
    assert {"filelock", "sympy", "networkx", "fsspec"} <= names, "what torch needs beside them is fixed"


def test_the_constraints_are_the_versions_of_both_locks_and_torch() -> None:
    pins = [*read(LOCKS[0]), *read(LOCKS[1]), Pin(find_torch(), "", ())]
    assert (ROOT / "constraints.txt").read_text() == write_constraints(pins)


def test_the_makefile_installs_nothing_but_torch_without_digests() -> None:
    text = (ROOT / "Makefile").read_text()
    rules = dict(re.findall(r"^([\w./]+):.*\n((?:\t.*\n)+)", text, re.M))
    lines = [line for rule, lines in rules.items() if rule != "lock" for line in lines.splitlines()]
    installs = [line for line in lines if "pip install" in line]
    assert len(installs) == 9
    torch = "/pip install $(PIP_OPTIONS) -c constraints.txt $$(grep '^torch==' requirements.txt)"
    unhashed = [line for line in installs if "--require-hashes --no-deps" not in line]
    assert sorted(unhashed) == [f"\t$(BIN){torch}", f"\tbuild/peers/bin{torch}"]
    version = re.search(r"^PIP_VERSION := (.+)$", text, re.M)[1]  # type: ignore[index]
    assert f"pip=={version}" in {pin.requirement for pin in read(LOCKS[0])}


def test_the_peers_of_the_bench_share_the_versions_that_are_compared() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "bench/peers/requirements.txt").read_text().splitlines() if "==" in line
    )
    ours = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    shared = ("torch", "transformers", "transformer_lens")
    assert {name: pinned[name] for name in shared} == {name: ours[name] for name in shared}
    pins = read_lock((ROOT / "bench/peers/requirements.lock").read_text())
    assert {f"{name.replace('_', '-')}=={version}" for name, version in pinned.items() if name != "torch"} <= {
        pin.requirement for pin in pins
    }
    assert all(pin.hashes for pin in pins)


def test_the_list_of_licences_names_every_package_that_is_fixed_and_no_other() -> None:
    text = (ROOT / "docs/reference/licences.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\S+) \| ([^|]+) \| (Assay|tests) \|$", text, re.M)
    assert len(rows) == text.count("\n| `")
    run, dev = ({pin.requirement for pin in read(name)} for name in LOCKS)
    assert {f"{name}=={version}" for name, version, _, use in rows if use == "Assay"} == run | {find_torch()}
    assert {f"{name}=={version}" for name, version, _, use in rows if use == "tests"} == dev


def test_a_lock_is_read_with_its_markers() -> None:
    pins = [
        Pin("a==1", "", ("sha256:" + "0" * 64,)),
        Pin("b==2.0", "sys_platform == 'win32'", ("sha256:" + "1" * 64, "sha256:" + "2" * 64)),
    ]
    assert read_lock(write_lock(pins)) == pins
    assert write_constraints(pins).splitlines()[1:] == ["a==1", "b==2.0 ; sys_platform == 'win32'"]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"license_expression": "MIT", "license": "other"}, "MIT"),
        ({"classifier": ["License :: OSI Approved", "License :: OSI Approved :: BSD License"]}, "BSD License"),
        ({"classifier": ["License :: OSI Approved"], "license": "Apache 2.0"}, "Apache 2.0"),
        (
            {"license": "a line of a whole licence text that is much too long for a cell of a table\nand more"},
            "not stated",
        ),
        ({}, "not stated"),
    ],
)
def test_a_licence_is_named_as_its_authors_state_it(metadata: dict[str, object], licence: str) -> None:
    assert name_licence(metadata) == licence
    row = write_licences([{"name": "Some.Name", "version": "1+cpu", **metadata}], {"some-name"}).splitlines()[-1]
    assert row == f"| `some-name` | 1 | {licence} | Assay |"


def test_two_versions_of_a_package_are_asked_for_apart() -> None:
    assert split_versions(["a==1", "b==1", "a==2", "c==1", "a==3", "b==2"]) == [
        ["a==1", "b==1", "c==1"],
        ["a==2", "b==2"],
        ["a==3"],
    ]
