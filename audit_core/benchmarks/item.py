"""Items of a benchmark: questions with options to choose from, or with answers to write."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

MAX_FILE_BYTES = 16 * 1024**2
MAX_ROWS = 20_000
MAX_CHARACTERS = 20_000
"""Longest text of a row."""
MAX_OPTIONS = 26


class MatchRule(StrEnum):
    """When a written answer counts as right."""

    TEXT = "text"
    """Equal words, without case, articles and punctuation."""
    NUMBER = "number"
    """The first number that is written equals the reference."""
    FORMULA = "formula"
    """Equal without spaces, dollar signs and a surrounding `\\boxed{}`."""


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    id: str
    question: str
    category: str = ""
    """Subject or task that it belongs to; empty if the file names none."""
    options: tuple[str, ...] = ()
    """Texts to choose from; empty if the answer is written."""
    right: int = 0
    """Index of the right option."""
    references: tuple[str, ...] = ()
    """Accepted written answers; empty if there are options."""
    passage: str = ""
    """Text that the question is about."""
    names_options: bool = False
    """Whether the question's text lists the options itself, so that they are not listed again."""


@dataclass(frozen=True)
class RowFault:
    """A row that cannot be asked."""

    place: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}; {self.remedy}"


class BadRow(Exception):
    """Raised by a format for a row that it cannot read."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text, self.remedy = text, remedy


Cells = dict[str, object] | list[str]
"""One row: an object of JSON, or the cells of a line of CSV."""


@dataclass(frozen=True)
class RawFile:
    """Rows of a file before any format reads them."""

    name: str
    rows: tuple[tuple[str, Cells], ...]
    """Place in the file, such as `line 3`, and the row."""
    is_csv: bool


class BenchmarkFormat(Protocol):
    """Interface of the plug-ins in `benchmark_formats/`."""

    name: str
    title: str
    question: str
    match: MatchRule
    """How written answers are compared."""

    def fits(self, file: RawFile) -> bool:
        """Whether the first rows look like this format."""

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        """One item.

        Raises:
            BadRow: the row lacks something, with a remedy.
        """

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items of the whole file, where a row alone does not say what its options are."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as read from a file."""

    name: str
    format: str
    match: MatchRule
    sha256: str
    """Digest of the file's bytes."""
    items: tuple[Item, ...]
    faults: tuple[RowFault, ...] = field(default=(), compare=False)
    """Rows that were left out."""
