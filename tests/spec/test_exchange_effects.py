"""Effects as Parquet and CSV: every number comes back, with unit, interval, n and badge; what no estimate can be is refused by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from audit_core import cli
from audit_core.assessment import list_recorded
from audit_core.audits.sweep import Cell, EstimatedEffects, SweepResult
from audit_core.controls import Controls
from audit_core.errors import Refused
from audit_core.exchange.effect_csv import SIDECAR
from audit_core.exchange.effect_files import read_effects, write_effects
from audit_core.exchange.effect_table import COLUMNS, PRIVATE, EffectRow, EffectTable, tabulate_result
from audit_core.packs.pack_documents import PRIVATE_IDENTITY
from audit_core.stats.estimates import Estimate
from audit_core.store import RunLog

ROW = EffectRow("L1.H0", "cells.estimate", 0.1 + 0.2, -1e-17, 3.0, 0.95, 40, 8, "logits", "causal", 0.02)
AWKWARD = (
    ROW, replace(ROW, low=None, high=None, level=None, templates=None, adjusted_p=None, value=-5.0),
    replace(ROW, item="=1+1", unit='a "unit", with\r\nlines', quantity="'quoted"), replace(ROW, item="", badge="estimated", value=1e-300),
    replace(ROW, item="@x", unit="∂ logits – ü", value=2.0**60),
)  # fmt: skip
TABLE = EffectTable(AWKWARD, json.dumps({"format": "assay effects 1", "audit": "sweep", "run_id": "ab"}))


def make_sweep() -> SweepResult:
    def say(value: float, unit: str = "logits") -> Estimate:
        return Estimate(value, value - 1, value + 1, 40, unit, 0.95, 8)

    cells = (Cell("L0.H0", say(0.5), say(0.1, "fraction"), 0.04), Cell("L0.H1", say(-2), None, None))
    estimated = EstimatedEffects("atp", "misses", True, (say(0.4), say(-1.5)))
    return SweepResult(
        kind="head", replacement="resample", direction="noising", metric="logit_difference", unit="logits", n=40, n_templates=8,
        clean=say(3), corrupted=say(-3), accuracy=1.0, cells=cells, per_prompt=((0.5,) * 40, (-2.0,) * 40), layers=(say(-1.5),),
        no_fraction="", no_marks="", screened=estimated, controls=Controls(1e-6, 1.0, 1e-4, 80),
    )  # fmt: skip


def write(table: EffectTable, name: str) -> tuple[bytes, bytes]:
    files = write_effects(table, name)
    return files[name], files.get(name + SIDECAR, b"")


@pytest.mark.parametrize("name", ["e.parquet", "e.csv"])
def test_every_number_comes_back(name: str) -> None:
    assert read_effects(*write(TABLE, name), name=name) == TABLE
    assert write(TABLE, name) == write(TABLE, name)


@pytest.mark.parametrize("name", ["e.parquet", "e.csv"])
def test_real_results_come_back(name: str) -> None:
    """Every recorded answer of the default model: interval, unit and badge of each estimate are ones that a reader accepts."""
    seen = set()
    for record in list_recorded():
        for answer in record.list_current():
            if answer.audit not in seen and answer.audit != "stability":
                table = tabulate_result(answer.read(), {"audit": answer.audit})
                assert read_effects(*write(table, name), name=name) == table, answer.audit
                seen.add(answer.audit)
    assert {"paths", "claim_test", "circuit", "curve"} <= seen


def test_a_sweep_has_a_row_for_each_estimate_with_its_badge() -> None:
    rows = {(row.quantity, row.item): row for row in tabulate_result(make_sweep(), {}).rows}
    assert rows["cells.estimate", "L0.H0"] == EffectRow(
        "L0.H0", "cells.estimate", 0.5, -0.5, 1.5, 0.95, 40, 8, "logits", "causal", 0.04
    )
    assert rows["cells.fraction", "L0.H0"].unit == "fraction"
    assert ("cells.fraction", "L0.H1") not in rows, "not measured is no row, and never a zero"
    assert (rows["screened.support", "L0.H1"].badge, rows["screened.support", "L0.H1"].value) == ("estimated", -1.5)
    assert rows["clean", ""].badge == "observational"
    assert len(rows) == 8


def test_units_meanings_and_origin_are_in_the_schema_of_parquet_and_beside_csv() -> None:
    schema = parquet.read_schema(io.BytesIO(write(TABLE, "e.parquet")[0]))
    assert json.loads(schema.metadata[b"assay"])["audit"] == "sweep"
    assert schema.field("value").metadata[b"unit"] == b"column unit"
    assert all(field.metadata[b"description"] for field in schema)
    raw, beside = write(TABLE, "e.csv")
    found = json.loads(beside)
    assert (found["url"], found["notes"]) == ("e.csv", [{"assay": json.loads(TABLE.about)}])
    assert (
        [column["name"] for column in found["tableSchema"]["columns"]]
        == next(csv.reader(io.StringIO(raw.decode())))
        == list(COLUMNS)
    )


def test_no_cell_of_csv_is_run_by_a_spreadsheet() -> None:
    rows = list(csv.reader(io.StringIO(write(TABLE, "e.csv")[0].decode(), newline="")))
    assert [row[0] for row in rows[1:]] == ["L1.H0", "L1.H0", "'=1+1", "", "'@x"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"value": float("nan")}, "not finite"), ({"value": float("inf")}, "not finite"), ({"high": None}, "without an end"),
        ({"low": 5.0}, "an interval from 5 to 3"), ({"badge": "proven"}, "the badge 'proven'"), ({"n": 0}, "n = 0"), ({"unit": ""}, "no unit"),
        ({"level": 1.5}, "level 1.5"), ({"adjusted_p": -0.1}, "adjusted_p -0.1"), ({"templates": 41}, "41 templates of 40 prompts"),
        ({"item": "x" * 301}, "more than 300 characters"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["e.parquet", "e.csv"])
def test_a_row_that_no_estimate_can_be_is_refused_by_its_number(name: str, changed: dict[str, Any], text: str) -> None:
    table = replace(TABLE, rows=(ROW, replace(ROW, **changed)))
    with pytest.raises(Refused) as caught:
        read_effects(*write(table, name), name=name)
    assert f"{name}, row 2, has" in caught.value.found
    assert text in caught.value.found


def spoil(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert raw.count(old) >= 1
    return raw.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda raw, beside: (spoil(raw, b"0.30000000000000004", b"much"), beside), "line 2 has 'much' as value"),
        (lambda raw, beside: (spoil(raw, b",40,", b",4_0,"), beside), "line 2 has '4_0' as n"),
        (lambda raw, beside: (spoil(raw, b"item,quantity", b"quantity,item"), beside), "other columns"),
        (lambda raw, beside: (spoil(raw, b"logits,causal", b"causal"), beside), "line 2 has 10 cells"),
        (lambda raw, beside: (b"\xff" + raw, beside), "cannot be read"),
        (lambda raw, beside: (spoil(raw, b"L1.H0", b'"L1.H0'), beside), "cannot be read|cells"),
        (lambda raw, beside: (raw, b""), "does not say what the numbers are of"),
        (lambda raw, beside: (raw, spoil(beside, b"assay effects 1", b"assay effects 9")), "does not say"),
        (lambda raw, beside: (raw, b"[" * 999), "does not say"),
    ],
)
def test_a_malformed_csv_is_refused_by_its_line(
    change: Callable[[bytes, bytes], tuple[bytes, bytes]], text: str
) -> None:
    with pytest.raises(Refused, match=text):
        read_effects(*change(*write(TABLE, "e.csv")), name="e.csv")


def test_a_malformed_or_swollen_parquet_is_refused() -> None:
    raw, _ = write(TABLE, "e.parquet")
    found = parquet.read_table(io.BytesIO(raw))
    for table, text in (
        (found.drop_columns(["badge"]), "other columns"), (found.replace_schema_metadata({}), "does not say"),
        (found.set_column(0, found.schema.field("item"), [[*["x" * 100_000] * 5]]), "a text of 100,000 bytes"),
        (found.set_column(6, found.schema.field("n"), [pyarrow.array([None] * 5, pyarrow.int64())]), "an empty cell"),
    ):  # fmt: skip
        stream = io.BytesIO()
        parquet.write_table(table, stream)
        with pytest.raises(Refused, match=text):
            read_effects(stream.getvalue(), name="e.parquet")
    with pytest.raises(Refused, match="cannot be read"):
        read_effects(raw[:200], name="e.parquet")
    with pytest.raises(Refused, match="as a name"):
        write_effects(TABLE, "e.xlsx")


def test_a_run_is_exported_and_read_by_commands(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_home.mkdir(exist_ok=True)
    options = ["--model", "planted-induction", "--prompts", str(tmp_path / "p.jsonl")]
    from toy.planted import make_induction

    from audit_core.prompts.prompt_set import dump_jsonl

    (tmp_path / "p.jsonl").write_text(dump_jsonl(make_induction(6, change="context", n_templates=3).prompts))
    whole, text = str(tmp_path / "e.parquet"), str(tmp_path / "e.csv")
    assert cli.main(["exchange", "effects", "--out", whole]) == 2, "no run yet"
    assert cli.main(["sweep", *options]) == 0
    assert cli.main(["exchange", "effects", "--out", whole]) == 0
    assert cli.main(["exchange", "read-effects", whole, "--out", text]) == 0
    capsys.readouterr()
    assert cli.main(["exchange", "read-effects", text, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (run,) = RunLog(own_home).list_runs()
    assert run.result is not None
    assert found["about"]["run_id"] == run.run_id
    assert not set(PRIVATE) & set(found["about"]["identity"]), "nothing that names this machine or a single text"
    cells = json.loads(run.result)["cells"]
    rows = read_effects(Path(text).read_bytes(), Path(text + SIDECAR).read_bytes(), name="e.csv").rows
    assert [row.value for row in rows if row.quantity == "cells.estimate"] == [
        cell["estimate"]["value"] for cell in cells
    ]
    assert cli.main(["exchange", "effects", "nothing", "--out", whole]) == 2
    assert cli.main(["exchange", "read-effects", str(tmp_path / "none.csv")]) == 2


def test_what_stays_private_in_packs_stays_private_here() -> None:
    assert PRIVATE == PRIVATE_IDENTITY
