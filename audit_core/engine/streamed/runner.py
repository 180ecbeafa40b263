"""Streamed runs: each layer's weights serve all unedited and edited rows of a pass, then make room for the next layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from audit_core.engine.beginnings import read_at_end
from audit_core.engine.capture import Capture, CaptureSteps
from audit_core.engine.hooks import Sources
from audit_core.engine.needs import gather_sources, list_needs
from audit_core.engine.plan import Group
from audit_core.engine.readout import LogitTable
from audit_core.engine.replay import BlockCall, record_calls
from audit_core.engine.runner import WaveRunner
from audit_core.engine.streamed.passes import ROWS_BYTES, Part, Pass, draw_states, plan_passes
from audit_core.engine.streamed.store import LayerStore
from audit_core.engine.wave import Variant, WaveSteps, compile_intervention
from audit_core.errors import ModelRefused
from audit_core.intervention import Intervention
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Geometry, Logits, Means, Progress

if TYPE_CHECKING:
    import torch
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
        variants = self.compile(prompts, interventions)
        groups, passes = self.plan_passes(prompts, variants)
        states = draw_states(groups, list_lengths(groups, prompts), variants, self.geometry, seed)
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
                runs.append(run)
            for layer in range(self.model.n_layers):
                for run in runs:
                    run.run_layer(layer, advance)
            for run in runs:
                applied += run.read(table)
        return table.finish(applied)

    def find_calls(self, length: int) -> tuple[BlockCall, ...]:
        """As `WaveRunner.find_calls`, without reading weights: arguments of blocks do not depend on what blocks compute."""
        import torch

        if length not in self._calls:
            with self.lock, torch.inference_mode(False), torch.no_grad(), self.store.skip_layers():
                self._calls[length] = record_calls(self.model, torch.zeros(1, length, dtype=torch.long))
        return self._calls[length]


class PartRun:
    """What one pass runs of one group of prompts."""

    def __init__(
        self,
        runner: StreamedRunner,
        part: Part,
        pairs: Sequence[TokenPair],
        interventions: Sequence[Intervention],
        variants: Sequence[Variant],
        means: Means | None,
    ) -> None:
        import torch

        self.runner, self.part, self.variants, self.n_prompts = runner, part, variants, len(pairs)
        self._needs = list_needs(interventions)
        self._inserted = gather_sources(means, pairs, interventions)
        tokens = torch.tensor(self._needs.list_rows(pairs))
        self._calls = runner.find_calls(tokens.shape[1])
        self._capture = CaptureSteps(runner.model, tokens, self._needs.kinds, runner.turn)
        self._waves: list[tuple[tuple[int, ...], WaveSteps]] = []
        self._last: Capture | None = None

    def begin(self, seed: int, states: Sequence[torch.Tensor | None]) -> None:
        """Make the waves, each with the random generator that it would have after the waves before it."""
        import torch

        for at in self.part.chunks:
            chunk, state = self.part.group.chunks[at], states[at]
            generator = torch.Generator().manual_seed(seed)
            if state is not None:
                generator.set_state(state)
            chosen = [self.variants[i] for i in chunk.variants]
            steps = WaveSteps(self.runner.model, chosen, start=chunk.start, generator=generator, turn=self.runner.turn)
            self._waves.append((chunk.variants, steps))

    def run_layer(self, layer: int, advance: Callable[[int], None]) -> None:
        """One block on the unedited rows, then on all waves; what was captured in it is then released."""
        captured = self._capture.run_layer(layer, self._calls[layer])
        advance(self.part.group.capture_work // self.runner.model.n_layers)
        sources = self._divide(captured)
        for _, wave in self._waves:
            wave.run_layer(layer, self._calls[layer], sources, advance, at=0)
        self._last = captured if layer + 1 == self.runner.model.n_layers else None

    def read(self, table: LogitTable) -> int:
        """Logits from the final states; returns the number of applied edits."""
        assert self._last is not None
        prompts, applied = self.part.group.prompts, 0
        if self.part.is_first:
            self.runner.read_unedited(table, self.variants, self._divide(self._last), read_at_end(prompts))
        for chosen, wave in self._waves:
            ended = wave.finish()
            self.runner.read(table, ended.finals[:, :, -1], chosen, prompts)
            applied += ended.edits_applied * self.n_prompts
        return applied

    def _divide(self, captured: Capture) -> Sources:
        return Sources(self._needs.divide(captured, self.n_prompts), *self._inserted)


def list_lengths(groups: Sequence[Group], prompts: TokenisedPrompts) -> list[int]:
    """Tokens of each group's prompts."""
    return [len(prompts.pairs[group.prompts[0]].clean_ids) for group in groups]
