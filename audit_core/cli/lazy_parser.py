"""A parser whose options are added when its command is used: one command needs none of the options of a hundred others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any


class LazyParser(argparse.ArgumentParser):
    """As its base class, and the class of the commands below it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._later: list[Callable[[LazyParser], object]] = []

    def later(self, add: Callable[[LazyParser], object]) -> None:
        """Call `add` with this parser before it is used."""
        self._later.append(add)

    def fill(self) -> None:
        """Add now what was left for later."""
        while self._later:
            self._later.pop(0)(self)

    # Each overload of the base class returns a namespace and the words that are left.
    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        self.fill()
        return super().parse_known_args(args, namespace)
