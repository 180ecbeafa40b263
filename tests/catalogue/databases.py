"""The two catalogues as a reader of the docs has them: their listings, run by DuckDB 1.5 and by psql on a server of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAKE_PYTHON = ROOT / "build/catalogue/bin/python"
PAGE = ROOT / "docs/how-to.md"
TABLES = ("runs", "effects")
Rows = dict[str, list[tuple[Any, ...]]]


class Wrong(Exception):
    """What a database or a command answered instead of rows."""


def read_listing(first: str, folder: Path) -> str:
    """The one listing of the page whose first line begins so, with the shared folder in this one."""
    section = PAGE.read_text(encoding="utf-8").split("\n### Read runs of several installations\n")[1].split("\n### ")[0]
    listings = [found for found in re.findall(r"\n```\n(.*?)\n```", section, re.S) if found.startswith(first)]
    (listing,) = listings
    return str(listing).replace("/shared/", f"{folder}/")


def run_shell(text: str, folder: Path, **environment: str) -> str:
    """Run a listing with bash, where `python` is that of Assay.

    Raises:
        Wrong: a line of it ended with an error.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    if ran.returncode:
        raise Wrong(f"{ran.stdout[-500:]}\n{ran.stderr[-2000:]}")
    return ran.stdout


class Session:
    """One connection of DuckDB, in a process of its own."""

    def __init__(self, *first: str) -> None:
        self.process = subprocess.Popen(
            [LAKE_PYTHON, ROOT / "tests/catalogue/run_sql.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for sql in first:
            self.run(sql)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the last statement.

        Raises:
            Wrong: DuckDB refused one.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(sql) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "DuckDB ended."}')
        if "error" in answer:
            raise Wrong(answer["error"])
        return [tuple(row) for row in answer["rows"]]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


class Lake:
    """DuckLake: its catalogue in a database of PostgreSQL, and its data in a folder."""

    name = "DuckLake"

    def __init__(self, folder: Path, address: str, data: str = "lake") -> None:
        attach, step = read_listing("ATTACH 'ducklake:", folder).split("\n", 1)
        assert "dbname=lake host=HOST" in attach
        self.attach = attach.replace("dbname=lake host=HOST", address).replace(f"{folder}/lake", f"{folder}/{data}")
        self.make, begin, rest = step.partition("BEGIN;\n")
        self.step, _, end = rest.rpartition("\n")
        assert (begin, end) == ("BEGIN;\n", "COMMIT;")
        self.step = begin + self.step

    def open(self) -> Session:
        return Session(self.attach)

    def add(self) -> None:
        """The listing, as one text."""
        with self.open() as session:
            session.run(f"{self.make}{self.step}\nCOMMIT;")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.open() as session:
            return session.run(sql)

    def read(self) -> Rows:
        return {table: self.ask(f"FROM lake.{table}") for table in TABLES}


class Postgres:
    """Tables of PostgreSQL, by psql."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.step = read_listing("python - <<'E'", folder)

    def make(self) -> None:
        self.shell(read_listing("psql -v ON_ERROR_STOP=1 \"$CATALOGUE\" <<'E'\nCREATE", self.folder))

    def shell(self, text: str) -> str:
        return run_shell(text, self.folder, CATALOGUE=self.address, PGOPTIONS="-c timezone=UTC")

    def add(self) -> None:
        self.shell(self.step)

    def ask(self, sql: str) -> str:
        return self.shell(f"psql -v ON_ERROR_STOP=1 -qAt \"$CATALOGUE\" <<'E'\n{sql}\nE")

    def read(self) -> Rows:
        """As JSON, which has all digits of a number, and keeps an empty text and no value apart."""
        found = {table: json.loads(self.ask(f"SELECT json_agg(t) FROM {table} t;")) for table in TABLES}
        return {table: [tuple(row.values()) for row in rows] for table, rows in found.items()}


@contextmanager
def serve_postgres() -> Iterator[str]:
    """Folder of the socket of a new server, without a password: the folder is its owner's alone."""
    programs = [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), *os.environ["PATH"].split(os.pathsep)]
    found = {name: shutil.which(name, path=os.pathsep.join(programs)) for name in ("initdb", "pg_ctl", "psql")}
    if missing := [name for name, path in found.items() if path is None]:
        raise SystemExit(f"No {', '.join(missing)}: install PostgreSQL (Debian: postgresql) to test it.")
    # A server refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if user:
            shutil.chown(place, "postgres")
        run: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
        subprocess.run([*user, found["initdb"], "-D", "data", "-U", "assay", "-A", "trust", "-E", "UTF8"], **run)
        options = f"-k {place} -c listen_addresses="
        subprocess.run([*user, found["pg_ctl"], "-D", "data", "-w", "-o", options, "-l", "log", "start"], **run)
        try:
            yield str(place)
        finally:
            subprocess.run([*user, found["pg_ctl"], "-D", "data", "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(place, ignore_errors=True)
