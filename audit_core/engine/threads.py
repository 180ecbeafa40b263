"""How many cores a thread's matrix products may take."""

from __future__ import annotations

import os
import threading

MODEL_LOCK = threading.RLock()
"""Held for each block that a model runs, and while a model is built or loaded. Hooks belong to a model, and transformers loads
weights on torch's meta device: a model that ran in another thread meanwhile met tensors without numbers (seen)."""
_importing = threading.Lock()


def import_libraries() -> None:
    """Import what loading a model needs, one thread at a time.

    transformers resolves its names lazily, and two threads that begin to load models at once can each meet the other's
    half-imported modules (seen: AutoModelForCausalLM was not to be found).
    """
    with _importing:
        from transformer_lens.model_bridge import TransformerBridge  # noqa: F401
        from transformers import (  # noqa: F401
            AutoModelForCausalLM,
            AutoTokenizer,
            GPT2LMHeadModel,
            LlamaForCausalLM,
            PreTrainedTokenizerFast,
        )


def spare_a_core() -> None:
    """Let this thread's matrix products use all cores but one.

    A live answer shares the machine with the browser that shows it and the server that sends it; with every core taken,
    all three wait for each other (a third more time from click to number, measured on two cores).
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def use_all_cores() -> None:
    """Let this thread's matrix products use every core: a thread begins with what another one last asked for."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
