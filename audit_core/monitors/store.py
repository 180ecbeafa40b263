"""A monitor in one file: safetensors, whose header holds the description as JSON; nothing is executed when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.numpy import load, save

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.whole_file import write_whole
from audit_core.monitors.monitor import FORMAT, OF_FORMAT_2, ModelId, Monitor, Recipe, Report
from audit_core.monitors.signals import SIGNALS, SignalKind

MAX_BYTES, MAX_HEADER_BYTES = 64 << 20, 1 << 20
MAX_WIDTH, MAX_CALIBRATION = 8_192, 20_000
_ARRAYS = {
    SignalKind.PROBE: {"weights": 1, "bias": 1}, SignalKind.DISTANCE: {"mean": 1, "precision": 2},
    SignalKind.FEATURE: {"encoder": 1, "decoder": 1, "limits": 1},
}  # fmt: skip
"""Arrays of each signal, with their numbers of axes."""
_FIXED = {"bias": 1, "limits": 3}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class _Header:
    format: int
    recipe: Recipe
    model: ModelId
    report: Report
    texts_sha256: str
    made_at: str
    seen: tuple[str, ...] = ()


_HEADER = TypeAdapter(_Header)


def save_monitor(monitor: Monitor, path: Path) -> None:
    """Write a monitor.

    Raises:
        Refused: the file exists already, or is too large.
    """
    if path.exists():
        raise Refused(f"{path.name[:60]!r} exists.", wanted="a new file.", remedy="choose another name.")
    write_whole(path, dump_monitor(monitor))


def dump_monitor(monitor: Monitor) -> bytes:
    """The bytes of the file.

    Raises:
        Refused: more than 64 MiB.
    """
    arrays = {
        name: np.ascontiguousarray(array, np.float32 if name == "precision" else np.float64)
        for name, array in monitor.arrays.items()
    }
    text = dump_canonical(monitor.describe()).decode()
    raw = save(arrays, metadata={"monitor": text, "sha256": monitor.sha256})
    if len(raw) > MAX_BYTES:
        raise Refused(
            f"{len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,}.", remedy="use a probe instead of a distance."
        )
    return raw


def load_monitor(path: Path) -> Monitor:
    """Read a monitor's file; raises as `parse_monitor`, or Refused where there is none."""
    if not path.is_file() or path.is_symlink():
        raise Refused(f"No file {path.name[:60]!r}.", wanted="the file of a monitor.", remedy="give its path.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise Refused(
            f"{path.name[:60]} has {size:,} bytes.", wanted=f"at most {MAX_BYTES:,}.", remedy="give another file."
        )
    return parse_monitor(path.read_bytes())


def parse_monitor(raw: bytes) -> Monitor:
    """A monitor from the bytes of its file.

    Raises:
        Refused: too large, malformed, or of another format.
        IntegrityError: the contents are not those that its digest names.
    """
    if len(raw) > MAX_BYTES:
        raise Refused(f"{len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,}.", remedy="give another file.")
    described, digest = _read_header(raw)
    if described.get("format") not in (1, FORMAT):
        raise Refused(
            f"A monitor of format {str(described.get('format'))[:20]}.", wanted=f"format {FORMAT}, or 1.",
            remedy="make it again with this version.",
        )  # fmt: skip
    try:
        header = _HEADER.validate_json(json.dumps(_fill(described)), strict=True)
    except (ValidationError, ValueError, RecursionError) as error:
        first = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
        raise _malformed(f"a description that fits; see {'.'.join(map(str, first))[:80]}") from error
    arrays = _read_arrays(raw, header.recipe.signal)
    calibration = arrays.pop("calibration")
    found = Monitor(
        header.recipe, header.model, SIGNALS[header.recipe.signal](**arrays), calibration, header.report, header.texts_sha256,
        header.made_at, header.seen, header.format,
    )  # fmt: skip
    if found.sha256 != digest:
        raise IntegrityError("The monitor's contents are not those that its digest names.")
    return found


def _fill(described: dict[str, Any]) -> dict[str, Any]:
    """A description of format 1 with what it did not have yet: no end of validity."""
    recipe = described.get("recipe")
    if (
        described.get("format") != 1
        or not isinstance(recipe, dict)
        or set(recipe) & set(OF_FORMAT_2)
        or "seen" in described
    ):
        return described
    return described | {"recipe": recipe | dict.fromkeys(OF_FORMAT_2, 0)}


def _read_header(raw: bytes) -> tuple[dict[str, Any], str]:
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= size <= min(MAX_HEADER_BYTES, len(raw) - 8):
        raise _malformed("safetensors with a header of at most 1 MiB")
    try:
        kept = json.loads(raw[8 : 8 + size])["__metadata__"]
        described, digest = json.loads(kept["monitor"]), kept["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _malformed("a header with a monitor") from error
    if not isinstance(described, dict) or not isinstance(digest, str):
        raise _malformed("a header with a monitor")
    return described, digest


def _read_arrays(raw: bytes, kind: SignalKind) -> dict[str, Any]:
    try:
        found = load(raw)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _malformed("safetensors with numbers") from error
    wanted = _ARRAYS[kind] | {"calibration": 1}
    if set(found) != set(wanted):
        raise _malformed(f"the arrays {', '.join(sorted(wanted))}")
    arrays = {name: array.astype(np.float64) for name, array in found.items()}
    widths = {size for name, one in arrays.items() if name not in (*_FIXED, "calibration") for size in one.shape}
    n = arrays["calibration"].size
    is_shaped = all(arrays[name].ndim == axes for name, axes in wanted.items()) and len(widths) == 1
    is_fixed = all(arrays[name].shape == (size,) for name, size in _FIXED.items() if name in arrays)
    if not (is_shaped and is_fixed and 1 <= max(widths) <= MAX_WIDTH and 1 <= n <= MAX_CALIBRATION):
        raise _malformed("arrays of one width")
    # The norm above which nothing is read may be infinite.
    if not all(np.isfinite(one[:2] if name == "limits" else one).all() for name, one in arrays.items()):
        raise _malformed("finite numbers")
    if np.isnan(arrays.get("limits", np.zeros(1))).any() or (np.diff(arrays["calibration"]) < 0).any():
        raise _malformed("calibration scores in ascending order")
    return arrays


def _malformed(wanted: str) -> Refused:
    return Refused(
        "The file cannot be read as a monitor.", wanted=f"{wanted}.", remedy="give a file that `monitor fit` wrote."
    )
