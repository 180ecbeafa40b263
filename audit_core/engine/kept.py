"""What an engine keeps between runs, each within a number of bytes: unedited runs of recent prompts, and arguments of blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from audit_core.engine.capture import Capture
from audit_core.engine.replay import BlockCall

CAPTURES_KEPT, CAPTURE_BYTES = 8, 128 * 1024**2
"""Unedited runs, so that interactive edits of one prompt need no unedited run."""
CALLS_KEPT, CALL_BYTES = 4096, 64 * 1024**2
"""Arguments of blocks by prompt length: a mask of 2,048 tokens takes 17 MB."""
_Value = TypeVar("_Value")


class Recent(Generic[_Value]):
    """The values used last. One larger than all of the room is not kept."""

    def __init__(self, most: int, most_bytes: int, measure: Callable[[_Value], int]) -> None:
        self.most, self.most_bytes, self._measure = most, most_bytes, measure
        self._kept: OrderedDict[Hashable, tuple[_Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self._kept.values())

    def find(self, key: Hashable) -> _Value | None:
        """The value of a key, or None."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: _Value) -> None:
        """Keep a value, and remove those used longest ago until all fit."""
        self._kept[key] = value, self._measure(value)
        while len(self._kept) > self.most or self.size_bytes > self.most_bytes:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()


def keep_captures() -> Recent[Capture]:
    return Recent(CAPTURES_KEPT, CAPTURE_BYTES, lambda capture: capture.size_bytes)


def keep_calls() -> Recent[tuple[BlockCall, ...]]:
    return Recent(CALLS_KEPT, CALL_BYTES, _measure_calls)


def _measure_calls(calls: tuple[BlockCall, ...]) -> int:
    """Layers often share one mask, which counts once."""
    found: dict[int, int] = {}

    def add(value: Any) -> None:
        if isinstance(value, tuple):
            for one in value:
                add(one)
        elif hasattr(value, "untyped_storage"):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()

    for call in calls:
        for value in (*call.args, *call.kwargs.values()):
            add(value)
    return sum(found.values())
