"""Labelled texts of a request: each text once, with its label, its template, its word and the positions that are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import PromptRefused
from audit_core.probes.results import Position, ProbesRequest
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Every distinct text of a set of pairs, clean and corrupted."""

    labels: tuple[str, str]
    """The two labels; the second is "true" for a probe."""
    ids: tuple[Tokens, ...]
    is_second: NDArray[np.bool_]
    """Shape (text,)."""
    templates: tuple[str, ...]
    words: tuple[str, ...]
    """The tokens that the text has and the other text of its pair has not."""
    label_at: tuple[int, ...]
    """Position of the last of them."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def chance(self) -> float:
        share = float(self.is_second.mean())
        return max(share, 1 - share)

    def list_positions(self, position: Position) -> tuple[int, ...]:
        """Where each text is read."""
        return self.label_at if position is Position.LABEL else (-1,) * len(self)


def find_difference(pair: TokenPair) -> int:
    """Last position in which the texts of a pair differ."""
    both = zip(pair.clean_ids, pair.corrupted_ids, strict=True)
    return max(at for at, (one, other) in enumerate(both) if one != other)


def list_sides(prompts: TokenisedPrompts) -> tuple[Position, ...]:
    """Positions worth reading: both, unless every pair differs in its last token."""
    apart = any(find_difference(pair) < len(pair.clean_ids) - 1 for pair in prompts.pairs)
    return (Position.LABEL, Position.LAST) if apart else (Position.LAST,)


def list_texts(request: ProbesRequest) -> LabelledTexts:
    """The labelled texts of a request.

    Raises:
        PromptRefused: not two labels, or a text with both.
    """
    has_source = request.source is not None
    own = [pair.prompt.group if has_source else pair.prompt.answer.strip() for pair in request.prompts.pairs]
    other = None if has_source else [pair.prompt.foil.strip() for pair in request.prompts.pairs]
    names = sorted(set(own) | set(other or ()))
    if len(names) != 2:
        shown = ", ".join(name[:30] for name in names[:6])
        raise PromptRefused(
            f"{len(names)} labels: {shown}.", wanted="two labels: a probe tells one from the other.",
            remedy="give a labelled file with two labels; mark every other text with one of them.",
        )  # fmt: skip
    found: dict[tuple[Tokens, int], tuple[bool, str, str]] = {}
    for pair, label in zip(request.prompts.pairs, own, strict=True):
        at = find_difference(pair)
        template = pair.cluster or pair.prompt.template
        for ids, against, is_second in (
            (pair.clean_ids, pair.corrupted_ids, label == names[1]),
            (pair.corrupted_ids, pair.clean_ids, label != names[1]),
        ):
            word = "-".join(str(one) for one, two in zip(ids, against, strict=True) if one != two)
            known = found.setdefault((ids, at), (is_second, template, word))
            if known[0] is not is_second:
                raise PromptRefused(
                    f"The text of prompt {pair.prompt.id[:60]!r} has both labels.",
                    wanted="one label a text.", remedy="remove one of the two rows.",
                )  # fmt: skip
    keys = list(found)
    return LabelledTexts(
        (names[0], names[1]), tuple(ids for ids, _ in keys), np.array([found[key][0] for key in keys]),
        tuple(found[key][1] for key in keys), tuple(found[key][2] for key in keys), tuple(at for _, at in keys),
    )  # fmt: skip


def choose_layers(n_layers: int, most: int) -> tuple[int, ...]:
    """At most this many layers, spread from the first to the last."""
    n = min(most, n_layers)
    return (n_layers - 1,) if n == 1 else tuple(round(at * (n_layers - 1) / (n - 1)) for at in range(n))


def count_words(texts: LabelledTexts) -> int:
    return len(Counter(texts.words))
