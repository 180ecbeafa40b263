"""Thread settings: model lock, library imports and cores per thread."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

PATIENCE_S = 1.0
"""Seconds that a block of other work waits for prioritised work at most, so that live answers without end cannot stop a sweep."""


class _Here(threading.local):
    """What the current thread has of a lock."""

    depth = 0
    is_prioritised = False


class ModelLock:
    """Re-entrant lock that prioritised work, such as a live answer, gets before the next block of other work."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        self._n_prioritised = 0
        self._here = _Here()

    def __enter__(self) -> None:
        if not (self._here.is_prioritised or self._here.depth):
            with self._changed:
                self._changed.wait_for(lambda: not self._n_prioritised, PATIENCE_S)
        self._lock.acquire()
        self._here.depth += 1

    def __exit__(self, *_: object) -> None:
        self._here.depth -= 1
        self._lock.release()

    @contextmanager
    def prioritise(self) -> Iterator[None]:
        """Let this thread's work run before other threads take the lock again, each for at most `PATIENCE_S` a block."""
        was, self._here.is_prioritised = self._here.is_prioritised, True
        with self._changed:
            self._n_prioritised += 1
        try:
            yield
        finally:
            self._here.is_prioritised = was
            with self._changed:
                self._n_prioritised -= 1
                self._changed.notify_all()


MODEL_LOCK = ModelLock()
"""Lock for each block that a model runs, and while a model is built or loaded. Hooks are model state, and transformers loads
weights on torch's meta device, which made models in other threads see tensors without data."""


def prioritise() -> AbstractContextManager[None]:
    """Let what this thread does with models run before other work's next block; for work of under a second."""
    return MODEL_LOCK.prioritise()


_importing = threading.Lock()


def import_libraries() -> None:
    """Import the libraries for loading a model, one thread at a time.

    transformers resolves its names lazily: two threads that load models at once can see each other's half-imported
    modules (observed: AutoModelForCausalLM not found).
    """
    with _importing, _paused_collector():
        from transformer_lens.model_bridge import TransformerBridge  # noqa: F401
        from transformers import (  # noqa: F401
            AutoModelForCausalLM,
            AutoTokenizer,
            GPT2LMHeadModel,
            LlamaForCausalLM,
            PreTrainedTokenizerFast,
        )


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Imports make a million permanent objects; looking for garbage among them takes a fifth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def spare_a_core() -> None:
    """Limit this thread's matrix products to all cores but one.

    Live requests share the machine with browser and server; using every core made a request a third slower (measured on
    two cores).
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def use_all_cores() -> None:
    """Let this thread's matrix products use every core; a new thread inherits the setting of another one."""
    use_cores(os.cpu_count() or 1)


def use_cores(count: int) -> None:
    """Let this thread's matrix products use this many cores; another number can change the last digits of a result."""
    import torch

    torch.set_num_threads(count)
