"""Lets transformers read its folder of model definitions once: its two packages each read all 2,000 files at import."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_MODULE, _READER = "transformers.utils.import_utils", "create_import_structure_from_path"


class _Finder(MetaPathFinder):
    """Finds the module where it is, and caches its reader as soon as the module has run."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == _MODULE else None
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_cache(module: ModuleType) -> None:
                run(module)
                # A function of the files alone, called twice with equal arguments: about 5 % of the CPU time of all imports.
                if (read := getattr(module, _READER, None)) is not None:
                    setattr(module, _READER, functools.cache(read))

            spec.loader.exec_module = run_and_cache  # type: ignore[method-assign]
        return spec


@contextmanager
def read_model_index_once() -> Iterator[None]:
    """Cache the reader while the libraries are imported; without effect if transformers is imported already."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
