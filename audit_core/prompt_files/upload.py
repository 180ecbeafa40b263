"""A folder of the `datasets` library as a browser sends it, file by file: one split of it as JSON Lines."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from audit_core.errors import PromptRefused
from audit_core.prompt_files.folder import read_folder
from audit_core.prompt_files.forms import check_size
from audit_core.prompt_files.table import Table

MAX_FILES, _MAX_PARTS = 400, 6
_PART = re.compile(r"[\w][\w .+-]{0,199}")
_SPLITS = "dataset_dict.json"


def place_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files by their paths in the folder, without the folder that contains all of them.

    Raises:
        PromptRefused: no file, too many or too large, or a path that does not stay in the folder.
    """
    if not 0 < len(files) <= MAX_FILES:
        raise PromptRefused(
            f"{len(files):,} files.", wanted=f"1 to {MAX_FILES}.", remedy="choose the folder of one split."
        )
    check_size(sum(map(len, files.values())), "the folder")
    kept = {}
    for name, raw in files.items():
        parts = PurePosixPath(name).parts
        if any(part.startswith(".") and part != ".." for part in parts):
            continue
        if (
            not 0 < len(parts) <= _MAX_PARTS
            or "\\" in name
            or not all(_PART.fullmatch(part) and ".." not in part for part in parts)
        ):
            raise PromptRefused(
                f"A file named {name[:80]!a}.", wanted="plain names in folders of one data set.", remedy="rename it."
            )
        kept[parts] = raw
    while kept and len({parts[0] for parts in kept}) == 1 and all(len(parts) > 1 for parts in kept):
        kept = {parts[1:]: raw for parts, raw in kept.items()}
    return {"/".join(parts): raw for parts, raw in kept.items()}


def list_splits(placed: Mapping[str, bytes]) -> tuple[str, ...]:
    """Names of the splits of a saved `DatasetDict`; empty for one data set."""
    try:
        found = json.loads(placed.get(_SPLITS, b"null"))
    except (ValueError, RecursionError):
        return ()
    names = found.get("splits") if isinstance(found, dict) else None
    known = {name.split("/")[0] for name in placed if "/" in name}
    return tuple(name for name in names if isinstance(name, str) and name in known) if isinstance(names, list) else ()


def flatten_folder(placed: Mapping[str, bytes], *, split: str = "") -> bytes:
    """One split as JSON Lines with the folder's own columns, for the reader of files.

    Args:
        placed: see `place_files`.
        split: one of `list_splits`; empty for the whole folder.

    Raises:
        PromptRefused: as for a folder on the command line; a row that cannot be read is named.
    """
    start = f"{split}/" if split else ""
    chosen = {name.removeprefix(start): raw for name, raw in placed.items() if name.startswith(start)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        folder.mkdir()
        try:
            for path, raw in chosen.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(raw)
        except OSError as error:
            raise PromptRefused(
                f"A folder that cannot be one: {error.strerror}.", wanted="each name once.", remedy="rename the files."
            ) from error
        table = read_folder(folder)
    _refuse_faults(table)
    return "".join(json.dumps(dict(row.values)) + "\n" for row in table.rows).encode()


def _refuse_faults(table: Table) -> None:
    if table.faults:
        raise PromptRefused(
            f"Read as {table.form}: {'; '.join(map(str, table.faults[:5]))}.", wanted="rows that can be read.",
            remedy="fix or remove these rows.",
        )  # fmt: skip
