"""Find templates from texts: prompts whose words agree except in a few slots share a skeleton."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audit_core.verifier.skeletons import (
    ALIKE,
    ALIKE_IF_RARE,
    MIN_SHARED,
    MIN_WORDS,
    NUMBER_SLOT,
    RARE,
    SLOT,
    agree_on_skeleton,
    count_fixed,
    list_words,
    read_masks,
)

if TYPE_CHECKING:
    from audit_core.prompts.prompt_set import Prompt

_BINS = 256
_DIGESTED = 64
"""Words of a skeleton that are compared with those of earlier runs."""


@dataclass(frozen=True)
class Template:
    """Prompts that share a template, as found from their texts."""

    skeleton: str
    """The words that most of them share, with `_` for slots and `#` for numbers."""
    rows: tuple[int, ...]
    """Places of its prompts in the set."""


@lru_cache(maxsize=16)
def describe_templates(prompts: tuple[Prompt, ...]) -> tuple[Template, ...]:
    """Return the templates of a set with their skeletons, in the order of `find_templates`' numbers."""
    rows: dict[int, list[int]] = defaultdict(list)
    for at, number in enumerate(_number(prompts)):
        rows[number].append(at)
    masks = read_masks([prompt.to_row() for prompt in prompts])
    return tuple(
        Template(agree_on_skeleton(masks[at] for at in found), tuple(found)) for _, found in sorted(rows.items())
    )


def digest_skeleton(skeleton: str) -> str:
    """Return a skeleton with a digest for each word, so that the run log compares templates without their words."""
    words = skeleton.split()[:_DIGESTED]
    return " ".join(w if w in (SLOT, NUMBER_SLOT) else hashlib.sha256(w.encode()).hexdigest()[:8] for w in words)


def match_skeletons(own: Sequence[str], others: Sequence[str]) -> frozenset[int]:
    """Return which of these skeletons some other skeleton is alike, by `ALIKE`; equal ones always are."""
    known = set(others)
    equal = {at for at, skeleton in enumerate(own) if skeleton in known}
    rest = [at for at in range(len(own)) if at not in equal]
    if not rest or not others:
        return frozenset(equal)
    # Three prompts each: none is rare, so that one other word in a short skeleton is another template.
    texts = _Texts([_Group(tuple(skeleton.split()), (0, 1, 2)) for skeleton in (*(own[at] for at in rest), *known)])
    beside = np.arange(len(rest), len(rest) + len(known))
    return frozenset(equal | {at for place, at in enumerate(rest) if texts.find_alike(place, beside).any()})


def find_templates(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """Return one template label per prompt, from the clean texts; independent of the order of the prompts.

    A text is read as words, without case, marks and invisible characters. Words that differ between clean and corrupted text
    are slots, and so are answers and foils anywhere in the text; all numbers are equal. The other words are the skeleton.
    Prompts share a template if their skeletons are equal, or agree word by word, with at most one inserted run of words, in a
    fraction `ALIKE` of their words (`ALIKE_IF_RARE` if one has at most `RARE` prompts), or are linked through others so.
    Prompts with the same clean text always share a template.

    Cost: at most n² comparisons of `MAX_WORDS` words; 2,000 unlike prompts take a few seconds.

    Limits: texts with fewer than `MIN_FIXED` words outside their slots are compared unchanged. Short texts (fewer than seven
    fixed words) that differ in one word, each used by three prompts or more, count as different templates; so do texts that
    differ in more than a third of their words. Meaning is not considered.
    """
    return tuple(f"skeleton {at + 1}" for at in _number(prompts))


def _number(prompts: Sequence[Prompt]) -> list[int]:
    """Return the number of each prompt's template, ordered by text."""
    if not prompts:
        return []
    raw = [tuple(list_words(prompt.clean)) for prompt in prompts]
    groups = [group.rows for group in _group(raw)]
    if len({word for words in raw for word in words}) >= MIN_WORDS:
        skeletons = _group(read_masks([prompt.to_row() for prompt in prompts]))
        groups = _join_equal(_join(skeletons, _link_alike(skeletons)), raw)
    named = sorted(groups, key=lambda rows: min(raw[at] for at in rows))
    number = {at: place for place, rows in enumerate(named) for at in rows}
    return [number[at] for at in range(len(prompts))]


@dataclass(frozen=True)
class _Group:
    """Prompts with the same skeleton."""

    words: tuple[str, ...]
    rows: tuple[int, ...]

    @property
    def n_fixed(self) -> int:
        return count_fixed(self.words)


def _group(texts: Sequence[tuple[str, ...]]) -> list[_Group]:
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, words in enumerate(texts):
        rows[words].append(at)
    return [_Group(words, tuple(members)) for words, members in rows.items()]


def _join(groups: Sequence[_Group], links: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the rows of groups that are linked, directly or through others."""
    parent = list(range(len(groups)))

    def find(at: int) -> int:
        while parent[at] != at:
            parent[at] = at = parent[parent[at]]
        return at

    for one, other in links:
        parent[find(one)] = find(other)
    rows: dict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        rows[find(at)] += group.rows
    return [tuple(members) for members in rows.values()]


def _join_equal(groups: Sequence[tuple[int, ...]], raw: Sequence[tuple[str, ...]]) -> list[tuple[int, ...]]:
    """Link groups that contain the same clean text."""
    of_row = {row: at for at, rows in enumerate(groups) for row in rows}
    first = {words: at for at, words in reversed(list(enumerate(raw)))}
    links = ((of_row[at], of_row[first[words]]) for at, words in enumerate(raw))
    return _join([_Group((), rows) for rows in groups], links)


def _link_alike(groups: Sequence[_Group]) -> Iterable[tuple[int, int]]:
    """Yield links between groups with similar skeletons, enough to connect each cluster."""
    texts = _Texts(groups)
    left = np.arange(len(groups))
    while left.size:
        reached, left = [int(left[0])], left[1:]
        while reached and left.size:
            at = reached.pop()
            alike = texts.find_alike(at, left)
            yield from ((at, int(other)) for other in left[alike])
            reached += left[alike].tolist()
            left = left[~alike]


class _Texts:
    """Skeletons as arrays, for comparing one with all others at once."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        numbers: dict[str, int] = {}
        self.lengths = np.array([len(group.words) for group in groups])
        self.fixed = np.array([group.n_fixed for group in groups])
        self.is_rare = np.array([len(group.rows) <= RARE for group in groups])
        shape = (len(groups), int(self.lengths.max(initial=0)))
        # 0 is padding and slots: neither agrees with anything.
        self.forward, self.backward = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self.bins = np.zeros((len(groups), _BINS), np.int16)
        for at, group in enumerate(groups):
            ids = [0 if w in (SLOT, NUMBER_SLOT) else numbers.setdefault(w, len(numbers) + 1) for w in group.words]
            self.forward[at, : len(ids)], self.backward[at, : len(ids)] = ids, ids[::-1]
            np.add.at(self.bins[at], [one % _BINS for one in ids if one], 1)

    def find_alike(self, at: int, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which other skeletons count as the same as this one; shape (other,)."""
        least = np.where(self.is_rare[others] | self.is_rare[at], ALIKE_IF_RARE, ALIKE)
        needed = np.maximum(least * np.maximum(self.fixed[others], self.fixed[at]) - 1e-9, MIN_SHARED)
        alike = np.ones(len(others), bool)
        # Cheaper upper bounds come first; most pairs need no exact count.
        for count in (self._count_shared, self._count_in_line, self._count_agreeing):
            alike[alike] = count(at, others[alike]) >= needed[alike]
        return alike

    def _count_shared(self, at: int, others: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return an upper bound of the words in common, at any position; shape (other,)."""
        shared: NDArray[np.int64] = np.minimum(self.bins[others], self.bins[at]).sum(1)
        return shared

    def _count_in_line(self, at: int, others: NDArray[np.intp]) -> NDArray[np.int64]:
        """Count equal words at the same position from the front, and from the back; shape (other,)."""
        counts = [((ids[others] == ids[at]) & (ids[at] > 0)).sum(1) for ids in (self.forward, self.backward)]
        return counts[0] + counts[1]

    def _count_agreeing(self, at: int, others: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the largest number of equal fixed words with one run of words inserted into the shorter text; shape (other,)."""
        n = np.minimum(self.lengths[others], self.lengths[at])
        from_front, from_back = (
            np.pad(((ids[others] == ids[at]) & (ids[at] > 0)).cumsum(1, dtype=np.int16), ((0, 0), (1, 0)))
            for ids in (self.forward, self.backward)
        )
        behind = n[:, None] - np.arange(from_front.shape[1])
        total = from_front + np.take_along_axis(from_back, np.maximum(behind, 0), 1)
        best: NDArray[np.int64] = np.where(behind >= 0, total, 0).max(1, initial=0)
        return best
