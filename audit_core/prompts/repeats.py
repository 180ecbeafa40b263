"""Repeats: prompts that say the same as an earlier one, and so add nothing that is independent of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit_core.prompts.prompt_set import Prompt, TokenPair

_END = ".,;:!?…。、，！？；："
"""Marks that may end a sentence: with or without them a prompt says the same."""
_NAMED = 5
"""Ids that a notice spells out; the rest is counted."""


@dataclass(frozen=True)
class SetAside:
    """A prompt that is in the set, and not measured."""

    prompt: str
    template: str
    reason: str
    """In words that say nothing of its text."""


def find_repeats(prompts: Sequence[Prompt]) -> dict[int, int]:
    """Rows that say the same as an earlier row: both texts, every answer and every foil.

    Texts are equal where they are so after Unicode's NFC, without invisible format characters, with white space collapsed,
    and without white space and sentence marks at the end. Case counts; id, template, group and source do not, nor does
    the order of several answers. A pair with clean and corrupted exchanged is another prompt.

    Returns:
        Row → the first row that says the same.
    """
    return _find_equal(map(_read, prompts))


def find_token_repeats(pairs: Sequence[TokenPair]) -> dict[int, int]:
    """As `find_repeats`, where the tokens are the same as well: a tokenizer may not tell two texts apart."""
    by_text = find_repeats([pair.prompt for pair in pairs])
    # What a text repeats is left out already: only the first of each is compared by its tokens.
    firsts = [at for at in range(len(pairs)) if at not in by_text]
    keys = [(pairs[at].clean_ids, pairs[at].corrupted_ids, *_read(pairs[at].prompt)[3:]) for at in firsts]
    return by_text | {firsts[at]: firsts[first] for at, first in _find_equal(keys).items()}


def describe_repeats(names: Sequence[str], repeats: dict[int, int]) -> str:
    """The notice that goes with a set whose repeats were left out.

    Args:
        names: id of every row, the repeats among them.
    """
    said = [f"{names[at][:60]!r} repeats {names[first][:60]!r}" for at, first in sorted(repeats.items())]
    more = f" (and {len(said) - _NAMED} more)" if len(said) > _NAMED else ""
    says, count = ("1 prompt says", "counts") if len(said) == 1 else (f"{len(said)} prompts say", "count")
    return f"{says} the same as an earlier one and {count} once: {'; '.join(said[:_NAMED])}{more}."


def normalise_text(text: str) -> str:
    """A text as repeats are compared by."""
    visible = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")
    return " ".join(visible.split()).rstrip(f"{_END} ")


def _read(prompt: Prompt) -> tuple[Hashable, ...]:
    texts = (normalise_text(prompt.clean) or prompt.clean, normalise_text(prompt.corrupted) or prompt.corrupted)
    # An answer may be a mark itself, so marks count here.
    return (
        prompt.form,
        *texts,
        *(frozenset(" ".join(t.split()) or t for t in found) for found in (prompt.answers, prompt.foils)),
    )


def _find_equal(keys: Iterable[Hashable]) -> dict[int, int]:
    first: dict[Hashable, int] = {}
    places = [first.setdefault(key, at) for at, key in enumerate(keys)]
    return {at: place for at, place in enumerate(places) if place != at}
