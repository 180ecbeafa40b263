"""Folders in the format of the Hugging Face `datasets` library or the hub: one split, read as one table."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit_core.errors import PromptRefused
from audit_core.prompt_files.forms import check_size, read_table
from audit_core.prompt_files.table import MAX_FILE_BYTES, MAX_PROMPTS, Row, Table, refuse_rows

_ENDINGS = (".arrow", ".parquet", ".jsonl", ".json", ".csv", ".tsv")
_ABOUT = frozenset({"dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json"})
_MAX_FILES = 200
_SHARD = re.compile(r"(.*?)-\d{5}-of-\d{5}")


def read_folder(folder: Path) -> Table:
    """Read the files of a folder in the order of their names.

    Raises:
        PromptRefused: no data, several splits or formats, or too many bytes.
    """
    files = _list_saved(folder)
    if files is None:
        files = _list_plain(folder)
    tables: list[Table] = []
    left = MAX_FILE_BYTES
    for path in files:
        raw = read_bounded(path)
        left -= len(raw)
        check_size(MAX_FILE_BYTES - left, folder.name)
        tables.append(read_table(raw, path.name))
    return _join(tables)


def read_bounded(path: Path) -> bytes:
    """Return a file's bytes, truncated to one more than the limit."""
    with path.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def _join(tables: Sequence[Table]) -> Table:
    rows: list[Row] = []
    for at, table in enumerate(tables, start=1):
        place = f"file {at}, " if len(tables) > 1 else ""
        rows += [replace(row, number=len(rows) + n, place=place + row.place) for n, row in enumerate(table.rows, 1)]
    if len(rows) > MAX_PROMPTS:
        raise refuse_rows("a datasets folder")
    return replace(
        tables[0],
        form=f"a datasets folder of {tables[0].form}",
        columns=tuple(dict.fromkeys(name for table in tables for name in table.columns)),
        rows=tuple(rows),
        faults=tuple(fault for table in tables for fault in table.faults),
        notices=tuple(dict.fromkeys(text for table in tables for text in table.notices)),
    )


def _list_saved(folder: Path) -> list[Path] | None:
    """Return the files of a `save_to_disk` folder; None if it is not one."""
    if (folder / "dataset_dict.json").is_file():
        splits = _read_document(folder / "dataset_dict.json").get("splits")
        names = [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []
        if len(names) != 1:
            raise _refuse_splits(folder, names)
        split = folder / _check_name(names[0])
        return _list_saved(split)
    if not (folder / "state.json").is_file():
        return None
    listed = _read_document(folder / "state.json").get("_data_files")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    files = [folder / _check_name(entry.get("filename")) for entry in entries[: _MAX_FILES + 1]]
    absent = [path.name for path in files if not path.is_file()]
    if not files or absent:
        raise PromptRefused(
            f"{folder.name}/state.json names {absent[0][:60] if absent else 'no file'!r}, which does not exist.",
            wanted="a folder written by save_to_disk.",
            remedy="save the data set again.",
        )
    return _check_count(files, folder)


def _check_name(name: object) -> str:
    """Check that a name is a plain file in the folder, because the list is untrusted."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,200}", name) or name.startswith("."):
        raise PromptRefused(
            f"A datasets folder that names {str(name)[:60]!r}.",
            wanted="plain names of files in the folder.",
            remedy="save the data set again.",
        )
    return name


def _read_document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_bounded(path))
    except (ValueError, RecursionError) as error:
        raise PromptRefused(
            f"{path.name} is not JSON ({str(error)[:80]}).",
            wanted="a file written by save_to_disk.",
            remedy="save the data set again.",
        ) from error
    return found if isinstance(found, dict) else {}


def _list_plain(folder: Path) -> list[Path]:
    """Return the data files in the folder or its `data`, of one format and one split."""
    for place in (folder, folder / "data"):
        files = _list_files(place)
        if files:
            break
    else:
        raise PromptRefused(
            f"No file of prompts in the folder {folder.name}.",
            wanted="a folder of the datasets library, or one with Parquet, Arrow, JSON Lines or CSV files.",
            remedy="check the path.",
        )
    splits = list(dict.fromkeys(_name_split(path) for path in files))
    if len(splits) > 1:
        raise _refuse_splits(folder, splits)
    return _check_count(files, folder)


def _list_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(
        path
        for path in place.iterdir()
        if path.suffix in _ENDINGS and path.name not in _ABOUT and not path.name.startswith(".") and path.is_file()
    )


def _name_split(path: Path) -> str:
    """Group shards by split; any other file counts as its own split."""
    found = _SHARD.fullmatch(path.stem)
    return found[1] + path.suffix if found else path.name


def _check_count(files: list[Path], folder: Path) -> list[Path]:
    if len(files) > _MAX_FILES:
        raise PromptRefused(
            f"{folder.name} contains more than {_MAX_FILES} files.", wanted="fewer.", remedy="merge them into one file."
        )
    return files


def _refuse_splits(folder: Path, names: Sequence[str]) -> PromptRefused:
    return PromptRefused(
        f"{folder.name} contains {len(names)} splits or files: {', '.join(repr(name[:40]) for name in names[:12])}.",
        wanted="one.",
        remedy="name one of them, such as --prompts FOLDER/train or --prompts FOLDER/data/train.parquet.",
    )
