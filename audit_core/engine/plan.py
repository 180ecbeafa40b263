"""Work plan: batches of prompts of one length and of variants with similar start positions, within a memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.engine.wave import Variant
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Geometry

MEMORY_BUDGET_BYTES = 512 * 1024**2
"""Memory for the activations of a chunk, in addition to the weights."""
CHUNK_TOKENS = 2048
"""Maximum rows × positions of a chunk: matrix products reach full speed at this size."""
DEVICE_TOKENS = 32768
"""The same for a device with memory of its own; not measured on one."""
PASS_TOKENS = 48
"""Overhead of one pass through the layers, in tokens: reading all weights and calling every block (measured)."""
PREFIX_BYTES = 1 << 30
"""Keys and values of a chunk, as cached and repeated for each head: a row that computes one position reads those of all before."""
_COPIES = 12
"""Float32 copies of the residual stream in memory within a block, including the wider MLP activations."""


@dataclass(frozen=True)
class Room:
    """Memory of a chunk on a device with memory of its own."""

    n_tokens: int
    """As `CHUNK_TOKENS`."""
    activation_bytes: int
    """As `MEMORY_BUDGET_BYTES`."""
    prefix_bytes: int
    """As `PREFIX_BYTES`."""


def divide_memory(free_bytes: int) -> Room:
    """A quarter each for activations and for keys and values; what is left is for unedited runs and for the libraries."""
    return Room(DEVICE_TOKENS, free_bytes // 4, free_bytes // 4)


@dataclass(frozen=True)
class Chunk:
    """Variants that run in one wave, on the prompts of one group."""

    variants: tuple[int, ...]
    start: int
    """First computed position; before it these variants equal their unedited runs."""
    work: int
    """Rows × positions × layers."""


@dataclass(frozen=True)
class Group:
    """Prompts of equal length that are captured together, and the waves over them."""

    prompts: tuple[int, ...]
    chunks: tuple[Chunk, ...]
    capture_work: int


def plan_groups(
    prompts: TokenisedPrompts,
    variants: Sequence[Variant],
    geometry: Geometry,
    *,
    can_share_prefix: bool,
    is_whole: bool,
    room: Room | None = None,
) -> tuple[Group, ...]:
    """Divide a run into captures and waves; deterministic, so that work can be counted before the run.

    Args:
        can_share_prefix: take positions before the first difference from the unedited run.
        is_whole: every variant runs through all layers.
        room: of a device with memory of its own.
    """
    edited = [i for i, variant in enumerate(variants) if variant.edits]
    sides = {variant.side for variant in variants} | {v.side.other for v in variants if v.takes_other_run}
    groups = []
    for length, members in _sort_by_length(prompts):
        fits = count_tokens(geometry, length, room)
        per_prompt = max([1, len(edited)]) * length
        # No larger than on the CPU: what is kept of unedited runs has one limit on every device.
        size = max(1, min(fits // per_prompt, count_tokens(geometry, length) // (2 * length)))
        for at in range(0, len(members), size):
            where = members[at : at + size]
            shared = _find_difference([prompts.pairs[i] for i in where]) if len(sides) > 1 else 0
            chunks = cut_waves(
                [
                    (
                        i,
                        variants[i].find_start(length, shared) if can_share_prefix else 0,
                        0 if is_whole else variants[i].first_layer,
                    )
                    for i in edited
                ],
                n_prompts=len(where),
                length=length,
                room=fits,
                most_rows=count_prefix_rows(geometry, length, room),
                n_layers=geometry.n_layers,
            )
            groups.append(Group(tuple(where), chunks, len(sides) * len(where) * length * geometry.n_layers))
    return tuple(groups)


def count_work(groups: Sequence[Group]) -> int:
    """Rows × positions × layers of a whole run."""
    return max(1, sum(group.capture_work + sum(chunk.work for chunk in group.chunks) for group in groups))


def count_tokens(geometry: Geometry, length: int, room: Room | None = None) -> int:
    """Rows × positions that fit the memory budget at this prompt length."""
    wide = _COPIES * geometry.d_model + 3 * geometry.n_neurons + 3 * geometry.n_heads * length
    most, fits = (CHUNK_TOKENS, MEMORY_BUDGET_BYTES) if room is None else (room.n_tokens, room.activation_bytes)
    return int(min(most, max(length, fits // (4 * wide))))


def count_prefix_rows(geometry: Geometry, length: int, room: Room | None = None) -> int:
    """Rows whose keys and values fit, however few positions they compute."""
    fits = PREFIX_BYTES if room is None else room.prefix_bytes
    return max(1, fits // (4 * 2 * length * geometry.d_head * (geometry.n_key_value_heads + geometry.n_heads)))


def _sort_by_length(prompts: TokenisedPrompts) -> list[tuple[int, list[int]]]:
    """Prompts of each length, sorted by first difference, so that neighbours share a long prefix."""
    by_length: dict[int, list[int]] = {}
    for i, pair in enumerate(prompts.pairs):
        by_length.setdefault(len(pair.clean_ids), []).append(i)
    for members in by_length.values():
        members.sort(key=lambda i: _find_difference([prompts.pairs[i]]))
    return list(by_length.items())


def _find_difference(pairs: Sequence[TokenPair]) -> int:
    """First position at which any of these pairs' runs differ."""
    return min(pair.first_changed for pair in pairs)


def cut_waves(
    entries: list[tuple[int, int, int]], *, n_prompts: int, length: int, room: int, most_rows: int, n_layers: int
) -> tuple[Chunk, ...]:
    """Waves of variants (index, start, first layer): neighbours in start and depth, merged if one pass is cheaper."""
    by_start: dict[int, list[tuple[int, int, int]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry[1], entry[2])):
        by_start.setdefault(entry[1], []).append(entry)
    waves: list[tuple[int, list[tuple[int, int, int]]]] = []
    for start, members in by_start.items():
        depth = sum(n_layers - first for _, _, first in members)
        if waves and (start - waves[-1][0]) * n_prompts * depth <= PASS_TOKENS * n_layers:
            waves[-1][1].extend(members)
        else:
            waves.append((start, list(members)))
    chunks = []
    for start, members in waves:
        members.sort(key=lambda entry: entry[2])
        size = max(1, min(room // (length - start), most_rows) // n_prompts)
        # Equal sizes: a small remainder would need a whole pass over the weights.
        size = -(-len(members) // -(-len(members) // size))
        for at in range(0, len(members), size):
            part = members[at : at + size]
            depth = sum(n_layers - first for _, _, first in part)
            chunks.append(Chunk(tuple(i for i, _, _ in part), start, depth * n_prompts * (length - start)))
    return tuple(chunks)
