"""Parts in DuckLake and PostgreSQL by the listings of docs/how-to.md, against the index: `make catalogue-tests`.

Prints what held, and ends with an error at the first thing that does not. A program and not a pytest module: it needs a server and
another DuckDB than that of Assay.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from catalogue.databases import (
    LAKE_PYTHON,
    ROOT,
    TABLES,
    Lake,
    Postgres,
    Rows,
    Session,
    Wrong,
    read_listing,
    run_shell,
    serve_postgres,
)
from spec.test_parts import DONE

from audit_core.store import RunLog

CAMPAIGN = """
name = "catalogue"
models = ["planted-strict"]
prompts = ["planted-query"]
threads = 1
prompts_per_run = 24

[[audits]]
name = "sweep"
answers = { kind = "KIND", replacement = "zero" }

[[audits]]
name = "sweep"
answers = { kind = "expert", replacement = "zero" }
"""
"""Its second question is refused: the model has no experts."""
_COMMENT = "COMMENT ON TABLE lake.runs IS 'One step at a time.';\n"


class Installations:
    """Two data directories, which publish into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.recorded, self.own, self.moved = (
            folder, folder / "recorded", folder / "own", folder / "moved"
        )  # fmt: skip
        for home in (self.recorded, self.own, self.moved):
            home.mkdir(mode=0o700)

    def call(self, home: Path, words: str) -> str:
        return run_shell(f"python -m audit_core {words}", self.folder, AUDIT_HOME=str(home))

    def publish(self, home: Path) -> dict[str, int]:
        """Publish by the command, and build the index from all parts."""
        found: dict[str, int] = json.loads(self.call(home, "exchange publish parts --json"))
        self.call(home, "exchange index parts --out index.duckdb")
        return found

    def measure(self, home: Path, kind: str) -> None:
        (self.folder / "campaign.toml").write_text(CAMPAIGN.replace("KIND", kind), encoding="utf-8")
        # Its exit code says that a question was refused, which is meant.
        with suppress(Wrong):
            self.call(home, "campaign run campaign.toml")

    def list_runs(self, home: Path) -> set[str]:
        return {json.loads(line)["run_id"] for line in self.call(home, "log export").splitlines()}

    def read_index(self) -> Rows:
        """Every row of the index, which is made from the parts alone."""
        with duckdb.connect(str(self.folder / "index.duckdb"), read_only=True) as index:
            return {table: index.execute(f"FROM {table}").fetchall() for table in TABLES}


def check(name: str, is_met: bool, found: object = "") -> None:
    """Print one line, and end the program where it is not met."""
    print(f"{'ok    ' if is_met else 'FAILED'}  {name}{f': {found}' if found != '' else ''}", flush=True)
    if not is_met:
        raise SystemExit(1)


def count_rows(rows: Rows) -> dict[str, Counter[tuple[Any, ...]]]:
    """Rows in no order, each as often as it is there; a start as an instant, which each database writes in its own way."""
    runs = [(row[0], datetime.fromisoformat(row[1]), *row[2:]) for row in rows["runs"]]
    return {"runs": Counter(runs), "effects": Counter(rows["effects"])}


def is_equal(catalogue: Lake | Postgres, installations: Installations) -> bool:
    return count_rows(catalogue.read()) == count_rows(installations.read_index())


def compare(when: str, catalogues: list[Lake | Postgres], installations: Installations) -> None:
    """A catalogue that was brought up to date has the rows of the index, after the step was repeated too."""
    wanted = {table: len(rows) for table, rows in installations.read_index().items()}
    for catalogue in catalogues:
        for _ in range(2):
            catalogue.add()
            if not is_equal(catalogue, installations):
                check(f"{catalogue.name} {when}", False, catalogue.read())
        check(
            f"{catalogue.name} {when}: every row and number is that of the index, after a second step too", True, wanted
        )


def read_while_adding(lake: Lake, installations: Installations) -> None:
    """Readers beside the step see all of a run or nothing of it."""
    query = "SELECT run_id, n_effects, count(item) FROM lake.runs LEFT JOIN lake.effects USING (run_id) GROUP BY ALL"
    ended, home = threading.Event(), installations.own

    def look() -> list[list[tuple[Any, ...]]]:
        seen = []
        with lake.open() as session:
            while not ended.is_set():
                seen.append(session.run(query))
                time.sleep(0.05)
        return seen

    with ThreadPoolExecutor(2) as readers:
        looking = [readers.submit(look) for _ in range(2)]
        try:
            for number in range(4):
                started = f"2026-11-03T10:0{number}:00.000+00:00"
                RunLog(home).append(replace(DONE, run_id=f"b{number}", started_at=started, wall_s=0.1 * number))
                installations.publish(home)
                lake.add()
        finally:
            ended.set()
        seen = [rows for one in looking for rows in one.result()]
    sizes = sorted({len(rows) for rows in seen})
    whole = all(stated == counted for rows in seen for _, stated, counted in rows)
    check(f"two readers looked {len(seen)} times while runs were added, and saw every run whole", whole)
    check("they saw runs arrive", len(sizes) > 2, f"{sizes[0]} to {sizes[-1]} runs")


def add_at_once(lake: Lake, installations: Installations) -> None:
    """Two steps that both begin before either ends; without the comment, as the control, each adds every run."""
    lake.ask(lake.make)
    for step, ends in ((lake.step.replace(_COMMENT, ""), "ended"), (lake.step, "was refused")):
        assert (_COMMENT in step) == (ends == "was refused")
        lake.ask("DELETE FROM lake.effects; DELETE FROM lake.runs;")
        with lake.open() as first, lake.open() as second:
            for session in (first, second):
                session.run(step)
            first.run("COMMIT")
            said = "ended"
            try:
                second.run("COMMIT")
            except Wrong as error:
                said = f"was refused {'with a conflict' if 'Transaction conflict' in str(error) else error}"
            check(f"of two steps at once {'with' if _COMMENT in step else 'without'} the comment, the later one", said.startswith(ends), said)  # fmt: skip
        is_double = all(n == 2 for rows in count_rows(lake.read()).values() for n in rows.values())
        if _COMMENT not in step:
            check("and each run is there twice, which is what the comment prevents", is_double)
            check("and the next step is refused, as the counts disagree", "disagree" in refusal(lake))
    lake.add()
    check("after the refused step was repeated, each run is there once", is_equal(lake, installations))


def refusal(catalogue: Lake | Postgres) -> str:
    """What the step was refused with; empty if it ended."""
    try:
        catalogue.add()
    except Wrong as error:
        return str(error)
    return ""


def add_in_threads(postgres: Postgres, installations: Installations) -> None:
    postgres.make()
    folders = [installations.folder / f"reader{number}" for number in range(4)]
    for folder in folders:
        folder.mkdir()
        shutil.copy(installations.folder / "index.duckdb", folder)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: Postgres(folder, postgres.address).add(), folders))
    check("four steps at once into empty tables of PostgreSQL: each run once", is_equal(postgres, installations))


def spoil(catalogue: Lake | Postgres, table: str) -> None:
    """Other numbers in the catalogue than in the part are an error, and not a run that is known already."""
    catalogue.ask(f"UPDATE {table}effects SET value = value + 0.001 WHERE run_id = (SELECT min(run_id) FROM {table}runs WHERE n_effects > 0);")  # fmt: skip
    before = count_rows(catalogue.read())
    check(f"{catalogue.name}: a step over other numbers is refused", "disagree about" in refusal(catalogue))
    check("and changes nothing", count_rows(catalogue.read()) == before)


def miss_a_part(lake: Lake, installations: Installations) -> None:
    """A run whose effects are not in the folder is no run without effects."""
    ran = next(row[0] for row in installations.read_index()["runs"] if row[-1])
    part, away = installations.folder / f"parts/effects/run_id={ran}", installations.folder / "away"
    part.rename(away)
    said = refusal(lake)
    away.rename(part)
    check("DuckLake: a run without its part of effects is refused", f"disagree about run {ran}" in said)
    check("and no run of that step is there", lake.ask("FROM lake.runs") == [])
    lake.add()
    check("with the part there again, the step ends", is_equal(lake, installations))


def register_files(folder: Path) -> None:
    """Why the listing copies rows: registered files come twice, and belong to DuckLake. And why its catalogue is no file."""
    parts = shutil.copytree(folder / "parts", folder / "given")
    files = f"'{parts}/effects/*/*.parquet'"
    attach = f"ATTACH 'ducklake:{folder}/file.ducklake' AS lake (DATA_PATH '{folder}/file')"
    with Session(attach) as lake:
        lake.run(f"CREATE TABLE lake.effects AS FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'run_id': VARCHAR}}) LIMIT 0")  # fmt: skip
        counts = []
        for _ in range(2):
            lake.run(f"CALL ducklake_add_data_files('lake', 'effects', {files}, hive_partitioning => true)")
            counts.append(lake.run("SELECT count(*) FROM lake.effects")[0][0])
        check("files that are registered twice have their rows twice", counts[1] == 2 * counts[0] > 0, counts)
        try:
            with Session(attach):
                said = ""
        except Wrong as error:
            said = str(error)
        check("a catalogue in a file is refused to a second process", "lock" in said)
        before = len(list(parts.glob("effects/*/*.parquet")))
        lake.run("CALL ducklake_merge_adjacent_files('lake', 'effects')")
        # Rows of this function have times with a zone, which need one more package to be read.
        lake.run("CREATE TEMP TABLE expired AS FROM ducklake_expire_snapshots('lake', older_than => now())")
        lake.run("CREATE TEMP TABLE cleaned AS FROM ducklake_cleanup_old_files('lake', cleanup_all => true)")
        left = len(list(parts.glob("effects/*/*.parquet")))
        check("merging and cleaning up deletes registered files", left < before, f"{before} files, then {left}")


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def move(installations: Installations) -> None:
    """By the listing of the page: the first line where the installation was, the others where it goes on."""
    first, *others = read_listing("python -m audit_core home backup", installations.folder).split("\n")
    RunLog(installations.own).append(replace(DONE, run_id="unpublished"))
    known, before = installations.list_runs(installations.own), read_files(installations.folder / "parts")
    run_shell(first, installations.folder, AUDIT_HOME=str(installations.own))
    for line in others:
        run_shell(line, installations.folder, AUDIT_HOME=str(installations.moved))
    after = read_files(installations.folder / "parts")
    added = sorted({Path(name).stem for name in set(after) - set(before) if name.startswith("runs/")})
    check(
        "moved by backup and restore, an installation adds what it had not published", added == ["unpublished"], added
    )
    check(
        "and the parts that were there are equal byte for byte", before.items() <= after.items(), f"{len(before)} files"
    )
    check("its run ids are those from before", installations.list_runs(installations.moved) == known, len(known))
    installations.measure(installations.moved, "mlp")
    found = installations.publish(installations.moved)
    check("it goes on there", found["new"] > 0, found)


def main() -> None:
    if not LAKE_PYTHON.is_file():
        raise SystemExit(f"No {LAKE_PYTHON.relative_to(ROOT)}: run `make catalogue-tests`.")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as made, serve_postgres() as socket:
        folder = Path(made)
        installations = Installations(folder)
        names = ("tables", "tables2", "lake", "lake2", "lake3")
        addresses = {name: f"dbname={name} host={socket} user=assay" for name in (*names, "postgres")}
        server = Postgres(folder, addresses["postgres"])
        for name in names:
            server.ask(f"CREATE DATABASE {name};")
        lake, postgres = Lake(folder, addresses["lake"]), Postgres(folder, addresses["tables"])
        version = server.ask("SHOW server_version;").split()[0]
        print(f"DuckLake of DuckDB {lake.ask('SELECT version()')[0][0]}, PostgreSQL {version}")
        catalogues: list[Lake | Postgres] = [lake, postgres]
        postgres.make()

        installations.call(installations.recorded, f"home restore '{ROOT}/data/sample/sample-home.zip'")
        installations.publish(installations.recorded)
        compare("has an existing installation", catalogues, installations)
        installations.measure(installations.own, "head")
        found = installations.publish(installations.own)
        check("a campaign of another installation is added, a refused question too", (found["new"], found["without_effects"]) == (3, 1), found)  # fmt: skip
        compare("has both installations", catalogues, installations)
        read_while_adding(lake, installations)
        add_at_once(Lake(folder, addresses["lake2"], "lake2"), installations)
        add_in_threads(Postgres(folder, addresses["tables2"]), installations)
        miss_a_part(Lake(folder, addresses["lake3"], "lake3"), installations)
        spoil(Lake(folder, addresses["lake3"], "lake3"), "lake.")
        spoil(Postgres(folder, addresses["tables2"]), "")
        register_files(folder)
        move(installations)
        compare("after the move", catalogues, installations)
    print(f"All as expected, in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
