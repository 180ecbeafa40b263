"""nnsight: one trace captures the clean run, a second one has an invoke for each head, which nnsight runs as one batch."""

from __future__ import annotations

from collections.abc import Callable

from serve import Task, serve


def load(task: Task) -> Callable[[], list[float]]:
    import torch
    from nnsight import TransformersModel

    model = TransformersModel(task.folder, task="text-generation", device_map="cpu", dtype=torch.float32, dispatch=True)
    layers = model.model.layers
    clean, corrupted = torch.tensor([task.clean]), torch.tensor([task.corrupted])
    size = layers[0].self_attn.o_proj.in_features // task.n_heads

    @torch.no_grad()
    def sweep() -> list[float]:
        with model.trace(clean):
            outputs = list().save()
            for layer in layers:
                outputs.append(layer.self_attn.o_proj.input)
        with model.trace() as tracer:
            found = list().save()
            for layer in range(task.n_layers):
                for head in range(task.n_heads):
                    with tracer.invoke(corrupted):
                        part = slice(head * size, (head + 1) * size)
                        layers[layer].self_attn.o_proj.input[:, :, part] = outputs[layer][:, :, part]
                        logits = model.lm_head.output[0, -1]
                        found.append((logits[task.answer] - logits[task.foil]).item())
        return found

    return sweep


if __name__ == "__main__":
    serve(load, ("nnsight", "transformers", "torch"))
