"""How the engine's distance from its floor moves with the width of the model: random weights, eight layers each."""

from __future__ import annotations

import shutil
import statistics
import tempfile

from engine import REPEATS, clock, compare_blocks, compare_cpu, compare_sweeps, count_multiply_adds, measure_gemm

WIDTHS = (256, 512, 1024, 2048)
"""Of the residual stream."""
PAIRS = 20
"""A sweep of one pair has 30 to 160 rows a product, for which each weight is read once; so many pairs have rows enough."""
WIDEST_OF_PAIRS = 512
"""At width 2,048 five sweeps of so many pairs would take a quarter of an hour."""


def bench_widths() -> dict[str, float]:
    """A sweep of all heads of one pair, at each width."""
    found = {}
    for width in WIDTHS:
        found |= {f"sweep.{name}_width_{width}": value for name, value in compare(width).items()}
    return found


def compare(width: int) -> dict[str, float]:
    """Times over that of the bare products, and over the time through TransformerLens' blocks; medians."""
    from audit_core import Kind, PromptSet, Replacement, intervene, load_prompt_set, tokenise

    subject = build(width)
    rows = load_prompt_set("indirect_object").prompts
    prompts, several = (tokenise(PromptSet("bench", rows[:n]), subject.tokenizer) for n in (1, PAIRS))
    edits = [intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)]
    ratios = []
    for _ in range(REPEATS):
        subject.runner.clear_captures()
        wall = clock(lambda: subject.run(prompts, edits))
        ratios.append(wall / (count_multiply_adds(subject, prompts, edits) / measure_gemm()))
    more = (
        {f"cpu_floor_ratio_{PAIRS}_pairs": compare_sweeps(subject, several, edits)} if width <= WIDEST_OF_PAIRS else {}
    )
    return {
        "gemm_floor_ratio": statistics.median(ratios),
        **compare_cpu(subject, prompts, edits),
        **more,
        "direct_vs_wrapped": compare_blocks(subject, prompts, edits),
    }


def build(width: int, layers: int = 8):
    """The default model's architecture and tokenizer at another width and depth."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from audit_core import open_subject
    from audit_core.models import resolve_model

    known = resolve_model("default")
    config = AutoConfig.from_pretrained(known)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = width, width * 8 // 3, layers
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = width // 64, width // 64, 64
    with tempfile.TemporaryDirectory() as made:
        for file in known.glob("tokenizer*.json"):
            shutil.copy(file, made)
        AutoModelForCausalLM.from_config(config).save_pretrained(made)
        return open_subject(made)
