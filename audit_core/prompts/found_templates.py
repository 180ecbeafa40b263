"""Find templates from texts: prompts whose words agree except in a few slots share a skeleton."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from audit_core.prompts.prompt_set import Prompt

ALIKE = 0.85
"""Fraction of fixed words in which two skeletons must agree to count as one."""
ALIKE_IF_RARE = 2 / 3
"""The same fraction if either has at most `RARE` prompts, too few to show that a word belongs to a template."""
RARE = 2
MIN_FIXED = 2
"""Minimal number of fixed words of a skeleton."""
MIN_SHARED = 3
"""Minimal number of fixed words that two skeletons must share to count as one."""
MIN_WORDS = 5
"""Minimal number of distinct words in a set; with fewer, texts of a few symbols agree by chance."""
MAX_WORDS = 256
"""Words compared per text; of a longer text, the first and last half of this number."""
_FRAME, _BODY = 12, 5
"""Minimal number of words that all texts begin and end with, and of words that remain, for the common words to count as a
frame (a chat form, few-shot examples) outside the skeletons."""
_BINS = 256
_SLOT, _NUMBER = "_", "#"
# Scripts without spaces are read character by character.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*|[^\w\s]")


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
    raw = [tuple(_list_words(prompt.clean)) for prompt in prompts]
    groups = [group.rows for group in _group(raw)]
    if len({word for words in raw for word in words}) >= MIN_WORDS:
        bare = _remove_frame(raw)
        skeletons = _group([_mask(prompt, words) for prompt, words in zip(prompts, bare, strict=True)])
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
        return _count_fixed(self.words)


def _list_words(text: str) -> list[str]:
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    # Punctuation is dropped; meaningful symbols (+, =, <) are words.
    found = [word for word in _WORD.findall(text.casefold()) if word[0].isalnum() or not _is_punctuation(word)]
    return found if len(found) <= MAX_WORDS else found[: MAX_WORDS // 2] + found[-MAX_WORDS // 2 :]


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(sign).startswith("P") for sign in word)


def _remove_frame(texts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Remove the words that all texts begin and end with, if they are many and enough words remain."""
    shortest = min(map(len, texts))
    front = _count_shared(texts, range(shortest))
    back = _count_shared(texts, range(-1, front - shortest - 1, -1))
    if len(texts) < 2 or front + back < _FRAME or median(len(words) - front - back for words in texts) < _BODY:
        return list(texts)
    return [words[front : len(words) - back] for words in texts]


def _count_shared(texts: Sequence[tuple[str, ...]], places: Iterable[int]) -> int:
    shared = 0
    for place in places:
        if len({words[place] for words in texts}) > 1:
            break
        shared += 1
    return shared


def _mask(prompt: Prompt, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a prompt's skeleton with slots, or its unchanged words if too few would remain."""
    answer_words = {word for text in (*prompt.answers, *prompt.foils) for word in _list_words(text)}
    changed = _list_changed(_list_words(prompt.clean), _list_words(prompt.corrupted))
    masked = _put_slots(words, answer_words | changed)
    return masked if _count_fixed(masked) >= MIN_FIXED else words


def _list_changed(clean: Sequence[str], corrupted: Sequence[str]) -> set[str]:
    if len(clean) == len(corrupted):
        differ = [pair for pair in zip(clean, corrupted, strict=True) if pair[0] != pair[1]]
        # If the whole text differs, the slots cannot be located.
        return {word for pair in differ for word in pair} if 2 * len(differ) <= len(clean) else set()
    one, other = Counter(clean), Counter(corrupted)
    return set(one - other) | set(other - one)


def _put_slots(words: Sequence[str], slots: set[str]) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        shown = _SLOT if word in slots else _NUMBER if word.isdecimal() else word
        # An answer of two words fills one slot.
        if shown != _SLOT or found[-1:] != [_SLOT]:
            found.append(shown)
    return tuple(found)


def _count_fixed(words: Sequence[str]) -> int:
    return sum(word not in (_SLOT, _NUMBER) for word in words)


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
            ids = [0 if w in (_SLOT, _NUMBER) else numbers.setdefault(w, len(numbers) + 1) for w in group.words]
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
