"""Runs layer by layer: each layer's unedited runs serve all waves of a pass, then make room for those of the next layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from audit_core.engine.beginnings import MergedPrompts, Readings
from audit_core.engine.capture import Capture, CaptureSteps
from audit_core.engine.hooks import Sources
from audit_core.engine.memory import KEPT_BYTES, measure_kept
from audit_core.engine.needs import gather_sources, list_edited, list_needs
from audit_core.engine.passes import Part, Pass, draw_states, list_lengths, plan_passes
from audit_core.engine.plan import Group, count_work
from audit_core.engine.readout import LogitTable
from audit_core.engine.wave import Variant, WaveSteps
from audit_core.intervention import Intervention
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Means

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner

ROWS_BYTES = 320 * 1024**2
"""Memory for one layer of the unedited runs and for the rows of all waves of one pass. Each pass runs the unedited rows again: at
2,048 tokens of the default model, two rows for 55 interventions, 7 % more work."""


class LayeredRun:
    """The groups of a run whose unedited runs are too large to keep, with the passes that run each."""

    def __init__(
        self, runner: WaveRunner, groups: Sequence[Group], merged: MergedPrompts, asked: Sequence[Intervention]
    ):
        self.runner, self.groups, self.merged, self.asked = runner, groups, merged, asked
        self.passes: Mapping[int, tuple[Pass, ...]] = {}
        if not runner.fallback:
            kinds, shape = list_needs(asked).kinds, runner.geometry
            self.passes = {
                number: plan_passes([group], [length], shape, room=ROWS_BYTES)
                for number, (group, length) in enumerate(zip(groups, list_lengths(groups, merged.prompts), strict=True))
                if measure_kept(shape, kinds, group.capture_work // (shape.n_layers * length), length) > KEPT_BYTES
            }

    def count_work(self) -> int:
        """Rows × positions × layers of the whole run, those of the other groups included."""
        whole = [group for number, group in enumerate(self.groups) if number not in self.passes]
        return count_work(whole) * bool(whole) + sum(
            part.work for passes in self.passes.values() for one in passes for part in one.parts
        )

    def run(
        self,
        number: int,
        variants: Sequence[Variant],
        means: Means | None,
        generator: torch.Generator,
        table: LogitTable,
        advance: Callable[[int], None],
    ) -> int:
        """Fill the table's columns of one group; returns the number of applied edits.

        The rows of each wave are those of `run_wave`, so that every logit is equal bit for bit.
        """
        group, prompts = self.groups[number], self.merged.prompts
        pairs = [prompts.pairs[i] for i in group.prompts]
        places, applied = self.merged.find(group.prompts), 0
        lengths = list_lengths([group], prompts)
        (states,) = draw_states([group], lengths, variants, self.runner.geometry, generator)
        for one in self.passes[number]:
            for part in one.parts:
                run = PartRun(self.runner, part, pairs, self.asked, variants, means)
                run.begin(generator.initial_seed(), states)
                for layer in range(self.runner.model.n_layers):
                    run.run_layer(layer, advance)
                applied += run.read(table, places)
        return applied


class PartRun:
    """What one pass runs of one group of prompts."""

    def __init__(
        self,
        runner: WaveRunner,
        part: Part,
        pairs: Sequence[TokenPair],
        interventions: Sequence[Intervention],
        variants: Sequence[Variant],
        means: Means | None,
    ) -> None:
        self.runner, self.part, self.variants, self.n_prompts = runner, part, variants, len(pairs)
        self._needs = list_needs(interventions)
        self._inserted = gather_sources(
            means, pairs, interventions, runner.model.device, kinds=list_edited(interventions)
        )
        tokens = runner.model.place_tokens(self._needs.list_rows(pairs))
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

    def read(self, table: LogitTable, places: Readings) -> int:
        """Logits from the final states; returns the number of applied edits."""
        assert self._last is not None
        applied = 0
        if self.part.is_first:
            self.runner.read_unedited(table, self.variants, self._divide(self._last), places)
        for chosen, wave in self._waves:
            ended = wave.finish(places.n_last)
            self.runner.read(table, places.take(ended.finals), chosen, places.prompts)
            # One edit of a row is an edit of every prompt that is read from it.
            applied += ended.edits_applied * len(places.prompts)
        return applied

    def _divide(self, captured: Capture) -> Sources:
        return Sources(self._needs.divide(captured, self.n_prompts), *self._inserted)
