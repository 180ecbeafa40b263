"""A benchmark run as a dated artefact, and the comparison with a later run: same, or changed and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.errors import Refused

FORMAT = "assay-benchmark"
FORMAT_VERSION = 1
_MOST_BYTES = 32 * 1024**2
_TOLERANCE = 1e-4
"""Nats: rounding between equal runs on other processors."""
_CAUSES = (
    ("source", "sha256", "the benchmark file"),
    ("source", "prompt_format", "the prompt format"),
    ("source", "prompt_format_version", "the version of the prompt format"),
    ("identity", "weights_sha256", "the model's weights"),
    ("identity", "tokenizer_sha256", "the model's tokenizer"),
    ("identity", "prompts_sha256", "the items"),
    ("identity", "versions", "the versions of packages"),
    ("", "code_sha256", "the code of Assay"),
    ("", "request", "the question"),
)
_NUMBERS = ("accuracy", "effect", "excess", "stays_right")


@dataclass(frozen=True)
class Comparison:
    """A later run beside the recorded one."""

    is_same: bool
    """Whether accuracy, reading, effects and the answer to every item are equal."""
    causes: tuple[str, ...]
    """What was not the same when it was run."""
    differences: tuple[str, ...]
    """What came out differently."""

    @property
    def sentence(self) -> str:
        """The comparison in one or two sentences."""
        if self.is_same:
            other = f" Other than at the recorded run: {', '.join(self.causes)}." if self.causes else ""
            return f"Same: accuracy, reading, effects and every item's answer are as recorded.{other}"
        why = ", ".join(self.causes) or "nothing that is recorded"
        return f"Changed: {'; '.join(self.differences)}. What changed before it: {why}."


def build_artefact(
    *,
    request: Mapping[str, Any],
    result: Mapping[str, Any],
    identity: Mapping[str, Any],
    code_sha256: str,
    made_at: str,
) -> dict[str, Any]:
    """One run as plain values, without the folder of the model: an artefact goes to others.

    Args:
        request: as `Request.describe`.
        result: as `dump_result`.
        made_at: ISO 8601.
    """
    question = {name: value for name, value in request.items() if name != "source"}
    return {
        "format": FORMAT, "format_version": FORMAT_VERSION, "made_at": made_at, "code_sha256": code_sha256,
        "source": request.get("source"), "n_items": result["n"], "identity": {name: value for name, value in identity.items() if name != "folder"}, "request": question,
        "result": dict(result),
    }  # fmt: skip


def read_artefact(path: Path) -> dict[str, Any]:
    """Read an artefact from a file.

    Raises:
        Refused: it is too large, no artefact, or of a later version.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
        found = json.loads(raw)
    except (OSError, ValueError, RecursionError):
        found = None
    is_known = isinstance(found, dict) and (found.get("format"), found.get("format_version")) == (
        FORMAT,
        FORMAT_VERSION,
    )
    parts = ("identity", "request", "result")
    if not is_known or not all(isinstance(found.get(part), dict) for part in parts):
        raise Refused(
            f"{path.name[:60]} is no benchmark artefact of version {FORMAT_VERSION}.",
            wanted="a file that `benchmark --out` wrote.", remedy="record it again.",
        )  # fmt: skip
    return dict(found)


def compare_artefacts(recorded: Mapping[str, Any], later: Mapping[str, Any]) -> Comparison:
    """Compare two runs of a benchmark: first what they rest on, then what came out."""
    causes = tuple(words for part, name, words in _CAUSES if _find(recorded, part, name) != _find(later, part, name))
    before, after = recorded["result"], later["result"]
    found = [
        f"{name.replace('_', ' ')} was {_say(before.get(name))}, is {_say(after.get(name))}"
        for name in _NUMBERS
        if not _is_near(before.get(name), after.get(name))
    ]
    found += [
        f"{name} was {before.get(name)!r}, is {after.get(name)!r}"
        for name in ("reading", "n")
        if before.get(name) != after.get(name)
    ]
    rights = [{row["id"]: row["is_right"] for row in one.get("items", ())} for one in (before, after)]
    turned = [name for name, is_right in rights[0].items() if name in rights[1] and rights[1][name] != is_right]
    if turned:
        more = f" and {len(turned) - 5} more" if len(turned) > 5 else ""
        found.append(f"{len(turned)} items are right in one run only: {', '.join(turned[:5])}{more}")
    if rights[0].keys() != rights[1].keys():
        found.append("other items were asked")
    return Comparison(not found, causes, tuple(found))


def _find(artefact: Mapping[str, Any], part: str, name: str) -> Any:
    inside = artefact.get(part) or {} if part else artefact
    return json.loads(json.dumps(inside.get(name)))


def _is_near(first: Any, second: Any) -> bool:
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return bool(first == second)
    return all(
        first.get(name) == second.get(name)
        or (
            first.get(name) is not None
            and second.get(name) is not None
            and abs(first[name] - second[name]) <= _TOLERANCE
        )
        for name in ("value", "low", "high")
    )


def _say(estimate: Any) -> str:
    return f"{estimate['value']:.3f}" if isinstance(estimate, Mapping) else "not measured"
