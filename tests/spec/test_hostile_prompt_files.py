"""Prompt files made to take forever, to fill the memory or to be misread are refused at once, with the form that was found."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import ipc

from audit_core.errors import PromptRefused
from audit_core.prompt_files.reading import read_rows
from audit_core.prompt_files.table import MAX_COLUMNS, MAX_FILE_BYTES
from audit_core.prompts.prompt_set import load_prompts, parse_prompts

HEADER = "clean,corrupted,answer,foil\n"
GOOD = HEADER + "a,b, x, y\n"
ROW = {"clean": "a", "corrupted": "b", "answer": " x", "foil": " y"}


@contextmanager
def within_seconds() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < 5.0


def parquet(table: pyarrow.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, **options)
    return out.getvalue()


def arrow(table: pyarrow.Table, codec: str | None = None) -> bytes:
    out = io.BytesIO()
    with ipc.new_stream(out, table.schema, options=ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return out.getvalue()


def rows(number: int, **more: object) -> pyarrow.Table:
    return pyarrow.Table.from_pylist([ROW | more] * number)


REFUSED = {
    "a million columns in CSV": ("," * 1_000_000, "1,000,001 columns"),
    "a million columns in TSV": ("a\t" * 1_000_000, "1,000,001 columns"),
    "as many columns as there is room for in JSON": (json.dumps({f"c{n}": 1 for n in range(200_000)}), "200,000 columns"),
    "one column too many in Parquet": (parquet(pyarrow.table({f"c{n}": ["a"] for n in range(MAX_COLUMNS + 1)})), "201 columns"),
    "one column too many in Arrow": (arrow(pyarrow.table({f"c{n}": ["a"] for n in range(MAX_COLUMNS + 1)})), "201 columns"),
    "a cell of 10 MB": (GOOD + "a" * 10_000_000 + ",b, x, y\n", "more than 4,000,000 bytes"),
    "a cell that fills the file": (HEADER + "a" * (MAX_FILE_BYTES - 100) + ",b, x, y\n", "field larger than field limit"),
    "a column name that fills the file": ("a" * (MAX_FILE_BYTES - 100) + ",b\n", "neither JSON nor a table"),
    "a million rows of CSV": (HEADER + "a,b\n" * 900_000, "More than 2,000"),
    "a million items": ("[" + "{}," * 1_000_000 + "{}]", "More than 2,000"),
    "2,001 rows of Parquet": (parquet(rows(2001)), "More than 2,000"),
    "2,001 rows of Arrow": (arrow(rows(2001)), "More than 2,000"),
    "arrays in arrays": ("[" * 1_000_000, "nested too deep"),
    "objects in objects": ('{"a":' * 500_000, "nested too deep"),
    "arrays in a cell": (json.dumps(ROW | {"answer": [[[" x"]]]}), "answer is not a list of"),
    "arrays in a cell of CSV": (HEADER + f'a,b,"{"[" * 3000}",y\n' + f"a,b,{'[' * 17000},y\n", "answer is not text of 1 to"),
    "too many answers": (json.dumps(ROW | {"answer": [f" {n}" for n in range(201)]}), "answer is not a list of 1 to 200"),
    "a NUL in CSV": (GOOD + "a\0,b, x, y\n", "NUL character"),
    "a NUL in JSON Lines": (json.dumps(ROW) + "\n\0\n", "NUL character"),
    "NULs alone": ("\0" * 100_000, "NUL character"),
    "UTF-16 with a mark": (GOOD.encode("utf-16"), "is UTF-16, not UTF-8"),
    "UTF-16 without a byte-order mark": (GOOD.encode("utf-16-le"), "NUL character"),
    "UTF-32": (GOOD.encode("utf-32"), "is UTF-32, not UTF-8"),
    "Latin-1": (GOOD.encode() + "é,b, x, y\n".encode("latin-1"), "not UTF-8 at byte"),
    "bars between cells": (GOOD.replace(",", "|"), "has no column clean, corrupted, answer, foil. Its columns (line 1): 'clean|corrupted|answer|foil'"),
    "spaces between cells": ("clean corrupted answer foil\na b x y\n", "has no column clean"),
    "a header twice": ("clean,corrupted,answer,answer,foil\na,b, x, z, y\n", "has no column answer"),
    "a header three times in other forms": ("clean;clean;clean;corrupted;answer;foil\na;b;c;d;e;f\n", "has no column clean"),
    "a column twice in Arrow": (
        arrow(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["clean", "clean"])), "Two columns with the same name",
    ),
    "an open quotation mark": (GOOD + '"a,b, x, y\n' * 50, "line 3: not CSV"),
    "one cell too few": (GOOD + "a,b, x\n", "line 3: 3 cells for 4 column names"),
    "one cell too many": (GOOD + "a,b, x, y,\n", "line 3: 5 cells for 4 column names"),
    "no header": ("a,b, x, y\nc,d, z, w\n", "Its columns (line 1): 'a', 'b', 'x', 'y'"),
    "a workbook": (b"PK\x03\x04" + b"0" * 100, "zip archive or an Excel workbook"),
    "gzip": (b"\x1f\x8b" + b"0" * 100, "compressed with gzip"),
    "a pickle": (b"\x80\x04\x95" + b"0" * 100, "pickle"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "compressed Arrow": (arrow(rows(2), "zstd"), "Compressed Arrow"),
    "zeros that unpack to 400 MB in Arrow": (arrow(rows(1, source="0" * 3_000_000), "lz4"), "Compressed Arrow"),
    "half a Parquet file": (parquet(rows(9))[:-30], "begins like Parquet but cannot be read"),
    "half an Arrow file": (arrow(rows(9))[:-300], "begins like Arrow but cannot be read"),
    "Parquet's first bytes alone": (b"PAR1" * 50_000, "begins like Parquet but cannot be read"),
    "Arrow's first bytes alone": (b"\xff\xff\xff\xff" + b"\xff\xff\xff\x7f" * 1000, "begins like Arrow but cannot be read"),
    "70 MB in 3 kB of Parquet": (parquet(rows(70, source="0" * 1_000_000), use_dictionary=False, compression="zstd"), "bytes when unpacked"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_hostile_file_is_refused_at_once_with_what_was_found(kind: str) -> None:
    raw, says = REFUSED[kind]
    data = raw if isinstance(raw, bytes) else raw.encode()
    with within_seconds(), pytest.raises(PromptRefused) as caught:
        parse_prompts(data, name="hostile")
    assert says in str(caught.value)
    assert caught.value.remedy


LONG = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 2000, pyarrow.int32()), pyarrow.array(["0" * 900_000]))
LISTS = pyarrow.ListArray.from_arrays(pyarrow.array(range(0, 2001), pyarrow.int32()), LONG)


@pytest.mark.parametrize("column", [LONG, LISTS], ids=["texts", "lists of texts"])
@pytest.mark.parametrize("dump", [parquet, arrow], ids=["Parquet", "Arrow"])
def test_one_long_text_that_a_dictionary_gives_to_2000_rows_is_refused_before_it_is_copied(
    column: Any, dump: Any
) -> None:
    """2,000 copies of 900 kB would be 1.8 GB."""
    raw = dump(pyarrow.table({"clean": column}))
    assert len(raw) < MAX_FILE_BYTES
    with within_seconds(), pytest.raises(PromptRefused, match="bytes when unpacked"):
        parse_prompts(raw, name="hostile")


def test_offsets_that_point_outside_are_refused() -> None:
    """The end of the first text, made negative: unchecked it would be read as an address."""
    raw = bytearray(arrow(pyarrow.table({key: [value] for key, value in ROW.items()})))
    at = raw.rfind(b"\x00\x00\x00\x00\x01\x00\x00\x00")
    raw[at + 4 : at + 8] = b"\xff\xff\xff\x7f"
    with pytest.raises(PromptRefused, match="begins like Arrow but cannot be read"):
        parse_prompts(bytes(raw), name="hostile")


@pytest.mark.parametrize("kind", ["Parquet", "Arrow"])
def test_a_file_with_any_byte_changed_is_read_or_refused(kind: str) -> None:
    whole = parquet(rows(3)) if kind == "Parquet" else arrow(rows(3))
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        raw = bytearray(whole)
        raw[at] ^= 0xFF
        with suppress(PromptRefused):
            assert read_rows(bytes(raw), name="changed").n_rows <= 3


@pytest.mark.parametrize(
    "state", ["[1]", "{", '{"_data_files": 5}', '{"_data_files": []}', "[" * 100_000, '{"_data_files": ["a"]}']
)
def test_a_broken_saved_folder_is_refused(state: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(PromptRefused):
        load_prompts(tmp_path)


def test_a_folder_of_many_files_is_refused_before_they_are_read(tmp_path: Path) -> None:
    for number in range(201):
        (tmp_path / f"train-{number:05d}-of-00201.jsonl").write_text("x")
    with pytest.raises(PromptRefused, match="more than 200 files"):
        load_prompts(tmp_path)


def test_a_dict_of_splits_that_names_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": [".."]}')
    with pytest.raises(PromptRefused, match="names"):
        load_prompts(tmp_path)
