"""The actions `exchange publish|index`: runs as Parquet parts in a shared folder, and an index of them for one reader."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from audit_core.cli.output import print_json, print_result
from audit_core.exchange.parts import publish_runs
from audit_core.store import RunLog, audit_home
from audit_core.store.parts_index import build_index

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_parts_commands(add: Add) -> None:
    """Add both actions to `exchange`."""
    publish = add(
        "publish", publish_parts, "write each ended run as Parquet parts into a folder that installations share"
    )
    publish.add_argument("folder", type=Path, metavar="FOLDER", help="made if it does not exist; parts in it stay")
    index = add("index", index_parts, "build a DuckDB file of all runs and effects in such a folder, for one reader")
    index.add_argument("folder", type=Path, metavar="FOLDER")
    index.add_argument("--out", type=Path, required=True, help="such as index.duckdb; an older one is replaced")


def publish_parts(options: argparse.Namespace) -> int:
    """Publish the runs of this data directory."""
    found = publish_runs(RunLog(audit_home()), options.folder)
    if options.json:
        return print_json(asdict(found))
    print_result(
        f"{options.folder}: {found.new} runs added, of which {found.without_effects} without effects; {found.known} were there; "
        f"{found.left_out} have not ended and are left out."
    )
    return 0


def index_parts(options: argparse.Namespace) -> int:
    """Build one index."""
    found = build_index(options.folder, options.out)
    if options.json:
        return print_json(asdict(found))
    print_result(f"{options.out}: {found.runs} runs with {found.effects} effects, the newest of {found.newest}.")
    return 0
