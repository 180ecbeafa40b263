"""Compare two model folders byte for byte: tensors, components, tokenizer, settings and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from audit_core.change.tokenizer_diff import MOST_KEYS, KeyChange, TokenizerDiff, compare_tokenizers, list_key_changes
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.models.identity import ModelIdentity, digest_files, identify_model
from audit_core.models.layout import HeadLayout, read_layout, split_tensor
from audit_core.models.tensors import Distance, StoredTensor, list_tensors, measure_distance

MOST_ROWS = 2_000
"""Maximum number of tensors, and of components, that a diff lists; counts include all."""


class TensorChange(StrEnum):
    """Kind of change of a tensor."""

    ADDED = "added"
    MISSING = "missing"
    SHAPE = "shape"
    NUMBER_FORMAT = "number_format"
    VALUES = "values"


@dataclass(frozen=True)
class TensorDiff:
    """One changed tensor."""

    name: str
    change: TensorChange
    before: str | None
    """Number format and shape; None where the tensor is missing."""
    after: str | None
    max_abs: float | None
    """Largest absolute difference of an entry; None with a reason."""
    relative: float | None
    """Frobenius norm of the difference / that of the tensor before; None where that is zero, or with a reason."""
    reason: str


@dataclass(frozen=True)
class ComponentDiff:
    """One component with changed weights."""

    component: str
    """`L2.H1`, `L2.MLP`, `L2.E5`; `L2.attention` for weights that a layer's heads share or that cannot be split by head."""
    parts: tuple[str, ...]
    """Changed parts; for a head: query, key, value, output. A key or value shared by several heads is listed for each."""
    max_abs: float | None
    relative: float | None
    """Frobenius norm of the difference / that before, over all changed slices."""
    reason: str


@dataclass(frozen=True)
class FileDiff:
    """One file with different bytes."""

    name: str
    before: str | None
    """SHA-256; None where the file is missing."""
    after: str | None


@dataclass(frozen=True)
class ModelDiff:
    """Differences between two model folders; anything not listed is byte-identical."""

    before: ModelIdentity
    after: ModelIdentity
    n_tensors: int
    """Tensors in either folder."""
    n_changed: int
    tensors: tuple[TensorDiff, ...]
    """The first 2,000, by name."""
    n_components: int
    """Number of changed components."""
    components: tuple[ComponentDiff, ...]
    """The 2,000 with the largest relative change, by layer and index."""
    not_by_head: str
    """Why weights could not be split by head; empty otherwise."""
    outside: tuple[str, ...]
    """Changed tensors outside any component: embeddings, norms, the unembedding; also in `tensors`."""
    n_settings: int
    settings: tuple[KeyChange, ...]
    """Changes in config.json and generation_config.json, the first 200."""
    tokenizer: TokenizerDiff
    files: tuple[FileDiff, ...]

    @property
    def is_same(self) -> bool:
        """Whether every file that affects the model has the same bytes."""
        return not self.files and self.before.short == self.after.short

    def to_json(self) -> dict[str, Any]:
        """Every field, ready for `json.dumps`."""
        sides = {"before": self.before.to_json(), "after": self.after.to_json()}
        return asdict(self) | sides | {"is_same": self.is_same}

    def find_component(self, name: str) -> ComponentDiff | None:
        return next((one for one in self.components if one.component == name), None)


def compare_models(before: Path, after: Path) -> ModelDiff:
    """Compare two checked model folders, loading a few rows of two tensors at a time.

    Raises:
        ModelRefused: one of them cannot be loaded.
        IntegrityError: one differs from its own record.
    """
    old, new = list_tensors(before), list_tensors(after)
    configs = [read_json(folder / "config.json", limit=CONFIG_BYTES) for folder in (before, after)]
    layout, why = _agree_on_heads(*configs)
    rows, moved = _compare_tensors(old, new, layout)
    settings = list_key_changes("config.json", *configs)
    optional = (_read_optional(folder / "generation_config.json") for folder in (before, after))
    settings += list_key_changes("generation_config.json", *optional)
    sides = [identify_model(folder, dtype="float32", attention="eager") for folder in (before, after)]
    listed = rows[:MOST_ROWS]
    return ModelDiff(
        sides[0],
        sides[1],
        len({*old, *new}),
        len(rows),
        tuple(listed),
        len(moved),
        _list_components(moved),
        why,
        tuple(row.name for row in listed if not split_tensor(row.name, (), None)),
        len(settings),
        tuple(settings[:MOST_KEYS]),
        compare_tokenizers(before, after),
        _compare_files(digest_files(before), digest_files(after)),
    )


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path, limit=CONFIG_BYTES) if path.is_file() else {}


def _agree_on_heads(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[HeadLayout | None, str]:
    """Head layout that both configs share, or why there is none."""
    old, new = read_layout(before), read_layout(after)
    if old is None or new is None:
        return None, "config.json does not define the heads"
    if old != new:
        return None, f"the head layouts differ: {_describe(old)} before, {_describe(new)} after"
    return old, ""


def _describe(layout: HeadLayout) -> str:
    return (
        f"{layout.n_heads} heads of {layout.d_head} with {layout.n_key_value_heads} key-value heads ({layout.family})"
    )


_Distances = dict[str, dict[str, Distance]]
"""Component → part → distance between before and after."""


def _compare_tensors(
    old: Mapping[str, StoredTensor], new: Mapping[str, StoredTensor], layout: HeadLayout | None
) -> tuple[list[TensorDiff], _Distances]:
    rows: list[TensorDiff] = []
    moved: _Distances = {}
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        row = _compare_one(name, before, after)
        if row is None:
            continue
        rows.append(row)
        for components, part, found in _measure_shares(before, after, row, layout):
            for component in components:
                parts = moved.setdefault(component, {})
                parts[part] = parts.get(part, Distance(True)).add(found)
    return rows, moved


def _compare_one(name: str, before: StoredTensor | None, after: StoredTensor | None) -> TensorDiff | None:
    if before is None or after is None or before.shape != after.shape:
        change = TensorChange.ADDED if before is None else TensorChange.MISSING if after is None else TensorChange.SHAPE
        found = Distance(False, reason=_WHY[change])
    else:
        found = measure_distance(before, after)
        if found.is_same:
            return None
        change = TensorChange.VALUES if before.dtype == after.dtype else TensorChange.NUMBER_FORMAT
    was, now = (None if one is None else one.describe() for one in (before, after))
    return TensorDiff(name, change, was, now, None if found.reason else found.max_abs, found.relative, found.reason)


_WHY = {
    TensorChange.ADDED: "only in the model after",
    TensorChange.MISSING: "only in the model before",
    TensorChange.SHAPE: "the shape differs",
}


def _measure_shares(
    before: StoredTensor | None, after: StoredTensor | None, row: TensorDiff, layout: HeadLayout | None
) -> Iterator[tuple[tuple[str, ...], str, Distance]]:
    """Components and parts that one changed tensor affects, each with its distance."""
    one = before or after
    assert one is not None
    is_whole = before is None or after is None or before.shape != after.shape
    can_cut = all(side is None or side.can_be_cut for side in (before, after))
    for share in split_tensor(row.name, one.shape, layout if can_cut else None):
        if is_whole or before is None or after is None:
            yield share.components, share.part, Distance(False, reason=f"{row.name[:200]}: {row.reason}")
            continue
        found = measure_distance(before, after, share.at)
        if not found.is_same:
            yield share.components, share.part, found


def _list_components(moved: _Distances) -> tuple[ComponentDiff, ...]:
    rows = []
    for component, parts in moved.items():
        whole = Distance(True)
        for found in parts.values():
            whole = whole.add(found)
        largest = None if whole.reason else whole.max_abs
        rows.append(ComponentDiff(component, tuple(sorted(parts)), largest, whole.relative, whole.reason))
    rows.sort(key=lambda row: (row.relative is not None, -(row.relative or 0.0)))
    return tuple(sorted(rows[:MOST_ROWS], key=lambda row: _place(row.component)))


def _place(component: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", component)], component


def _compare_files(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FileDiff, ...]:
    return tuple(
        FileDiff(name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
