"""Cache of successful checks in this process, keyed by the full checked content; an edited row is checked again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")
MAX_KEPT = 400_000


class KnownGood(Generic[Found]):
    """Results of checks without findings.

    The cache is in memory only, because a file could be edited together with the database. The key is a digest of all that
    the check reads: every row is read and hashed each time, and only parsing is skipped.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._kept: OrderedDict[bytes, Found] = OrderedDict()
        self._most = most

    def find(self, content: object, check: Callable[[], tuple[Found, bool]]) -> Found:
        """The cached result for equal content, else the result of `check`, cached if its second value is True.

        Args:
            content: texts, numbers and tuples of them.
        """
        key = hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).digest()
        if (known := self._kept.get(key)) is not None:
            return known
        found, is_valid = check()
        if is_valid:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found
