"""Parts in DuckLake and PostgreSQL by the SQL of docs/how-to.md, against the index: `make catalogue-tests`.

Prints what held, and ends with an error at the first thing that does not. PostgreSQL is a server of its own in a temporary folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from spec.test_parts import DONE, REFUSED

from audit_core import cli
from audit_core.store import RunLog
from audit_core.store.log.backup import back_up, restore

ROOT = Path(__file__).resolve().parents[2]
LAKE_PYTHON = ROOT / "build/catalogue/bin/python"
PAGE = ROOT / "docs/how-to.md"
TABLES = {"runs": "run_id", "effects": "run_id, item, quantity"}
Rows = dict[str, list[list[str]]]


def read_listing(first: str) -> str:
    """The listing of the page whose first line begins so."""
    listings = [found for found in re.findall(r"\n```\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.S)]
    (found,) = [listing for listing in listings if listing.startswith(first)]
    return found


def make_run(number: int) -> Any:
    """The run with effects under another id; its numbers are its own."""
    return replace(DONE, run_id=f"b{number}", started_at=f"2026-11-03T10:{number:02}:00.000+00:00", wall_s=0.1 * number)


def publish(home: Path, folder: Path) -> None:
    os.environ["AUDIT_HOME"] = str(home)
    with redirect_stdout(StringIO()):
        assert cli.main(["exchange", "publish", str(folder / "parts")]) == 0
        assert cli.main(["exchange", "index", str(folder / "parts"), "--out", str(folder / "index.duckdb")]) == 0


def read_index(folder: Path) -> Rows:
    """Every row of the index, which is made from the parts alone."""
    import duckdb

    with duckdb.connect(str(folder / "index.duckdb"), read_only=True) as index:
        return {
            table: plain(index.execute(f"FROM {table} ORDER BY {order}").fetchall()) for table, order in TABLES.items()
        }


def plain(rows: list[Any]) -> list[list[str]]:
    """Numbers with all of their digits; times without the name of their zone."""
    return [[repr(float(v)) if isinstance(v, int | float) else str(v) for v in row] for row in rows]


class Lake:
    """DuckLake: its catalogue in PostgreSQL, and its data in a folder."""

    def __init__(self, folder: Path, address: str) -> None:
        text = read_listing("ATTACH 'ducklake:").replace("/shared/", f"{folder}/")
        attach, self.step = text.split("\n", 1)
        self.attach = re.sub("postgres:[^']*", f"postgres:{address}", attach)

    def run(self, sql: str) -> list[Any]:
        ran = subprocess.run(
            [LAKE_PYTHON, ROOT / "tests/catalogue/run_sql.py"], input=sql, capture_output=True, text=True
        )
        if ran.returncode:
            raise SystemExit(f"DuckLake: {ran.stderr[-2000:]}")
        return json.loads(ran.stdout)

    def add(self) -> None:
        self.run(f"{self.attach}\n{self.step}\nSELECT 1")

    def read(self) -> Rows:
        return {
            table: plain(self.run(f"{self.attach}\nFROM lake.{table} ORDER BY {order}"))
            for table, order in TABLES.items()
        }


class Postgres:
    """A server that listens on a socket in a folder alone."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.make, self.step = read_listing("psql \"$CATALOGUE\" <<'E'\nCREATE"), read_listing("python - <<'E'")

    def shell(self, text: str) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, capture_output=True, text=True,
            env={**os.environ, "CATALOGUE": self.address, "PATH": path, "PGOPTIONS": "-c client_min_messages=error"},
        )  # fmt: skip
        if ran.returncode or "ERROR" in ran.stderr:
            raise SystemExit(f"PostgreSQL: {ran.stdout[-500:]}\n{ran.stderr[-2000:]}")
        return ran.stdout

    def add(self) -> None:
        self.shell(self.step)

    def read(self) -> Rows:
        found = {}
        for table, order in TABLES.items():
            names = [part.strip() + ' COLLATE "C"' for part in order.split(",")]
            text = self.shell(
                f"""psql -qAt "$CATALOGUE" -c "SET timezone = 'UTC'" -c 'SELECT json_agg(t) FROM (SELECT * FROM {table} ORDER BY {", ".join(names)}) t'"""
            )
            found[table] = plain([list(row.values()) for row in json.loads(text)])
        return found


@contextmanager
def serve_postgres() -> Iterator[str]:
    """Folder of the socket of a new server, without a password: the folder is its owner's alone."""
    programs = [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), *os.environ["PATH"].split(os.pathsep)]
    found = {name: shutil.which(name, path=os.pathsep.join(programs)) for name in ("initdb", "pg_ctl", "psql")}
    if missing := [name for name, path in found.items() if path is None]:
        raise SystemExit(f"No {', '.join(missing)}: install PostgreSQL (Debian: postgresql) to test it.")
    # A server refuses to run as root.
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if user:
            shutil.chown(place, "nobody")
        run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
        subprocess.run([*user, found["initdb"], "-D", "data", "-U", "assay", "-A", "trust", "-E", "UTF8"], **run)
        options = f"-k {place} -c listen_addresses="
        subprocess.run([*user, found["pg_ctl"], "-D", "data", "-w", "-o", options, "-l", "log", "start"], **run)
        try:
            yield str(place)
        finally:
            subprocess.run([*user, found["pg_ctl"], "-D", "data", "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def compare(name: str, catalogue: Lake | Postgres, folder: Path) -> None:
    """A catalogue that was brought up to date has the rows of the index: none is lost, none is there twice."""
    for _ in range(2):
        catalogue.add()
        found, wanted = catalogue.read(), read_index(folder)
        for table in TABLES:
            there, asked = align(found[table]), align(wanted[table])
            assert there == asked, f"{name}, {table}:\n{there[:2]}\n{asked[:2]}"
    print(
        f"{name}: {len(wanted['runs'])} runs and {len(wanted['effects'])} effects equal those of the index, after the step was repeated too"
    )


def align(rows: list[list[str]]) -> list[list[str]]:
    """Times as 19 characters: each database writes the zone in its own way. Rows with an equal key in one order."""
    return sorted(
        [re.sub(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d).*", r"\1 \2", value) for value in row] for row in rows
    )


def read_while_adding(lake: Lake, home: Path, folder: Path) -> None:
    """Readers beside the step see all of a run or nothing of it."""
    query = f"{lake.attach}\nSELECT run_id, n_effects, count(item) FROM lake.runs LEFT JOIN lake.effects USING (run_id) GROUP BY ALL"
    ended = threading.Event()

    def look() -> list[list[Any]]:
        seen = []
        while not ended.is_set():
            seen.append(lake.run(query))
        return seen

    with ThreadPoolExecutor(2) as readers:
        looking = [readers.submit(look) for _ in range(2)]
        try:
            for number in range(10, 16):
                RunLog(home).append(make_run(number))
                publish(home, folder)
                lake.add()
        finally:
            ended.set()
        seen = [rows for one in looking for rows in one.result()]
    assert all(stated == counted for rows in seen for _, stated, counted in rows), seen
    sizes = sorted({len(rows) for rows in seen})
    assert len(sizes) > 2, "the readers saw no run arrive"
    print(
        f"DuckLake: two readers looked {len(seen)} times while runs were added, saw {sizes[0]} to {sizes[-1]} runs, and none without all of its effects"
    )


def main() -> None:
    if not LAKE_PYTHON.is_file():
        raise SystemExit(f"No {LAKE_PYTHON.relative_to(ROOT)}: run `make catalogue-tests`.")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        home, moved = folder / "home", folder / "moved"
        home.mkdir(mode=0o700)
        for record in (DONE, REFUSED, *map(make_run, range(3))):
            RunLog(home).append(record)
        publish(home, folder)
        with serve_postgres() as socket:
            tables, lake = (f"host={socket} dbname={name} user=assay" for name in ("postgres", "lake"))
            postgres = Postgres(folder, tables)
            postgres.shell('psql -q "$CATALOGUE" -c "CREATE DATABASE lake"')
            postgres.shell(postgres.make)
            catalogues = {"DuckLake": Lake(folder, lake), "PostgreSQL": postgres}
            for name, catalogue in catalogues.items():
                compare(name, catalogue, folder)
            read_while_adding(catalogues["DuckLake"], home, folder)
            # The installation moves to another folder, and goes on there.
            back_up(home, folder / "backup.zip", with_private_keys=True)
            restore(folder / "backup.zip", moved)
            RunLog(moved).append(make_run(20))
            publish(moved, folder)
            for name, catalogue in catalogues.items():
                compare(f"{name}, after the installation was moved", catalogue, folder)


if __name__ == "__main__":
    main()
