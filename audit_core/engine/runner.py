"""The engine: interventions in, logits per intervention and prompt out; all model runs use it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.component import Kind
from audit_core.engine.beginnings import MergedPrompts, Readings, keep_all, merge_beginnings
from audit_core.engine.capture import Capture, capture_layers, capture_run
from audit_core.engine.chunks import ChunkRun
from audit_core.engine.device import to_numpy
from audit_core.engine.forward import LogitReadout, capture_forward, run_forward
from audit_core.engine.hooks import Sources
from audit_core.engine.inputs import read_inputs
from audit_core.engine.kept import keep_calls, keep_captures
from audit_core.engine.layered import LayeredRun
from audit_core.engine.mean_capture import capture_means
from audit_core.engine.means import NeuronBounds, stack_layers
from audit_core.engine.memory import check_kept, check_patterns, check_row
from audit_core.engine.needs import gather_sources, list_needs
from audit_core.engine.plan import Group, Room, count_tokens, plan_groups
from audit_core.engine.readout import LogitTable, Readout
from audit_core.engine.replay import BlockCall, record_calls, skip_direct
from audit_core.engine.sites import check_places, find_hooks, locate_position
from audit_core.engine.threads import MODEL_LOCK
from audit_core.engine.wave import Variant, Wave, compile_intervention, run_wave
from audit_core.errors import InterventionRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Intervention, PromptSide
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Geometry, Logits, Means, Progress, TokenRouting, read_only

if TYPE_CHECKING:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    from audit_core.engine.mixture_check import MixtureReport

RANGE_PROMPTS = 8
"""Prompts captured at once with all neurons of all layers: some ten megabytes each."""


class WaveRunner:
    """Runs interventions on a decoder-only transformer.

    The model lock is taken per block: a live request waits for one block of a sweep, not for the sweep; see
    `threads.ModelLock`.
    """

    def __init__(self, bridge: TransformerBridge, geometry: Geometry) -> None:
        self.bridge, self.geometry = bridge, geometry
        self.model = find_hooks(bridge)
        self.readout: Readout | LogitReadout = Readout(bridge)
        self.fallback = ""
        """Why blocks cannot be run one by one, so that each intervention needs a whole forward pass; empty if they can."""
        self.shares_prefix = False
        """Whether cached keys and values of earlier positions may be used; set after a check that they are exact."""
        self.chunk_room: Room | None = None
        """Memory of a chunk on a device with its own; fixed on opening, so that work is counted as it is done."""
        self.lock = MODEL_LOCK
        self._calls, self._captures = keep_calls(), keep_captures()

    def fall_back(self, why: str) -> None:
        """Switch to whole forward passes."""
        self.fallback, self.shares_prefix, self.readout = why, False, LogitReadout()

    def explain_no_gradients(self) -> str:
        """Why no backward pass reaches the patterns of every layer; empty if one does."""
        if self.fallback:
            return "Gradients of this model are not available: it supports only whole forward passes."
        if (there := len(self.model.list_layers(Kind.PATTERN))) < self.model.n_layers:
            return f"Gradients are not supported: only {there} of {self.model.n_layers} layers of this model have attention."
        return ""

    def admit_experts(self, tokens: torch.Tensor) -> MixtureReport:
        """Offer experts as components if the checks of all mixture layers pass."""
        from audit_core.engine.experts import find_mixtures
        from audit_core.engine.mixture_check import MixtureReport, check_mixtures
        from audit_core.engine.shared_path import find_shared_paths

        layers = find_mixtures(self.bridge)
        if not layers:
            return MixtureReport("This model has no mixture layers.")
        paths = find_shared_paths(self.bridge, layers)
        with self.lock:
            report = check_mixtures(self.model, layers, paths, tokens)
        if not report.why_not:
            points: dict[Any, Any] = {(Kind.EXPERT, layer): mixture for layer, mixture in layers.items()}
            if not report.why_no_shared:
                points |= {(Kind.SHARED, layer): path for layer, path in paths.items()}
            self.model = replace(self.model, points={**self.model.points, **points})
            self.geometry = replace(self.geometry, n_experts=max(mixture.n_experts for mixture in layers.values()))
        return report

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take the model lock, without gradients."""
        import torch

        with self.lock, torch.inference_mode():
            yield

    @contextmanager
    def gradient_turn(self) -> Iterator[None]:
        """Take the model lock, with gradients."""
        import torch

        with self.lock, torch.inference_mode(False), torch.enable_grad():
            yield

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        """Rows × layers × positions of a run, proportional to its time."""
        merged = self._merge(prompts, interventions)
        groups = self._plan(merged.prompts, [compile_intervention(i) for i in interventions])
        return max(1, LayeredRun(self, groups, merged, interventions).count_work())

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
        """Logits at the answer position under each intervention; see `Subject.run`."""
        import torch

        variants = self.compile(prompts, interventions)
        merged = self._merge(prompts, interventions)
        groups = self._plan(merged.prompts, variants)
        table = LogitTable(prompts, len(variants), self.geometry.n_vocabulary if vocabulary else 0)
        generator = torch.Generator().manual_seed(seed)
        layered = LayeredRun(self, groups, merged, interventions)
        total, done, applied = max(1, layered.count_work()), 0, 0

        def advance(work: int) -> None:
            nonlocal done
            done += work
            on_progress(done, total)

        for number, group in enumerate(groups):
            if number in layered.passes:
                applied += layered.run(number, variants, means, generator, table, advance)
                continue
            pairs, places = [merged.prompts.pairs[i] for i in group.prompts], merged.find(group.prompts)
            sources = self.prepare(pairs, interventions, means)
            advance(group.capture_work)
            self.read_unedited(table, variants, sources, places)
            run = ChunkRun(self, variants, sources, places, table, advance)
            applied += sum(run.run(chunk, generator) for chunk in group.chunks)
        return table.finish(applied)

    def compile(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> list[Variant]:
        """Interventions as edits of sites, after all checks that need no run.

        Raises:
            InterventionRefused, ComponentRefused: see `check_places`; or there is nothing to run.
            PromptRefused: a prompt is too long for the memory; see `check_row`.
        """
        if not interventions or not len(prompts):
            raise InterventionRefused(
                f"{len(interventions)} interventions on {len(prompts)} prompts.",
                wanted="at least one of each.",
                remedy="choose a prompt and a component.",
            )
        for length in sorted({len(pair.clean_ids) for pair in prompts.pairs}):
            check_places(interventions, self.geometry, length)
        check_row(self.model, self.geometry, interventions, length)
        self.model.check_sites(interventions)
        return [compile_intervention(i) for i in interventions]

    def read_unedited(self, table: LogitTable, variants: Sequence[Variant], sources: Sources, places: Readings) -> None:
        """Read the variants without an edit from the unedited runs.

        In a separate wave, so that an identity patch is computed with tensors of the same shape throughout.
        """
        import torch

        if untouched := [i for i, variant in enumerate(variants) if not variant.edits]:
            finals = [sources.captures[variants[i].side].finals for i in untouched]
            self.read(table, places.take(torch.stack(finals)), untouched, places.prompts)

    def read_inputs(self, rows: Sequence[Tokens]) -> Floats:
        """Logits of the vocabulary after each input; see `Documents.read_inputs`."""
        return read_inputs(self, rows)

    def read_residuals(
        self, rows: Sequence[Tokens], positions: Sequence[int], layers: Sequence[int], on_progress: Progress
    ) -> Floats:
        """Residual stream entering some layers; see `Activations.read_residuals`."""
        found = np.empty((len(layers), len(rows), self.geometry.d_model), np.float32)
        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(rows):
            by_length.setdefault(len(row), []).append(at)
        done = 0
        for length, members in by_length.items():
            size = max(1, count_tokens(self.geometry, length) // length)
            for start in range(0, len(members), size):
                where = members[start : start + size]
                places = [locate_position(positions[one], length) for one in where]
                for part in self.capture_layers([rows[at] for at in where], (Kind.RESID,)):
                    with self.turn():
                        for (_, layer), stream in part.sites.items():
                            for number in (number for number, asked in enumerate(layers) if asked == layer):
                                found[number, where] = to_numpy(stream[range(len(where)), places].float())
                done += len(where)
                on_progress(done, len(rows))
        return read_only(found)

    def capture_means(self, reference: TokenisedPrompts, kinds: Collection[Kind], on_progress: Progress) -> Means:
        """Mean activations over prompts; see `Subject.capture_means`."""
        return capture_means(self, reference, kinds, on_progress)

    def capture_ranges(self, reference: TokenisedPrompts, on_progress: Progress) -> Floats:
        """Ranges of neurons over prompts; see `NeuronRanges.capture_ranges`."""
        found, done = NeuronBounds(), 0
        for where in self.batch(reference):
            for at in range(0, len(where), RANGE_PROMPTS):
                pairs = [reference.pairs[i] for i in where[at : at + RANGE_PROMPTS]]
                run = self.capture([p.clean_ids for p in pairs] + [p.corrupted_ids for p in pairs], (Kind.NEURON,))
                with self.turn():
                    found.add(run, self.model)
                done += len(pairs)
                on_progress(done, len(reference))
        return found.finish()

    def attention_to_last(self, prompts: TokenisedPrompts, on_progress: Progress) -> tuple[Floats, ...]:
        """Attention from the answer position; see `Subject.attention_to_last`."""
        found: dict[int, Floats] = {}
        for where in self.batch(prompts):
            parts = self.capture_layers([prompts.pairs[i].clean_ids for i in where], (Kind.EDGE,))
            ends = {layer: rows[:, :, -1].clone() for part in parts for (_, layer), rows in part.sites.items()}
            last = stack_layers(ends, self.geometry.n_layers)
            found |= {i: read_only(value.copy()) for i, value in zip(where, to_numpy(last))}
            on_progress(len(found), len(prompts))
        return tuple(found[i] for i in range(len(prompts)))

    def read_routing(
        self, prompts: TokenisedPrompts, side: PromptSide, on_progress: Progress
    ) -> tuple[TokenRouting, ...]:
        """Routing of each prompt; see `Routing.read_routing`."""
        layers = self.model.list_layers(Kind.EXPERT)
        found: dict[int, TokenRouting] = {}
        for where in self.batch(prompts):
            pairs = [prompts.pairs[i] for i in where]
            run = self.capture(
                [p.clean_ids if side is PromptSide.CLEAN else p.corrupted_ids for p in pairs], (Kind.EXPERT,)
            )
            routed = [run.sites[Kind.EXPERT, layer] for layer in layers]
            with self.turn():
                norms = [self.model.find_point(Kind.EXPERT, n).measure_norms(one) for n, one in zip(layers, routed)]
            for row, i in enumerate(where):
                index = np.stack([to_numpy(layer.index[row]) for layer in routed])
                weights = np.stack([to_numpy(layer.weights[row].float()) for layer in routed])
                found[i] = TokenRouting(layers, index, weights, np.stack([to_numpy(layer[row]) for layer in norms]))
            on_progress(len(found), len(prompts))
        return tuple(found[i] for i in range(len(prompts)))

    def draw_patterns(self, pair: TokenPair, intervention: Intervention, means: Means | None) -> Floats:
        """Attention pattern of one prompt under an intervention; see `Subject.patterns`."""
        import torch

        check_patterns(self.geometry, len(pair.clean_ids))
        check_places([intervention], self.geometry, len(pair.clean_ids))
        self.model.check_sites([intervention])
        sources = self.prepare([pair], [intervention], means, extra=(Kind.EDGE,))
        before = sources.captures[intervention.side]
        layers = {n: before.sites[Kind.EDGE, n] for n in self.model.list_layers(Kind.EDGE)}
        if intervention.edits:
            layers |= self.run_variants(
                sources,
                [compile_intervention(intervention)],
                start=0,
                generator=torch.Generator().manual_seed(0),
                on_layer=lambda _: None,
                with_patterns=True,
            ).patterns
        with self.turn():
            return read_only(to_numpy(stack_layers(layers, self.geometry.n_layers)[0]).copy())

    def _merge(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> MergedPrompts:
        """Rows to run; a model that runs only as a whole gives the logits of the last position alone."""
        return keep_all(prompts) if self.fallback else merge_beginnings(prompts, interventions)

    def run_variants(
        self, sources: Sources, variants: Sequence[Variant], *, start: int, n_last: int = 1, **how: Any
    ) -> Wave:
        """Run the edits on the captured prompts."""
        if self.fallback:
            return run_forward(self.model, sources, variants, turn=self.turn, **how)
        calls = self.find_calls(next(iter(sources.captures.values())).tokens.shape[1])
        return run_wave(self.model, calls, sources, variants, start=start, n_last=n_last, turn=self.turn, **how)

    def _plan(self, prompts: TokenisedPrompts, variants: Sequence[Variant]) -> tuple[Group, ...]:
        shares, is_whole = self.shares_prefix, bool(self.fallback)
        return plan_groups(
            prompts, variants, self.geometry, can_share_prefix=shares, is_whole=is_whole, room=self.chunk_room
        )

    def batch(self, prompts: TokenisedPrompts) -> Iterator[tuple[int, ...]]:
        """Batches of prompts of one length that are captured together."""
        for group in self._plan(prompts, [compile_intervention(i) for i in (CLEAN_RUN, CORRUPTED_RUN)]):
            yield group.prompts

    def prepare(
        self,
        pairs: Sequence[TokenPair],
        interventions: Sequence[Intervention],
        means: Means | None,
        extra: Collection[Kind] = (),
    ) -> Sources:
        """Unedited runs of prompts of one length, with the activations that these interventions need.

        Args:
            extra: further kinds to capture.
        """
        needs = list_needs(interventions, extra)
        rows = needs.list_rows(pairs)
        check_kept(self.geometry, needs.kinds, len(rows), len(rows[0]))
        is_many = len(pairs) > 1
        both = self.capture(rows, needs.kinds) if is_many else self._capture_once(tuple(rows), needs.kinds)
        return Sources(needs.divide(both, len(pairs)), *gather_sources(means, pairs, interventions, self.model.device))

    def _capture_once(self, ids: tuple[tuple[int, ...], ...], kinds: frozenset[Kind]) -> Capture:
        """Cached unedited runs of recently shown prompts; they depend on the tokens only."""
        key = (ids, kinds)
        with self.lock:
            known = self._captures.find(key)
        if known is not None:
            return known
        made = self.capture(ids, kinds)
        with self.lock:
            self._captures.keep(key, made)
        return made

    def clear_captures(self) -> None:
        """Clear the cache of unedited runs."""
        with self.lock:
            self._captures.clear()

    def capture(self, ids: Sequence[Sequence[int]], kinds: Collection[Kind]) -> Capture:
        """Unedited run of inputs of one length, with activations of these kinds."""
        tokens = self.model.place_tokens(ids)
        if self.fallback:
            return capture_forward(self.model, tokens, kinds, self.turn)
        return capture_run(self.model, tokens, self.find_calls(len(ids[0])), kinds, self.turn)

    def capture_layers(self, ids: Sequence[Sequence[int]], kinds: Collection[Kind]) -> Iterator[Capture]:
        """The same, layer by layer, so that no more than one needs to be kept; a model that runs as a whole gives all at once."""
        if self.fallback:
            yield self.capture(ids, kinds)
        else:
            yield from capture_layers(
                self.model, self.model.place_tokens(ids), self.find_calls(len(ids[0])), kinds, self.turn
            )

    def find_calls(self, length: int) -> tuple[BlockCall, ...]:
        """Cached call arguments of blocks at this length; they depend on the length only."""
        import torch

        with self.lock:
            if (known := self._calls.find(length)) is None:
                # Not in inference mode, because a backward pass may need these tensors.
                with torch.inference_mode(False), torch.no_grad(), self.skip_blocks():
                    known = record_calls(self.model, self.model.place_tokens([[0] * length]))
                self._calls.keep(length, known)
        return known

    def skip_blocks(self) -> AbstractContextManager[None]:
        """Blocks that need not run while arguments of blocks are recorded."""
        return skip_direct(self.model)

    def read(self, table: LogitTable, end: torch.Tensor, variants: Sequence[int], prompts: Sequence[int]) -> None:
        """Logits of some variants and prompts from their final states, shape (variant, prompt, d_model)."""
        with self.turn():
            if isinstance(self.readout, Readout):
                table.put_norms(to_numpy(self.readout.measure_norms(end)), variants, prompts)
            if table.vocabulary is not None:
                table.put_all(to_numpy(self.readout.read_all(end)), variants, prompts)
            else:
                answer, foil = (to_numpy(self.readout.read_tokens(end, ids)) for ids in table.list_ids(prompts))
                table.put(answer, foil, variants, prompts)
