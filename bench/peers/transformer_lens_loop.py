"""TransformerLens' own loop: `patching.get_act_patch_attn_head_out_all_pos`, one forward pass for each head."""

from __future__ import annotations

from collections.abc import Callable

from serve import Task, serve


def load(task: Task) -> Callable[[], list[float]]:
    import torch
    from transformer_lens import patching
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(task.folder, device="cpu", dtype=torch.float32)
    clean, corrupted = torch.tensor([task.clean]), torch.tensor([task.corrupted])

    @torch.no_grad()
    def sweep() -> list[float]:
        _, cache = bridge.run_with_cache(clean)
        found = patching.get_act_patch_attn_head_out_all_pos(
            bridge, corrupted, cache, lambda logits: logits[0, -1, task.answer] - logits[0, -1, task.foil]
        )
        return [float(value) for value in found.flatten()]

    return sweep


if __name__ == "__main__":
    serve(load, ("transformer_lens", "transformers", "torch"))
