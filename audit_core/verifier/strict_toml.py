"""TOML read in bounded time: the library's reader takes the square of a dotted key's length, and recurses."""

from __future__ import annotations

import tomllib
from typing import Any

MAX_TOML_BYTES = 256 << 10
MAX_TOML_DOTS = 32
"""In one line; a key cannot go on in the next."""


def load_toml(data: bytes) -> dict[str, Any]:
    """Parse UTF-8 bytes.

    Raises:
        ValueError: not UTF-8, not TOML, too large, or nested too deeply.
    """
    if len(data) > MAX_TOML_BYTES:
        raise ValueError(f"{len(data):,} bytes of TOML; at most {MAX_TOML_BYTES:,}")
    if any(line.count(b".") > MAX_TOML_DOTS for line in data.split(b"\n")):
        raise ValueError(f"a line with more than {MAX_TOML_DOTS} dots")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
