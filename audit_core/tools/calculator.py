"""A calculator with its own bounded evaluator: sums, differences and products of whole numbers, nothing else."""

from __future__ import annotations

import re

from audit_core.errors import Refused

MAX_CHARACTERS, MAX_DEPTH, LARGEST = 200, 10, 10**9
_TOKEN = re.compile(r"\s*([0-9]{1,10}|[-+*()])")


def calculate(expression: str) -> int:
    """The value of an expression of whole numbers with + − * and brackets.

    Raises:
        Refused: too long, too deep, too large, or anything else in it.

    Example:
        >>> calculate("2 * (3 + 4)")
        14
    """
    if len(expression) > MAX_CHARACTERS:
        raise _refuse(f"{len(expression):,} characters")
    words, at = [], 0
    text = expression.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _refuse(f"{text[at : at + 20]!r}")
        words.append(found[1])
        at = found.end()
    reader = _Reader(words)
    value = reader.read_sum(0)
    if reader.words:
        raise _refuse(f"{reader.words[0]!r} after the end")
    return value


class _Reader:
    """Recursive descent over the words that are left; its depth is bounded by that of the brackets and signs."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def read_sum(self, depth: int) -> int:
        value = self._read_product(depth)
        while self.words and self.words[0] in "+-":
            sign = 1 if self.words.pop(0) == "+" else -1
            value = _bound(value + sign * self._read_product(depth))
        return value

    def _read_product(self, depth: int) -> int:
        value = self._read_value(depth)
        while self.words and self.words[0] == "*":
            self.words.pop(0)
            value = _bound(value * self._read_value(depth))
        return value

    def _read_value(self, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise _refuse(f"more than {MAX_DEPTH} brackets and signs in each other")
        word = self.words.pop(0) if self.words else ""
        if word == "-":
            return -self._read_value(depth + 1)
        if word == "(":
            value = self.read_sum(depth + 1)
            if not self.words or self.words.pop(0) != ")":
                raise _refuse("an open bracket")
            return value
        if not word.isdecimal():
            raise _refuse(f"{word!r} in place of a number" if word else "a missing number")
        return _bound(int(word))


def _bound(value: int) -> int:
    if abs(value) > LARGEST:
        raise _refuse(f"a number above {LARGEST:,}")
    return value


def _refuse(found: str) -> Refused:
    return Refused(
        f"An expression with {found}.", wanted=f"whole numbers up to {LARGEST:,} with + - * and brackets.",
        remedy="write it so.",
    )  # fmt: skip
