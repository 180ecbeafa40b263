"""The variants of one question, whatever its parts are: tokens of a model that is open, or texts of a closed one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from audit_core.documents.question import Question, has_word

PartT = TypeVar("PartT")
InputT = TypeVar("InputT", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Variants(Generic[InputT]):
    """Inputs to run, each once, and which variant is which of them."""

    inputs: tuple[InputT, ...]
    lattice: NDArray[np.int64]
    """Index of the input by kept documents and filler; shape (2ⁿ, filler)."""
    deleted: NDArray[np.int64]
    """The same with the other documents deleted; shape (2ⁿ,)."""
    orders: NDArray[np.int64]
    """Of every other order; shape (order,)."""
    doubled: NDArray[np.int64]
    """With one document repeated; shape (n,)."""
    swapped: NDArray[np.int64]
    """With the next hit of the ranking in place of one document; shape (n,), or (0,) where no next hit is known."""

    @property
    def full(self) -> int:
        """Index of the input with all documents."""
        return int(self.lattice[-1, 0])

    @property
    def closed_book(self) -> int:
        """Index of the input without documents."""
        return int(self.deleted[0])


class _Rows(Generic[InputT]):
    """Inputs, each once."""

    def __init__(self) -> None:
        self.inputs: list[InputT] = []
        self._places: dict[InputT, int] = {}

    def add(self, one: InputT) -> int:
        """Row of an input."""
        if one not in self._places:
            self._places[one] = len(self.inputs)
            self.inputs.append(one)
        return self._places[one]


def plan_variants(
    bodies: Sequence[PartT],
    fillers: Sequence[Sequence[PartT]],
    join: Callable[[Sequence[PartT]], InputT],
    next_hit: PartT | None = None,
) -> Variants[InputT]:
    """Every subset of documents with the others replaced or deleted, other orders, repeats, and swaps.

    Args:
        fillers: per document, then per filler.
        join: the input with these documents.
        next_hit: the document that the ranking has after the last one; None where it is not known.
    """
    rows, n = _Rows[InputT](), len(bodies)
    full = rows.add(join(bodies))
    lattice = [
        [full if kept + 1 == 1 << n else rows.add(join(_replace(bodies, fillers, kept, at)))
         for at in range(len(fillers[0]))]
        for kept in range(1 << n)
    ]  # fmt: skip
    deleted = [rows.add(join([bodies[at] for at in range(n) if kept >> at & 1])) for kept in range(1 << n)]
    orders = [rows.add(join([bodies[at] for at in order])) for order in list_orders(n)]
    doubled = [rows.add(join([*bodies, body])) for body in bodies]
    swapped = (
        [] if next_hit is None else [rows.add(join([*bodies[:at], next_hit, *bodies[at + 1 :]])) for at in range(n)]
    )
    return Variants(
        tuple(rows.inputs), np.array(lattice), np.array(deleted), np.array(orders, np.int64), np.array(doubled),
        np.array(swapped, np.int64),
    )  # fmt: skip


def count_variants(n: int, fillers: int, *, has_next: bool = False) -> int:
    """Inputs of a question with this many documents, at most."""
    return 1 + ((1 << n) - 1) * (fillers + 1) + len(list_orders(n)) + n * (1 + has_next)


def list_orders(n: int) -> list[tuple[int, ...]]:
    """Every other order of up to three documents; of more, every rotation and the reverse."""
    first = tuple(range(n))
    if n <= 3:
        return [order for order in itertools.permutations(first) if order != first]
    turns = [(*first[at:], *first[:at]) for at in range(1, n)]
    return list(dict.fromkeys([*turns, first[::-1]]))


def find_editable(question: Question, number: int, given: str) -> str | None:
    """The value of a document that is edited: the one that it states, else the given answer if it occurs there."""
    stated = question.find_stated(number)
    if stated is not None:
        return stated
    return given if has_word(question.documents[number], given) else None


def list_other_values(question: Question, values: Collection[str], given: str, old: str, *, seed: int) -> list[str]:
    """Values that no document has, in a random order."""
    text = " ".join(question.documents)
    free = [value for value in values if value not in (given, old) and not has_word(text, value)]
    Random(f"edits {seed} {question.id}").shuffle(free)
    return free


def _replace(bodies: Sequence[PartT], fillers: Sequence[Sequence[PartT]], kept: int, which: int) -> list[PartT]:
    return [body if kept >> at & 1 else fillers[at][which] for at, body in enumerate(bodies)]
