"""Skeletons of prompts: the words that remain of a text outside its slots, and the words that a template's prompts agree in."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

MIN_FIXED = 2
"""Minimal number of fixed words of a skeleton."""
MIN_WORDS = 5
"""Minimal number of distinct words in a set; with fewer, texts of a few symbols agree by chance."""
MAX_WORDS = 256
"""Words compared per text; of a longer text, the first and last half of this number."""
ALIKE = 0.85
"""Fraction of fixed words in which two skeletons must agree to count as one."""
ALIKE_IF_RARE = 2 / 3
"""The same fraction if either has at most `RARE` prompts, too few to show that a word belongs to a template."""
RARE = 2
MIN_SHARED = 3
"""Minimal number of fixed words that two skeletons must share to count as one."""
_MOST_COMPARED = 20_000_000
"""Words that are compared to find skeletons that are alike; more would take the verifier minutes."""
_FRAME, _BODY = 12, 5
"""Minimal number of words that all texts begin and end with, and of words that remain, for the common words to count as a
frame (a chat form, few-shot examples) outside the skeletons."""
SLOT, NUMBER_SLOT = "_", "#"
# Scripts without spaces are read character by character.
_UNSPACED_SCRIPTS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SKELETON_WORD = re.compile(
    rf"[{_UNSPACED_SCRIPTS}]|[^\W{_UNSPACED_SCRIPTS}]+(?:['’][^\W{_UNSPACED_SCRIPTS}]+)*|[^\w\s]"
)


def read_masks(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the words of each prompt with its slots; of a set with fewer than `MIN_WORDS` words, the words as they are.

    Args:
        rows: prompts as stored: clean, corrupted, answer, foil; an answer is a text or a list of texts.
    """
    raw = [tuple(list_words(row["clean"])) for row in rows]
    if len({word for words in raw for word in words}) < MIN_WORDS:
        return raw
    return [_mask_slots(row, words) for row, words in zip(rows, remove_frame(raw), strict=True)]


def agree_on_skeleton(masks: Iterable[Sequence[str]]) -> str:
    """Return the words that more than half of a template's prompts share, among those of the usual length; else a slot.

    One changed word of one prompt does not change it, unless exactly half of the prompts have the word.
    """
    counted = Counter(tuple(mask) for mask in masks)
    lengths: Counter[int] = Counter()
    for mask, count in counted.items():
        lengths[len(mask)] += count
    usual = min(lengths, key=lambda length: (-lengths[length], length))
    columns: list[Counter[str]] = [Counter() for _ in range(usual)]
    for mask, count in counted.items():
        for column, word in zip(columns, mask if len(mask) == usual else (), strict=False):
            column[word] += count
    common = [column.most_common(1)[0] for column in columns]
    return " ".join(word if 2 * count > lengths[usual] else SLOT for word, count in common)


def has_alike_apart(masks: Sequence[tuple[str, ...]], template_of: Sequence[int]) -> bool:
    """Return whether two skeletons that are alike are listed as two templates; equal ones are always compared.

    A set whose comparison would take more than `_MOST_COMPARED` words is checked for equal skeletons only.
    """
    places: dict[tuple[str, ...], set[int]] = {}
    for mask, at in zip(masks, template_of, strict=True):
        places.setdefault(mask, set()).add(at)
    if any(len(found) > 1 for found in places.values()):
        return True
    known = [(mask, min(found)) for mask, found in places.items()]
    longest = max(map(len, places), default=0)
    has_few_words = len({word for mask in masks for word in mask if word != SLOT}) < MIN_WORDS
    if has_few_words or len(known) ** 2 * longest > 2 * _MOST_COMPARED:
        return False
    counts = Counter(masks)
    return any(
        one[1] != other[1] and _is_alike(one[0], other[0], min(counts[one[0]], counts[other[0]]) <= RARE)
        for number, one in enumerate(known)
        for other in known[:number]
    )


def _is_alike(one: Sequence[str], other: Sequence[str], is_rare: bool) -> bool:
    """Return whether two skeletons agree in enough fixed words, with at most one run of words inserted into the shorter."""
    sizes = count_fixed(one), count_fixed(other)
    needed = max((ALIKE_IF_RARE if is_rare else ALIKE) * max(sizes) - 1e-9, MIN_SHARED)
    if min(sizes) < needed:
        return False
    n = min(len(one), len(other))
    from_front = _count_in_line(one[:n], other[:n])
    from_back = _count_in_line(one[::-1][:n], other[::-1][:n])
    return max(from_front[at] + from_back[n - at] for at in range(n + 1)) >= needed


def _count_in_line(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return how many fixed words are equal among the first 0, 1, 2, … words."""
    found = [0]
    for word, beside in zip(one, other, strict=True):
        found.append(found[-1] + (word == beside and word not in (SLOT, NUMBER_SLOT)))
    return found


def choose_explored_templates(skeletons: Sequence[str], salt: str) -> list[bool]:
    """Return which templates are exploratory under the rule of splits 2: every other one, in the order of a salted hash.

    Args:
        skeletons: of each template, from `agree_on_skeleton`.
        salt: id of the log of the installation, fixed before it contained any prompt.
    """
    order = sorted(
        range(len(skeletons)),
        key=lambda at: (hashlib.sha256(f"assay-split-2\0{salt}\0{skeletons[at]}".encode()).hexdigest(), at),
    )
    explored = {at for place, at in enumerate(order) if place % 2 == 0}
    return [at in explored for at in range(len(skeletons))]


def list_words(text: str) -> list[str]:
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    # Punctuation is dropped; meaningful symbols (+, =, <) are words.
    found = [
        word for word in _SKELETON_WORD.findall(text.casefold()) if word[0].isalnum() or not _is_only_punctuation(word)
    ]
    return found if len(found) <= MAX_WORDS else found[: MAX_WORDS // 2] + found[-MAX_WORDS // 2 :]


def _is_only_punctuation(word: str) -> bool:
    return all(unicodedata.category(sign).startswith("P") for sign in word)


def remove_frame(texts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Remove the words that all texts begin and end with, if they are many and enough words remain."""
    shortest = min(map(len, texts))
    front = _count_common_words(texts, range(shortest))
    back = _count_common_words(texts, range(-1, front - shortest - 1, -1))
    if len(texts) < 2 or front + back < _FRAME or median(len(words) - front - back for words in texts) < _BODY:
        return list(texts)
    return [words[front : len(words) - back] for words in texts]


def _count_common_words(texts: Sequence[tuple[str, ...]], places: Iterable[int]) -> int:
    shared = 0
    for place in places:
        if len({words[place] for words in texts}) > 1:
            break
        shared += 1
    return shared


def _mask_slots(row: Mapping[str, Any], words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a prompt's skeleton with slots, or its unchanged words if too few would remain."""
    texts = [text for name in ("answer", "foil") for text in ([row[name]] if isinstance(row[name], str) else row[name])]
    answer_words = {word for text in texts for word in list_words(text)}
    changed = _list_changed_words(list_words(row["clean"]), list_words(row["corrupted"]))
    masked = _put_slots(words, answer_words | changed)
    return masked if count_fixed(masked) >= MIN_FIXED else words


def _list_changed_words(clean: Sequence[str], corrupted: Sequence[str]) -> set[str]:
    if len(clean) == len(corrupted):
        differ = [pair for pair in zip(clean, corrupted, strict=True) if pair[0] != pair[1]]
        # If the whole text differs, the slots cannot be located.
        return {word for pair in differ for word in pair} if 2 * len(differ) <= len(clean) else set()
    one, other = Counter(clean), Counter(corrupted)
    return set(one - other) | set(other - one)


def _put_slots(words: Sequence[str], slots: set[str]) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        shown = SLOT if word in slots else NUMBER_SLOT if word.isdecimal() else word
        # An answer of two words fills one slot.
        if shown != SLOT or found[-1:] != [SLOT]:
            found.append(shown)
    return tuple(found)


def count_fixed(words: Sequence[str]) -> int:
    return sum(word not in (SLOT, NUMBER_SLOT) for word in words)
