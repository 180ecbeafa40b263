"""Runs interventions on an encoder–decoder of T5's kind, by hooks on the modules of `transformers`.

A prompt is one row of tokens `source, start, beginning of the target`: what precedes the decoder's start token enters
the encoder, the rest the decoder. Every run is a whole forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from audit_core.component import Component, Kind
from audit_core.engine.readout import LogitTable, read_sets
from audit_core.engine.sites import group_edits
from audit_core.engine.source_hooks import (
    EditHooks,
    Site,
    Unedited,
    find_modules,
    list_jobs,
    reaches_encoder,
    replace_activation,
)
from audit_core.engine.source_positions import HEADS, check_edits, find_middle, gather_means, localise, shape_key
from audit_core.engine.threads import MODEL_LOCK
from audit_core.errors import InterventionRefused, ModelRefused
from audit_core.intervention import Intervention, PromptSide, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Geometry, Logits, Means, Progress, read_only

CHUNK_TOKENS = 4096
"""Maximum rows × positions of one forward pass."""
MEANS = (Replacement.MEAN, Replacement.MEAN_TEMPLATE)


class EncoderDecoderRunner:
    """Runs a `T5ForConditionalGeneration` in evaluation mode.

    Args:
        start_id: token that begins every target.
    """

    def __init__(self, model: Any, geometry: Geometry, start_id: int) -> None:
        self.model, self.geometry, self.start_id = model, geometry, start_id
        self.modules = find_modules(model)
        self.neutral = model.get_input_embeddings().weight[model.config.pad_token_id].detach().clone()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take the model lock, without gradients."""
        with MODEL_LOCK, torch.inference_mode():
            yield

    def list_layers(self, kind: Kind) -> tuple[int, ...]:
        """Layers with a kind of component."""
        return tuple(layer for known, layer in self.modules if known is kind)

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        """Rows × positions × layers of a run."""
        tokens = sum(len(pair.clean_ids) for pair in prompts.pairs)
        return max(1, tokens * (2 + len(interventions)) * self.geometry.n_layers)

    def group(self, prompts: TokenisedPrompts) -> list[tuple[int, int, list[int]]]:
        """Prompts of one shape: length of the source, of the whole, and their places."""
        found: dict[tuple[int, int], list[int]] = {}
        for at, pair in enumerate(prompts.pairs):
            found.setdefault((find_middle(pair, self.start_id), len(pair.clean_ids)), []).append(at)
        return [(middle, length, places) for (middle, length), places in found.items()]

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
        if not interventions or not len(prompts):
            raise InterventionRefused(
                f"{len(interventions)} interventions on {len(prompts)} prompts.",
                wanted="at least one of each.",
                remedy="choose a prompt and a component.",
            )
        check_edits(interventions, self.geometry, self.modules)
        table = LogitTable(prompts, len(interventions), self.geometry.n_vocabulary if vocabulary else 0)
        # Edits of the decoder alone run together, because they share the encoder's outputs.
        order = sorted(range(len(interventions)), key=lambda at: reaches_encoder(interventions[at]))
        generator = torch.Generator().manual_seed(seed)
        applied, done, total = 0, 0, self.count_work(prompts, interventions)
        for middle, length, places in self.group(prompts):
            size = max(1, CHUNK_TOKENS // length)
            for start in range(0, len(places), size):
                where = places[start : start + size]
                pairs = [prompts.pairs[at] for at in where]
                unedited = self._capture_sides(pairs, middle, interventions, means)
                step = max(1, CHUNK_TOKENS // (length * len(where)))
                for first in range(0, len(interventions), step):
                    chosen = order[first : first + step]
                    edits = [interventions[at] for at in chosen]
                    with self.turn():
                        applied += self._put(table, pairs, where, middle, chosen, edits, unedited, generator)
                    done += length * len(where) * len(edits) * self.geometry.n_layers
                    on_progress(min(done, total), total)
        on_progress(total, total)
        return table.finish(applied)

    def _put(
        self,
        table: LogitTable,
        pairs: Sequence[TokenPair],
        where: Sequence[int],
        middle: int,
        chosen: Sequence[int],
        edits: Sequence[Intervention],
        unedited: Unedited,
        generator: torch.Generator,
    ) -> int:
        """One forward pass of some interventions on prompts of one shape; returns the applied edits."""
        rows = [pair.clean_ids if i.side is PromptSide.CLEAN else pair.corrupted_ids for i in edits for pair in pairs]
        tokens, n = torch.tensor(rows), len(pairs)
        jobs = list_jobs(edits, middle, tokens.shape[1])
        hooks = EditHooks(self, jobs, unedited, n, generator)
        with hooks, self._watch_norms() as norms:
            if any(map(reaches_encoder, edits)):
                logits = self._forward(tokens, middle, edit=hooks.edit_source)
            else:
                logits = self._forward_decoder(tokens, middle)
        shape = (len(edits), n)
        table.put_norms(norms[0].view(shape).numpy(), chosen, where)
        if table.vocabulary is not None:
            table.put_all(logits.view(*shape, -1).numpy(), chosen, where)
        else:
            answer, foil = (read_sets(logits.view(*shape, -1).numpy(), ids) for ids in table.list_ids(where))
            table.put(answer, foil, chosen, where)
        return hooks.applied * n

    def _forward(
        self, tokens: torch.Tensor, middle: int, *, edit: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Logits at the last position, shape (row, vocabulary)."""
        embedded = self.model.get_input_embeddings()(tokens[:, :middle])
        if edit is not None:
            embedded = edit(embedded)
        out = self.model(inputs_embeds=embedded, decoder_input_ids=tokens[:, middle:], use_cache=False)
        last: torch.Tensor = out.logits[:, -1].float()
        return last

    def _forward_decoder(self, tokens: torch.Tensor, middle: int) -> torch.Tensor:
        """As `_forward`; each different source is encoded once."""
        sources, rows = tokens[:, :middle].unique(dim=0, return_inverse=True)
        encoded = self.model.encoder(input_ids=sources).last_hidden_state[rows]
        out = self.model(encoder_outputs=(encoded,), decoder_input_ids=tokens[:, middle:], use_cache=False)
        last: torch.Tensor = out.logits[:, -1].float()
        return last

    @contextmanager
    def _watch_norms(self) -> Iterator[list[torch.Tensor]]:
        """Norm of the decoder's final residual stream at the last position, shape (row,)."""
        found: list[torch.Tensor] = []
        handle = self.model.decoder.final_layer_norm.register_forward_pre_hook(
            lambda module, args: found.append(args[0][:, -1].float().norm(dim=-1))
        )
        try:
            yield found
        finally:
            handle.remove()

    def capture(self, rows: Sequence[Sequence[int]], middle: int, kinds: Collection[Kind]) -> dict[Site, torch.Tensor]:
        """Activations of runs without edits, of prompts of one shape; see `Unedited.sites`."""
        tokens, found, handles = torch.tensor(rows), {}, []
        places = [site for site in self.modules if site[0] in kinds and site[0] in HEADS]
        with self.turn():
            for site in places:

                def keep(module: Any, args: Any, site: Site = site) -> None:
                    found[site] = args[0].view(*args[0].shape[:2], self.geometry.n_heads, -1).clone()

                handles.append(self.modules[site].register_forward_pre_hook(keep))
            try:
                if Kind.SOURCE in kinds:
                    found[Kind.SOURCE, 0] = self.model.get_input_embeddings()(tokens[:, :middle]).clone()
                self._forward(tokens, middle)
            finally:
                for handle in handles:
                    handle.remove()
        return found

    def _capture_sides(
        self, pairs: Sequence[TokenPair], middle: int, interventions: Sequence[Intervention], means: Means | None
    ) -> Unedited:
        """Every unedited activation that these interventions put in."""
        from_run = (Replacement.RESAMPLE, Replacement.IDENTITY)
        kinds = {e.component.kind for i in interventions for e in i.edits if e.replacement in from_run}
        sites = {}
        for side in PromptSide:
            rows = [pair.clean_ids if side is PromptSide.CLEAN else pair.corrupted_ids for pair in pairs]
            sites[side] = self.capture(rows, middle, kinds) if kinds else {}
        wanted = {r for i in interventions for r in i.replacements if r in MEANS}
        return Unedited(sites, {r: gather_means(means, pairs, middle, r) for r in wanted})

    def capture_means(self, reference: TokenisedPrompts, kinds: Collection[Kind], on_progress: Progress) -> Means:
        """Mean activations over prompts of one shape, clean and corrupted; see `Subject.capture_means`."""
        sums: dict[tuple[int, str], dict[Kind, torch.Tensor]] = {}
        counts: dict[tuple[int, str], int] = {}
        wanted = [kind for kind in (*HEADS, Kind.SOURCE) if kind in kinds]
        for middle, length, places in self.group(reference):
            pairs = [reference.pairs[at] for at in places]
            runs = [
                self.capture(rows, middle, wanted)
                for rows in ([p.clean_ids for p in pairs], [p.corrupted_ids for p in pairs])
            ]
            for kind in wanted:
                layers = self.list_layers(kind)
                both = [torch.stack([run[kind, layer] for layer in layers], 1).double() for run in runs]
                average = (both[0] + both[1]) / 2
                for template in {"", *(pair.prompt.template for pair in pairs)}:
                    rows = [at for at, pair in enumerate(pairs) if template in ("", pair.prompt.template)]
                    key = shape_key(length, middle), template
                    sums.setdefault(key, {})[kind] = average[rows].sum(0)
                    counts[key] = len(rows)
            on_progress(places[-1] + 1, len(reference))
        found = {
            key: {kind: read_only((total / counts[key]).float().numpy()) for kind, total in entry.items()}
            for key, entry in sums.items()
        }
        return Means(found, counts)

    def find_source(self, pair: TokenPair) -> int:
        """Length of a prompt's source."""
        return find_middle(pair, self.start_id)

    def measure_parity(self) -> float:
        """Largest difference of logits between this runner and the model's own forward pass, on two rows of tokens."""
        n = self.geometry.n_vocabulary
        rows = torch.tensor([[token % n for token in row] for row in ((5, 6, 7, 8), (7, 5, 8, 6))])
        start = torch.full((2, 1), self.start_id)
        target = torch.cat([start, rows[:, :2]], 1)
        with self.turn():
            own = self.model(input_ids=rows, decoder_input_ids=target, use_cache=False).logits[:, -1].float()
            found = self._forward(torch.cat([rows, target], 1), rows.shape[1])
        if not own.isfinite().all():
            raise ModelRefused(
                "This model's logits contain NaN or infinity.",
                wanted="finite weights.",
                remedy="fetch the model again.",
            )
        return float((own - found).abs().max())

    def read_cross_attention(self, prompts: TokenisedPrompts) -> tuple[Floats, ...]:
        """Cross-attention from the answer position on the clean run; per prompt, shape (layer, head, source position)."""
        found: dict[int, Floats] = {}
        for middle, _, places in self.group(prompts):
            tokens = torch.tensor([prompts.pairs[at].clean_ids for at in places])
            with self.turn():
                out = self.model(
                    input_ids=tokens[:, :middle],
                    decoder_input_ids=tokens[:, middle:],
                    use_cache=False,
                    output_attentions=True,
                )
                last = torch.stack([layer[:, :, -1] for layer in out.cross_attentions], 1).float()
            found |= {at: read_only(row.numpy().copy()) for at, row in zip(places, last, strict=True)}
        return tuple(found[at] for at in range(len(prompts)))

    def measure_change(
        self, prompts: TokenisedPrompts, parts: Sequence[Component], replacement: Replacement, means: Means | None
    ) -> Floats:
        """Change of each component's output by a replacement; see `Subject.activation_change_rms`."""
        edits = [intervene([part], replacement) for part in parts]
        check_edits(edits, self.geometry, self.modules)
        totals, counts = np.zeros(len(parts)), np.zeros(len(parts))
        kinds = {part.kind for part in parts}
        for middle, length, places in self.group(prompts):
            pairs = [prompts.pairs[at] for at in places]
            unedited = self._capture_sides(pairs, middle, edits, means)
            now = self.capture([pair.clean_ids for pair in pairs], middle, kinds)
            for at, edit in enumerate(edits):
                (job,) = group_edits([localise(edit.edits[0], middle, length)])
                here, there = job.select(middle if job.kind is Kind.SOURCE else now[job.kind, job.layer].shape[1], 0)
                source = unedited.read(PromptSide.CLEAN, job)
                part = now[job.kind, job.layer][here]
                found = None if source is None else source[there]
                put = replace_activation(part, job, found, self.neutral, torch.Generator())
                lengths = (put - part).flatten(2).norm(dim=2).numpy()
                totals[at] += (lengths**2).sum()
                counts[at] += (lengths > 0).sum()
        return np.asarray(np.sqrt(totals / np.maximum(counts, 1)), np.float32)
