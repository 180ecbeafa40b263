"""Prompt sets of the tasks, in the model's own words: the same rows every time, chosen without looking at any model."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from audit_core.prompts.prompt_set import Prompt, dump_jsonl, is_exploratory
from tools.encoder_decoder.tasks import TASKS
from tools.mixture.domains import Pair
from tools.mixture.world import World

PAIRS_PER_HALF = 4
"""Of each template; a pair is two rows, so that sixteen templates give 128 rows to each split."""
_DRAWS = 60_000
"""Pairs that are drawn at most, before a template without enough of them is an error."""


def build_rows(world: World, task: str, seed: int) -> list[Prompt]:
    """Rows of one task: every template has equally many in both splits, and no text occurs twice."""
    rng = random.Random(f"prompts {seed} {task}")
    kept: dict[tuple[str, bool], list[Pair]] = defaultdict(list)
    seen: set[str] = set()
    for _ in range(_DRAWS):
        pair = TASKS[task](world, rng).pair
        split = _find_split(pair)
        if split is None or seen & {*pair.texts}:
            continue
        place = kept[pair.template, split]
        if len(place) < PAIRS_PER_HALF:
            place.append(pair)
            seen.update(pair.texts)
    short = [place for place, pairs in kept.items() if len(pairs) < PAIRS_PER_HALF]
    if short:
        raise ValueError(f"Too few pairs for {short} in {_DRAWS} draws.")
    turns = zip_longest(*(kept[place] for place in sorted(kept)))
    pairs = [pair for turn in turns for pair in turn if pair is not None]
    return [row for number, pair in enumerate(pairs) for row in _make_rows(pair, task, number, seed)]


def write_sets(world: World, tasks: Sequence[str], folder: Path, seed: int) -> list[Path]:
    """Write the set of each task to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for task in tasks:
        path = folder / f"t5_{task}.jsonl"
        path.write_bytes(dump_jsonl(build_rows(world, task, seed)).encode())
        paths.append(path)
    return paths


def _make_rows(pair: Pair, task: str, number: int, seed: int) -> tuple[Prompt, Prompt]:
    """Both directions of a pair: each text is once the clean one."""
    source = f"written for Assay, seed {seed}"
    one, other = (
        Prompt(
            f"t5-{task}-{2 * number + clean + 1:04d}", pair.texts[clean], pair.texts[1 - clean],
            f" {pair.nexts[clean]}", f" {pair.nexts[1 - clean]}", pair.template, task, source,
        )
        for clean in (0, 1)
    )  # fmt: skip
    return one, other


def _find_split(pair: Pair) -> bool | None:
    """Whether both rows are exploratory; None if they fall into different splits."""
    splits = {is_exploratory(row) for row in _make_rows(pair, "", 0, 0)}
    return splits.pop() if len(splits) == 1 else None
