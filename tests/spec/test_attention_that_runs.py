"""What a run's identity says of attention is what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_engine_calls_no_fused_attention_and_says_eager(
    family: str, load_family: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine takes attention over from transformers, so that asking transformers for another one changes nothing."""
    import torch
    from transformers import AutoModelForCausalLM

    subject, calls, fused = load_family(family), [], torch.nn.functional.scaled_dot_product_attention

    def count(*tensors: Any, **options: Any) -> Any:
        calls.append(1)
        return fused(*tensors, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", count)
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.inference_mode():
        subject.bridge(ids)
        assert (calls, subject.identity.attention) == ([], "eager")
        plain = AutoModelForCausalLM.from_pretrained(subject.identity.folder, attn_implementation="sdpa")
        plain(ids)
    assert calls, "the count is alive"
