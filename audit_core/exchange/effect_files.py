"""Effect tables as files: Parquet, or CSV with a file of metadata beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from audit_core.errors import Refused
from audit_core.exchange.effect_csv import SIDECAR, read_csv, write_csv, write_sidecar
from audit_core.exchange.effect_parquet import MAGIC, read_parquet, write_parquet
from audit_core.exchange.effect_table import EffectTable

MAX_EFFECT_BYTES = 128 << 20
ENDINGS = (".parquet", ".csv")


def write_effects(table: EffectTable, name: str) -> Mapping[str, bytes]:
    """The files of a table by their names; the ending of `name` chooses the form.

    Raises:
        Refused: another ending.
    """
    if name.endswith(ENDINGS[0]):
        return {name: write_parquet(table)}
    if name.endswith(ENDINGS[1]):
        return {name: write_csv(table), name + SIDECAR: write_sidecar(table, name)}
    raise Refused(
        f"{name[-60:]!a} as a name.", wanted=f"a name that ends in {' or '.join(ENDINGS)}.", remedy="rename it."
    )


def read_effects(raw: bytes, sidecar: bytes = b"", *, name: str) -> EffectTable:
    """Read a table in either form, and check every row.

    Args:
        sidecar: of a CSV file, the bytes of the file beside it.

    Raises:
        Refused: too large, malformed, or a row that no estimate can have; names the row.
    """
    if max(len(raw), len(sidecar)) > MAX_EFFECT_BYTES:
        raise Refused(f"{name} has more than {MAX_EFFECT_BYTES:,} bytes.", wanted="fewer.", remedy="split it.")
    is_parquet = raw.startswith(MAGIC)
    table = read_parquet(raw, name=name) if is_parquet else read_csv(raw, sidecar, name=name)
    for at, row in enumerate(table.rows, start=1):
        if fault := row.find_fault():
            raise Refused(f"{name}, row {at}, has {fault}.", wanted="an estimate.", remedy="export the run again.")
    return table


def name_beside(path: Path) -> Path:
    """The file of metadata beside a CSV file."""
    return path.with_name(path.name + SIDECAR)
