"""What this process has checked before, by the whole content that was checked: a row that was edited is one it has not seen."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")
MAX_KEPT = 400_000


class KnownGood(Generic[Found]):
    """Results of checks that found nothing wrong.

    Kept in memory and never in a file, which a person who edits the database could edit too. The key is a digest of everything that
    the check reads, so every row is read and hashed each time; what is spared is parsing it.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._kept: OrderedDict[bytes, Found] = OrderedDict()
        self._most = most

    def find(self, content: object, check: Callable[[], tuple[Found, bool]]) -> Found:
        """The earlier result for equal content, or that of `check`, which also says whether all was right.

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
