"""What a component writes into the residual stream, and how that changes when its activation is replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from audit_core.component import Component, Kind
from audit_core.connection import Connection, Terminal, is_head
from audit_core.engine.capture import Capture
from audit_core.engine.hooks import Sources
from audit_core.engine.runner import WaveRunner
from audit_core.engine.sites import NOISE_SCALE, SiteEdit, replace_part
from audit_core.errors import Refused
from audit_core.intervention import PromptSide, Replacement

if TYPE_CHECKING:
    import torch

ADDS_UP = 1e-5
"""Of the largest number in the residual stream: float32 keeps 6e-8 of it, and a block adds a few times."""


class Senders:
    """Changes of the residual stream on the clean run, each by what one sender writes.

    Args:
        sources: clean run, and what the replacement takes from elsewhere, with heads and MLPs kept.
        start: first position that is computed.
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
            residual: the stream that is changed, same shape; noise is as large as it.
        """
        import torch

        if self.replacement is Replacement.NOISE:
            noise = torch.randn(residual.shape, generator=self.generator)
            return NOISE_SCALE * (residual.square().mean().sqrt() + 1.0) * noise
        total = torch.zeros_like(residual)
        # One product per layer, however many of its heads send.
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
    """What head outputs write, without the bias; shape (prompt, pos, head, d_head) → (prompt, pos, d_model)."""
    attention: Any = runner.bridge.blocks[layer].attn
    flat = outputs.flatten(2)
    written: torch.Tensor = attention.o(flat) - attention.o(flat.new_zeros(1, 1, flat.shape[2]))
    return written


def check_sums(runner: WaveRunner, run: Capture) -> None:
    """Hold each block against the sum of what its heads and its MLP write.

    Raises:
        Refused: a block does more than add that to the residual stream, so that no part of it is any one component's.
    """
    for layer, before in enumerate(run.residuals):
        is_last = layer + 1 == len(run.residuals)
        with runner.turn():
            attention: Any = runner.bridge.blocks[layer].attn
            try:
                written = attention.o(run.sites[Kind.HEAD, layer].flatten(2)) + run.sites[Kind.MLP, layer]
            except AttributeError as error:
                raise _refuse(f"Block {layer} has no output matrix of attention to be found.") from error
            # Of the last block's output only the answer position is kept.
            after = run.ends[:, None] if is_last else run.residuals[layer + 1]
            if is_last:
                before, written = before[:, -1:], written[:, -1:]
            off = float((after - before - written).abs().max())
            allowed = ADDS_UP * float(after.abs().max() + before.abs().max() + 1)
        if not off <= allowed:
            raise _refuse(
                f"Block {layer} changes the residual stream by other than the sum of what its heads and MLP write "
                f"(off by {off:.3g}): it normalises or scales what they write."
            )


def check_paths(runner: object) -> WaveRunner:
    """The engine of a subject whose paths can be patched.

    Raises:
        Refused: blocks cannot be run one by one, or heads and MLPs cannot be reached.
    """
    if not isinstance(runner, WaveRunner):
        raise _refuse("This subject has no blocks.")
    if runner.fallback:
        raise _refuse(f"This model runs only as a whole: {runner.fallback}.")
    for kind in (Kind.HEAD, Kind.MLP):
        if len(there := runner.model.list_layers(kind)) < runner.model.n_layers:
            raise _refuse(f"Of {runner.model.n_layers} layers {len(there)} have a {kind} that can be reached.")
    return runner


def _refuse(found: str) -> Refused:
    return Refused(
        found,
        wanted="a transformer whose heads and MLPs add what they write to one residual stream, block by block.",
        remedy="test its components instead: `sweep` and `circuit` need no connections.",
    )
