"""Detect the format of a file from its bytes, independent of its name."""

from __future__ import annotations

import codecs

from audit_core.errors import PromptRefused
from audit_core.prompt_files.columnar import is_columnar, read_columnar
from audit_core.prompt_files.delimited import read_delimited
from audit_core.prompt_files.json_rows import read_json
from audit_core.prompt_files.table import MAX_FILE_BYTES, Table

ACCEPTED = "CSV, TSV, a JSON array of objects, JSON Lines (one object a line), Parquet, Arrow or a datasets folder."
_OTHERS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "export the sheet as CSV, or unpack the archive"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it"),
    (b"BZh", "compressed with bzip2", "unpack it"),
    (b"%PDF", "a PDF", "export the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "export the sheet as CSV"),
    (b"SQLite format 3", "a SQLite database", "export the table as CSV"),
    (b"\x93NUMPY", "a NumPy array", "write the rows as JSON Lines"),
    (b"\x80", "a Python pickle, which is never opened", "write the rows as JSON Lines"),
    (b"version https:", "a pointer to a file in Git LFS, not the file", "fetch it with git lfs pull"),
)
_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


def read_table(raw: bytes, name: str) -> Table:
    """Read rows from bytes in any supported format.

    Raises:
        PromptRefused: too large, an unsupported format, or broken; the message names the format.
    """
    check_size(len(raw), name)
    if is_columnar(raw):
        return read_columnar(raw, name)
    text = _decode(raw, name)
    if not text.strip():
        return Table("an empty file", (), ())
    return read_json(text, name) if text.lstrip()[0] in "[{" else read_delimited(text, name)


def check_size(size: int, name: str) -> None:
    """Reject more bytes than the limit.

    Raises:
        PromptRefused: too large.
    """
    if size > MAX_FILE_BYTES:
        raise PromptRefused(
            f"{name} has more than {MAX_FILE_BYTES:,} bytes.", wanted="fewer.", remedy="split the file."
        )


def _decode(raw: bytes, name: str) -> str:
    for mark, what, remedy in _OTHERS:
        if raw.startswith(mark):
            raise PromptRefused(f"{name} is {what}.", wanted=ACCEPTED, remedy=remedy + ".")
    wide = next((form for mark, form in _WIDE if raw.startswith(mark)), "")
    if wide:
        raise PromptRefused(f"{name} is {wide}, not UTF-8.", wanted="UTF-8 text.", remedy="save the file as UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptRefused(
            f"{name} is not UTF-8 at byte {error.start}.", wanted="UTF-8 text.", remedy="save the file as UTF-8."
        ) from error
    if (at := text.find("\0")) >= 0:
        raise PromptRefused(
            f"{name} contains a NUL character (at character {at}): it is binary, or UTF-16 without a byte-order mark.",
            wanted=ACCEPTED,
            remedy="save the file as UTF-8 text.",
        )
    return text
