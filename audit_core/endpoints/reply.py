"""What a model replies to a text."""

from __future__ import annotations

from dataclasses import dataclass

TOP = 20
"""First tokens of a reply that are read with their log-probability, at most."""


@dataclass(frozen=True)
class Reply:
    """A reply at temperature 0."""

    text: str
    first: tuple[tuple[str, float], ...] = ()
    """The most probable first tokens as text, each with its natural log-probability; empty where none are given."""
