"""Thread settings: model lock, library imports and cores per thread."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MODEL_LOCK = threading.RLock()
"""Lock for each block that a model runs, and while a model is built or loaded. Hooks are model state, and transformers loads
weights on torch's meta device, which made models in other threads see tensors without data."""
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
