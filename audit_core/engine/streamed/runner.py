"""Streamed runs: each layer's weights serve all unedited and edited rows of a pass, then make room for the next layer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from audit_core.engine.beginnings import read_at_end
from audit_core.engine.layered import PartRun
from audit_core.engine.passes import ROWS_BYTES, Pass, draw_states, list_lengths, plan_passes
from audit_core.engine.plan import Group
from audit_core.engine.readout import LogitTable
from audit_core.engine.runner import WaveRunner
from audit_core.engine.streamed.store import LayerStore
from audit_core.engine.wave import Variant, compile_intervention
from audit_core.errors import ModelRefused
from audit_core.intervention import Intervention
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Geometry, Logits, Means, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class StreamedRunner(WaveRunner):
    """Runs the waves of `WaveRunner`, with the same rows in the same batches, so that every logit is equal bit for bit.

    Only the order differs: all waves of a pass take turns at each layer.
    """

    def __init__(self, bridge: TransformerBridge, geometry: Geometry, store: LayerStore) -> None:
        super().__init__(bridge, geometry)
        self.store = store
        self.room = ROWS_BYTES
        """Memory for the rows of one pass; tests use less."""

    def fall_back(self, why: str) -> None:
        raise ModelRefused(
            f"The layers of this model cannot be run one by one: {why}.",
            wanted="a model whose blocks give its own logits.",
            remedy="open it without `--streamed`.",
        )

    def explain_no_gradients(self) -> str:
        # A backward pass would read memory that by then holds the weights of another layer.
        return "Gradients are not available of a model that is read layer by layer."

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        passes = self.plan_passes(prompts, [compile_intervention(i) for i in interventions])[1]
        return max(1, sum(part.work for one in passes for part in one.parts))

    def plan_passes(
        self, prompts: TokenisedPrompts, variants: Sequence[Variant]
    ) -> tuple[tuple[Group, ...], tuple[Pass, ...]]:
        """Groups of prompts as for a model in memory, and the passes that run them."""
        groups = self._plan(prompts, variants)
        return groups, plan_passes(groups, list_lengths(groups, prompts), self.geometry, room=self.room)

    def run(
        self,
        prompts: TokenisedPrompts,
        interventions: Sequence[Intervention],
        *,
        means: Means | None,
        vocabulary: bool,
        seed: int,
        on_progress: Progress,
    ) -> Logits:
        """As `WaveRunner.run`; progress is reported, and a cancel request heard, after each block of each wave."""
        import torch

        variants = self.compile(prompts, interventions)
        groups, passes = self.plan_passes(prompts, variants)
        generator = torch.Generator().manual_seed(seed)
        states = draw_states(groups, list_lengths(groups, prompts), variants, self.geometry, generator)
        table = LogitTable(prompts, len(variants), self.geometry.n_vocabulary if vocabulary else 0)
        total, done, applied = sum(part.work for one in passes for part in one.parts), 0, 0

        def advance(work: int) -> None:
            nonlocal done
            done += work
            on_progress(done, total)

        for one in passes:
            runs = []
            for part in one.parts:
                pairs = [prompts.pairs[i] for i in part.group.prompts]
                run = PartRun(self, part, pairs, interventions, variants, means)
                run.begin(seed, states[part.number])
                runs.append((run, read_at_end(part.group.prompts)))
            for layer in range(self.model.n_layers):
                for run, _ in runs:
                    run.run_layer(layer, advance)
            for run, places in runs:
                applied += run.read(table, places)
        return table.finish(applied)

    def skip_blocks(self) -> AbstractContextManager[None]:
        """All of them, so that no weights are read."""
        return self.store.skip_layers()
