"""pyvene: an interchange intervention on one head's output for each row, and one call for each layer with a row for each head."""

from __future__ import annotations

from collections.abc import Callable

from serve import Task, serve


def load(task: Task) -> Callable[[], list[float]]:
    import pyvene
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(task.folder, dtype=torch.float32).eval()
    swap = {"component": "head_attention_value_output", "unit": "h", "intervention_type": pyvene.VanillaIntervention}
    layers = [
        pyvene.IntervenableModel(pyvene.IntervenableConfig([swap | {"layer": layer}]), model=model)
        for layer in range(task.n_layers)
    ]
    ones = torch.ones(task.n_heads, len(task.clean), dtype=torch.long)
    clean, corrupted = (
        {"input_ids": torch.tensor([ids]).repeat(task.n_heads, 1), "attention_mask": ones}
        for ids in (task.clean, task.corrupted)
    )
    places = {"sources->base": ([[[head] for head in range(task.n_heads)]],) * 2}

    @torch.no_grad()
    def sweep() -> list[float]:
        found: list[float] = []
        for layer in layers:
            _, patched = layer(corrupted, [clean], places)
            last = patched.logits[:, -1]
            found += (last[:, task.answer] - last[:, task.foil]).tolist()
        return found

    return sweep


if __name__ == "__main__":
    serve(load, ("pyvene", "transformers", "torch"))
