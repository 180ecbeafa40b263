"""Attention statistics: observational, and not used by verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, read_only


class Source(StrEnum):
    """Source token whose attention from the answer position is read."""

    ANSWER = "answer"
    """First occurrence of an answer token."""
    FOIL = "foil"
    """First occurrence of a foil token."""
    CHANGED = "changed"
    """First token that differs between clean and corrupted."""
    FIRST = "first"
    """First token: the beginning-of-sequence token if there is one, to which inactive heads attend."""
    LAST = "last"
    """The answer position itself."""


@dataclass(frozen=True, eq=False)
class AttentionMass:
    """Attention from the answer position to one source token."""

    mass: Floats
    """Share of the head's attention; dimensionless 0–1; shape (layer, head, prompt)."""
    positions: tuple[int, ...]
    """Source position in each prompt."""

    def __post_init__(self) -> None:
        read_only(self.mass)


def list_sources(prompts: TokenisedPrompts) -> tuple[Source, ...]:
    """Source tokens that all of these prompts contain."""
    return tuple(s for s in Source if all(_find(pair, s) is not None for pair in prompts.pairs))


def find_source(pair: TokenPair, source: Source) -> int:
    """Position of a source token in the clean prompt.

    Raises:
        NotMeasured: the prompt does not contain the token.
    """
    position = _find(pair, source)
    if position is None:
        token = pair.prompt.answer if source is Source.ANSWER else pair.prompt.foil
        raise NotMeasured(
            "no_source", f"prompt {pair.prompt.id} does not contain {token!r}; choose another source token."
        )
    return position


def _find(pair: TokenPair, source: Source) -> int | None:
    wanted = {Source.ANSWER: pair.contrast.answer_ids, Source.FOIL: pair.contrast.foil_ids}
    if source in wanted:
        return next((at for at, token in enumerate(pair.clean_ids) if token in wanted[source]), None)
    return {Source.CHANGED: pair.first_changed, Source.FIRST: 0, Source.LAST: len(pair.clean_ids) - 1}[source]


def weigh_source(attention: Sequence[Floats], prompts: TokenisedPrompts, source: Source) -> AttentionMass:
    """Attention mass on one source token, per head and prompt.

    Args:
        attention: per prompt, from the answer position; shape (layer, head, key).

    Raises:
        NotMeasured: a prompt does not contain the source token.
    """
    positions = tuple(find_source(pair, source) for pair in prompts.pairs)
    mass = np.stack([rows[:, :, at] for rows, at in zip(attention, positions)], axis=-1)
    return AttentionMass(mass.astype(np.float32), positions)


def normalised_entropy(rows: Floats) -> Floats:
    """Normalised entropy of attention: 0 on one token, 1 if uniform over all keys.

    Args:
        rows: attention weights, last axis keys; shape (..., key).

    Returns:
        Dimensionless, shape (...).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(rows > 0, -rows * np.log(rows), rows * 0.0)
    # With one key the entropy is 0; any positive scale is valid.
    return (terms.sum(-1) / np.log(max(2, rows.shape[-1]))).astype(np.float32)
