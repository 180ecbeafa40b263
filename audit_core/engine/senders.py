"""Senders: contributions of components to the residual stream, and their change under a replacement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from audit_core.component import Component, Kind
from audit_core.connection import Connection, Terminal, is_head
from audit_core.engine.capture import Capture
from audit_core.engine.hooks import Sources
from audit_core.engine.replacing import NOISE_SCALE, replace_part
from audit_core.engine.runner import WaveRunner
from audit_core.engine.sites import SiteEdit
from audit_core.errors import Refused
from audit_core.intervention import PromptSide, Replacement

if TYPE_CHECKING:
    import torch

ADDS_UP = 1e-5
"""Tolerance, as a fraction of the largest value in the residual stream: a few float32 roundings of 6e-8."""


class Senders:
    """Changes of senders' contributions to the residual stream, relative to the clean run.

    Args:
        sources: clean run and the source of the replacement, with heads and MLPs captured.
        start: first computed position.
    """

    def __init__(
        self, runner: WaveRunner, sources: Sources, replacement: Replacement, start: int, generator: torch.Generator
    ) -> None:
        self.runner, self.sources, self.replacement = runner, sources, replacement
        self.start, self.generator = start, generator
        self.clean: Capture = sources.captures[PromptSide.CLEAN]

    def change_stream(self, connections: Iterable[Connection], residual: torch.Tensor) -> torch.Tensor:
        """The sum of the senders' changes; shape (prompt, pos, d_model).

        Args:
            residual: the stream to change, same shape; it sets the scale of noise.
        """
        import torch

        if self.replacement is Replacement.NOISE:
            noise = torch.randn(residual.shape, generator=self.generator).to(residual)
            return NOISE_SCALE * (residual.square().mean().sqrt() + 1.0) * noise
        total = torch.zeros_like(residual)
        # One matrix product per layer, for any number of sending heads.
        heads: dict[int, torch.Tensor] = {}
        for connection in connections:
            sender = connection.sender
            if sender is Terminal.INPUT:
                edit = SiteEdit(0, Kind.RESID, self.replacement, 1.0, (), None, None)
                total += self._change(edit, self.clean.residuals[0])
                continue
            assert isinstance(sender, Component)
            now = self.clean.sites[sender.kind, sender.layer]
            if is_head(sender):
                outputs = heads.setdefault(sender.layer, torch.zeros_like(now[:, self.start :]))
                self.replace_head(sender, outputs)
            else:
                total += self._change(self._edit(sender), now)
        for layer, outputs in heads.items():
            total += project_heads(self.runner, layer, outputs)
        return total

    def replace_head(self, head: Component, outputs: torch.Tensor) -> None:
        """Add a head's change to the outputs of its layer, shape (prompt, pos, head, d_head); in place."""
        outputs[:, :, head.index] += self._change(self._edit(head), self.clean.sites[head.kind, head.layer])[:, :, 0]

    def _edit(self, sender: Component) -> SiteEdit:
        indices = (sender.index,) if is_head(sender) else ()
        return SiteEdit(sender.layer, sender.kind, self.replacement, 1.0, indices, None, None)

    def _change(self, edit: SiteEdit, now: torch.Tensor) -> torch.Tensor:
        """Replaced minus clean activation, from `start` on."""
        _, where = edit.select(now.shape[1], self.start)
        part = now[where]
        source = self._read(edit)
        return replace_part(part, edit, None if source is None else source[where], self.generator) - part

    def _read(self, edit: SiteEdit) -> torch.Tensor | None:
        run = {Replacement.RESAMPLE: PromptSide.CORRUPTED, Replacement.IDENTITY: PromptSide.CLEAN}.get(edit.replacement)
        if edit.kind is Kind.RESID and run is not None:
            return self.sources.captures[run].residuals[0]
        return self.sources.read(PromptSide.CLEAN, edit)


def project_heads(runner: WaveRunner, layer: int, outputs: torch.Tensor) -> torch.Tensor:
    """Contribution of head outputs, without the bias; shape (prompt, pos, head, d_head) → (prompt, pos, d_model)."""
    attention: Any = runner.bridge.blocks[layer].attn
    flat = outputs.flatten(2)
    written: torch.Tensor = attention.o(flat) - attention.o(flat.new_zeros(1, 1, flat.shape[2]))
    return written


def check_sums(runner: WaveRunner, run: Capture) -> None:
    """Check that each block adds exactly the contributions of its heads and its MLP.

    Raises:
        Refused: a block is not additive, so contributions cannot be attributed to components.
    """
    for layer, before in enumerate(run.residuals):
        is_last = layer + 1 == len(run.residuals)
        with runner.turn():
            attention: Any = runner.bridge.blocks[layer].attn
            try:
                written = attention.o(run.sites[Kind.HEAD, layer].flatten(2)) + run.sites[Kind.MLP, layer]
            except AttributeError as error:
                raise _refuse(f"The attention output matrix of block {layer} was not found.") from error
            # The output of the last block is stored at the answer position only.
            after = run.ends[:, None] if is_last else run.residuals[layer + 1]
            if is_last:
                before, written = before[:, -1:], written[:, -1:]
            off = float((after - before - written).abs().max())
            allowed = ADDS_UP * float(after.abs().max() + before.abs().max() + 1)
        if not off <= allowed:
            raise _refuse(
                f"Block {layer} does not add the sum of its heads' and MLP's contributions to the residual stream "
                f"(off by {off:.3g}): it normalises or scales them."
            )


def check_paths(runner: object) -> WaveRunner:
    """The engine of a subject that supports path patching.

    Raises:
        Refused: blocks cannot be run one by one, or heads and MLPs are not accessible.
    """
    if not isinstance(runner, WaveRunner):
        raise _refuse("This subject has no blocks.")
    if runner.fallback:
        raise _refuse(f"This model runs only as a whole: {runner.fallback}.")
    for kind in (Kind.HEAD, Kind.MLP):
        if len(there := runner.model.list_layers(kind)) < runner.model.n_layers:
            raise _refuse(f"Only {len(there)} of {runner.model.n_layers} layers have an accessible {kind}.")
    return runner


def _refuse(found: str) -> Refused:
    return Refused(
        found,
        wanted="a transformer whose heads and MLPs add their outputs to one residual stream, block by block.",
        remedy="test its components: `sweep` and `circuit` do not use connections.",
    )
