"""Repeats: prompts equal to an earlier one, which add no independent information."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit_core.prompts.prompt_set import Prompt, TokenPair

_END = ".,;:!?…。、，！？；："
"""Marks at the end of a sentence, ignored in comparisons."""
_UNSEEN = frozenset(
    map(
        chr,
        [
            0x034F,
            0x115F,
            0x1160,
            0x17B4,
            0x17B5,
            0x2800,
            0x3164,
            0xFFA0,
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ],
    )
)
"""Invisible characters outside Unicode's category of format characters: joiners, fillers, variation selectors."""
_NAMED = 5
"""Ids that a notice lists; the others are counted."""


@dataclass(frozen=True)
class SetAside:
    """A prompt that is in the set but not measured."""

    prompt: str
    template: str
    reason: str
    """The reason, without the prompt's text."""


def find_repeats(prompts: Sequence[Prompt]) -> dict[int, int]:
    """Find rows equal to an earlier row in both texts, all answers and all foils.

    Texts are compared after Unicode NFC, without invisible characters, with white space collapsed, and without white
    space and sentence marks at the end. Case is significant; id, template, group, source and the order of answers are not.
    A pair with clean and corrupted exchanged is another prompt.

    Returns:
        Row → the first equal row.
    """
    return _find_equal(map(_read, prompts))


def digest_texts(prompt: Prompt) -> str:
    """Digest of a pair's two normalised texts, without case: equal under another id, order, template or answer."""
    texts = (normalise_text(prompt.clean) or prompt.clean, normalise_text(prompt.corrupted) or prompt.corrupted)
    # Which text is the clean one does not change what was seen.
    return hashlib.sha256("\0".join(sorted(text.casefold() for text in texts)).encode()).hexdigest()[:16]


def find_token_repeats(pairs: Sequence[TokenPair]) -> dict[int, int]:
    """Find repeats as `find_repeats`, but by tokens: a tokenizer may encode different texts equally."""
    by_text = find_repeats([pair.prompt for pair in pairs])
    # Repeats by text are excluded already, so only the first of each is compared by tokens.
    firsts = [at for at in range(len(pairs)) if at not in by_text]
    keys = [(pairs[at].clean_ids, pairs[at].corrupted_ids, *_read(pairs[at].prompt)[3:]) for at in firsts]
    return by_text | {firsts[at]: firsts[first] for at, first in _find_equal(keys).items()}


def describe_repeats(names: Sequence[str], repeats: dict[int, int]) -> str:
    """Return the notice on excluded repeats.

    Args:
        names: id of every row, including repeats.
    """
    named = [f"{names[at][:60]!r} repeats {names[first][:60]!r}" for at, first in sorted(repeats.items())]
    more = f" (and {len(named) - _NAMED} more)" if len(named) > _NAMED else ""
    says, count = ("1 prompt says", "counts") if len(named) == 1 else (f"{len(named)} prompts say", "count")
    return f"{says} the same as an earlier one and {count} once: {'; '.join(named[:_NAMED])}{more}."


def normalise_text(text: str) -> str:
    """Normalise a text for comparison."""
    visible = "".join(
        c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf" and c not in _UNSEEN
    )
    return " ".join(visible.split()).rstrip(f"{_END} ")


def _read(prompt: Prompt) -> tuple[Hashable, ...]:
    texts = (normalise_text(prompt.clean) or prompt.clean, normalise_text(prompt.corrupted) or prompt.corrupted)
    # An answer may itself be a mark, so marks are kept.
    return (
        prompt.form,
        *texts,
        *(frozenset(" ".join(t.split()) or t for t in found) for found in (prompt.answers, prompt.foils)),
    )


def _find_equal(keys: Iterable[Hashable]) -> dict[int, int]:
    first: dict[Hashable, int] = {}
    places = [first.setdefault(key, at) for at, key in enumerate(keys)]
    return {at: place for at, place in enumerate(places) if place != at}
