"""Lenses: logit differences read from inside a decoder, through its final norm and unembedding, at the answer position.

Logit lens: nostalgebraist, "interpreting GPT: the logit lens" (2020). Direct logit attribution: Elhage et al., "A mathematical
framework for transformer circuits" (2021). TransformerLens has both; its attribution refuses models whose norms are not folded
into their weights, as these are not, so it is the reference in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.activations import LensReading
from audit_core.component import Kind
from audit_core.engine.device import to_numpy
from audit_core.engine.readout import Readout
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import check_paths
from audit_core.errors import Refused
from audit_core.intervention import CLEAN_RUN, PromptSide
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Progress, read_only

if TYPE_CHECKING:
    import torch

    from audit_core.engine.capture import Capture

ADDS_UP = 1e-3
"""Largest difference, in logits, between the logit difference and the sum of what its parts write, relative to the largest part
where that is above one."""


def read_lenses(runner: object, prompts: TokenisedPrompts, on_progress: Progress) -> LensReading:
    """What the lenses read on the clean runs; see `Lenses.read_lenses`."""
    runner = check_paths(runner)
    assert isinstance(runner.readout, Readout)
    geometry, n = runner.geometry, len(prompts)
    stream = np.full((geometry.n_layers + 1, n), np.nan, np.float32)
    heads = np.full((geometry.n_layers, geometry.n_heads, n), np.nan, np.float32)
    mlps, rest = np.full((geometry.n_layers, n), np.nan, np.float32), np.full(n, np.nan, np.float32)
    is_single = all(len(pair.answer_ids) == len(pair.foil_ids) == 1 for pair in prompts.pairs)
    done = 0
    for members in runner.batch(prompts):
        where = list(members)
        pairs = [prompts.pairs[i] for i in where]
        sources = runner.prepare(pairs, [CLEAN_RUN], None, extra=(Kind.HEAD, Kind.MLP))
        run = sources.captures[PromptSide.CLEAN]
        with runner.turn():
            stream[:, where] = _read_stream(runner.readout, run, pairs)
        if is_single:
            split = _Split(runner, run, pairs)
            for layer in range(geometry.n_layers):
                with runner.turn():
                    heads[layer][:, where], mlps[layer, where] = split.read_layer(layer)
            with runner.turn():
                rest[where] = split.finish()
        done += len(where)
        on_progress(done, n)
    if not is_single:
        why = "An answer is a set of several tokens, and the logit of a set is no sum of what parts write."
        return LensReading(read_only(stream), None, None, None, why)
    total, largest = (
        heads.sum((0, 1)) + mlps.sum(0) + rest,
        max(1.0, float(np.abs(heads).max()), float(np.abs(mlps).max())),
    )
    off = float(np.abs(total - stream[-1]).max())
    if not off <= ADDS_UP * largest:
        why = (
            f"What heads and MLPs write adds up to another logit difference than the model's (off by {off:.3g} logits): "
            "this model normalises, scales or caps what they write."
        )
        return LensReading(read_only(stream), None, None, None, why)
    return LensReading(read_only(stream), read_only(heads), read_only(mlps), read_only(rest), "", off)


def _read_stream(readout: Readout, run: Capture, pairs: list[TokenPair]) -> Floats:
    """Logit difference of the stream entering each layer, and after the last; shape (layer + 1, prompt)."""
    import torch

    states = torch.stack([residual[:, -1] for residual in run.residuals] + [run.ends])
    answers: list[Tokens] = [pair.answer_ids for pair in pairs]
    foils: list[Tokens] = [pair.foil_ids for pair in pairs]
    found: Floats = to_numpy(readout.read_tokens(states, answers) - readout.read_tokens(states, foils))
    return found


class _Split:
    """The logit difference of some prompts as a sum of what each part writes, with the scale of the final norm kept fixed."""

    def __init__(self, runner: WaveRunner, run: Capture, pairs: list[TokenPair]) -> None:
        with runner.turn():
            self.runner, self.run = runner, run
            self.weights, self.bias = self._find_direction(pairs)
            self.rest = self.read(run.residuals[0][:, -1]) + self.bias

    def _find_direction(self, pairs: list[TokenPair]) -> tuple[torch.Tensor, torch.Tensor]:
        """What a vector in the final stream is multiplied with, shape (prompt, d_model), and what is added, shape (prompt,)."""
        import torch

        readout: Any = self.runner.readout
        table, bias = readout.output_weights()
        ids = [torch.tensor([pair.answer_ids[0] for pair in pairs]), torch.tensor([pair.foil_ids[0] for pair in pairs])]
        out = table[ids[0]] - table[ids[1]]
        added = out.new_zeros(len(pairs)) if bias is None else bias[ids[0]] - bias[ids[1]]
        norm: Any = self.runner.bridge.ln_final
        config = self.runner.bridge.cfg
        # Some norms have no weights (OLMo).
        gain, offset = getattr(norm, "weight", None), getattr(norm, "bias", None)
        gain = (
            out.new_ones(out.shape[1]) if gain is None else gain + bool(getattr(config, "rmsnorm_uses_offset", False))
        )
        if offset is not None:
            added = added + out @ offset
        end = self.run.ends
        self.centres = str(config.normalization_type).startswith("LN")
        centred = end - end.mean(-1, keepdim=True) if self.centres else end
        scale = (centred.square().mean(-1, keepdim=True) + config.eps).sqrt()
        return out * gain / scale, added

    def read(self, written: torch.Tensor) -> torch.Tensor:
        """Logits that vectors add to the difference; shape (..., prompt, d_model) → (..., prompt)."""
        if self.centres:
            written = written - written.mean(-1, keepdim=True)
        return (written * self.weights).sum(-1)

    def read_layer(self, layer: int) -> tuple[Floats, Floats]:
        """What the heads and the MLP of a layer write; shapes (head, prompt) and (prompt,)."""
        outputs: torch.Tensor = self.run.sites[Kind.HEAD, layer][:, -1]
        n_prompts, n_heads, size = outputs.shape
        attention: Any = self.runner.bridge.blocks[layer].attn
        # Each head by itself, the others at zero: the layout of the output matrix differs by family.
        alone = outputs.new_zeros(n_heads, n_prompts, n_heads, size)
        for head in range(n_heads):
            alone[head, :, head] = outputs[:, head]
        bias = attention.o(outputs.new_zeros(1, 1, n_heads * size))
        heads = self.read(attention.o(alone.flatten(2)) - bias)
        self.rest = self.rest + self.read(bias[0])
        return to_numpy(heads), to_numpy(self.read(self.run.sites[Kind.MLP, layer][:, -1]))

    def finish(self) -> Floats:
        """What no head and no MLP writes: the embeddings and every bias; shape (prompt,)."""
        found: Floats = to_numpy(self.rest)
        return found


def explain_no_lenses(runner: object) -> str:
    """Why the inside of a model cannot be read through its unembedding; empty if it can."""
    try:
        check_paths(runner)
    except Refused as error:
        return error.found
    return ""
