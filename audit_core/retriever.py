"""What a plug-in of `retrievers/` is: one way to rank passages for a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One retrieved passage."""

    passage: int
    """Index among the passages."""
    score: float
    """In the retriever's own unit: larger is more similar."""


@dataclass(frozen=True)
class Retriever:
    """One way to rank passages."""

    name: str
    label: str
    """Name on pages."""
    unit: str
    """Of its scores."""

    @property
    def question(self) -> str:
        """What it answers."""
        return f"Which passages come first by {self.label}?"

    def identify(self) -> str:
        """Version and settings, or the digest of its weights, for the retrieved file."""
        raise NotImplementedError

    def rank(self, passages: Sequence[str], queries: Sequence[str], most: int) -> tuple[tuple[Hit, ...], ...]:
        """The first passages of each query, most similar first; equal scores in the order of the passages.

        Raises:
            Refused: what it needs is missing.
        """
        raise NotImplementedError
