"""TOML parser with bounded time: the standard library's is quadratic in dotted keys, and recurses."""

from __future__ import annotations

import tomllib
from typing import Any

MAX_TOML_BYTES = 256 << 10
MAX_TOML_DOTS = 32
"""Dots in one line; a key cannot span lines."""


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
