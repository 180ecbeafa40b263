"""Gradients of the logit difference at every site: one forward and one backward pass, block by block under the model lock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.component import Kind
from audit_core.engine.capture import Capture, capture_run, embed_tokens
from audit_core.engine.memory import check_gradients
from audit_core.engine.replay import BlockCall, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.engine.sites import HookedModel
from audit_core.errors import ControlFailed, Refused
from audit_core.estimator import EffectEstimates, EstimateRequest
from audit_core.intervention import PromptSide
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Progress, Subject, read_only

if TYPE_CHECKING:
    import torch

GRADIENT_TOKENS = 256
"""Maximum rows × positions of one backward pass: about half a gigabyte for 30 layers (default model)."""


@dataclass(frozen=True, eq=False)
class ActivationGradients:
    """Activations of some rows, with the gradient of the logit difference."""

    activations: dict[tuple[Kind, int], torch.Tensor]
    """Per kind and layer; shapes as in `sites.HOOKS`."""
    gradients: dict[tuple[Kind, int], torch.Tensor]
    """∂(logit of the answer − logit of the foil) at the answer position / ∂activation; same shapes; logits per unit."""
    metric: torch.Tensor
    """Logit difference of each row; shape (row,)."""


def measure_gradients(
    runner: WaveRunner,
    residual: torch.Tensor,
    answers: Sequence[Tokens],
    foils: Sequence[Tokens],
    kinds: Sequence[Kind],
    calls: Sequence[BlockCall],
    *,
    dropped: Sequence[int] = (),
) -> ActivationGradients:
    """Run rows from the input of the first block and differentiate the metric.

    Blocks are differentiated one by one, each in a turn of its own, so that other work waits for one block at most; the arithmetic is
    that of one backward pass.

    Args:
        residual: input of the first block; shape (row, pos, d_model).
        answers, foils: set of tokens per row.
        dropped: per row, the layer whose contribution to the residual stream passes no gradient (GradDrop).

    Raises:
        ControlFailed: a site's hook did not fire or received no gradient.
        InterventionRefused: the pass does not fit in memory; see `check_gradients`.
    """
    import torch

    check_gradients(runner.geometry, *residual.shape[:2])
    activations: dict[tuple[Kind, int], torch.Tensor] = {}
    blocks: list[_Block] = []
    out = residual
    for layer, call in enumerate(calls):
        with runner.gradient_turn():
            block = _run_block(runner.model, layer, out, kinds, call, activations)
            if hit := [row for row, which in enumerate(dropped) if which == layer]:
                block = block.drop(hit)
        blocks.append(block)
        out = block.out
    with runner.gradient_turn():
        leaf = out.detach().requires_grad_()
        end = leaf[None, :, -1]
        difference = (runner.readout.read_tokens(end, answers) - runner.readout.read_tokens(end, foils))[0]
        (passed,) = torch.autograd.grad(difference.sum(), leaf)
    gradients: dict[tuple[Kind, int], torch.Tensor] = {}
    while blocks:
        block = blocks.pop()
        with runner.gradient_turn():
            passed, *found = torch.autograd.grad(
                block.out, [block.rows, *block.leaves.values()], passed, allow_unused=True
            )
        for place, gradient in zip(block.leaves, found):
            if gradient is None:
                raise ControlFailed(f"The {place[0]} of layer {place[1]} received no gradient; it cannot be estimated.")
            gradients[place] = gradient
    if missing := [f"{k} of layer {n}" for k in kinds for n in range(runner.model.n_layers) if (k, n) not in gradients]:
        raise ControlFailed(f"The hook of the {missing[0]} did not fire; it cannot be estimated.")
    return ActivationGradients(activations, gradients, difference.detach())


@dataclass(frozen=True, eq=False)
class _Block:
    """One block of a forward pass, to be differentiated by itself."""

    rows: torch.Tensor
    out: torch.Tensor
    leaves: dict[tuple[Kind, int], torch.Tensor]

    def drop(self, hit: Sequence[int]) -> _Block:
        """The same values, but what the block adds to these rows passes no gradient."""
        import torch

        kept = torch.ones(len(self.rows), 1, 1, device=self.rows.device)
        kept[hit] = 0
        change = self.out - self.rows
        return replace(self, out=self.rows + kept * change + (1 - kept) * change.detach())


def _run_block(
    model: HookedModel,
    layer: int,
    residual: torch.Tensor,
    kinds: Sequence[Kind],
    call: BlockCall,
    activations: dict[tuple[Kind, int], torch.Tensor],
) -> _Block:
    # A copy for the first block: its input may be a tensor of inference mode, which takes part in no backward pass.
    rows = (residual.detach() if layer else residual.clone()).requires_grad_()
    leaves: dict[tuple[Kind, int], torch.Tensor] = {}
    with _Watch(model, layer, kinds, activations, leaves):
        out = call_block(model, layer, rows, call, start=0, cache=None)
    return _Block(rows, out, leaves)


class _Watch:
    """Adds a zero tensor to each site of one block; its gradient is the gradient of the site."""

    def __init__(
        self,
        model: HookedModel,
        layer: int,
        kinds: Sequence[Kind],
        activations: dict[tuple[Kind, int], torch.Tensor],
        leaves: dict[tuple[Kind, int], torch.Tensor],
    ) -> None:
        self.points: list[Any] = []
        self.model, self.layer, self.kinds = model, layer, kinds
        self.activations, self.leaves = activations, leaves

    def __enter__(self) -> None:
        points = [(kind, self.model.find_point(kind, self.layer)) for kind in self.kinds]
        for kind, point in points:
            point.add_hook(self._adder((kind, self.layer)))
            self.points.append(point)

    def _adder(self, place: tuple[Kind, int]) -> Any:
        import torch

        def add(value: torch.Tensor, hook: Any) -> torch.Tensor:
            self.activations[place] = value.detach()
            self.leaves[place] = torch.zeros_like(value, requires_grad=True)
            return value + self.leaves[place]

        return add

    def __exit__(self, *_: object) -> None:
        for point in self.points:
            point.remove_hooks()


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of prompts of one length whose backward pass fits the memory budget."""

    prompts: tuple[int, ...]
    pairs: tuple[TokenPair, ...]
    calls: tuple[BlockCall, ...]

    def list_ids(self, side: PromptSide) -> list[tuple[int, ...]]:
        return [pair.clean_ids if side is PromptSide.CLEAN else pair.corrupted_ids for pair in self.pairs]

    @property
    def answers(self) -> list[Tokens]:
        return [pair.answer_ids for pair in self.pairs]

    @property
    def foils(self) -> list[Tokens]:
        return [pair.foil_ids for pair in self.pairs]


def get_runner(subject: Subject) -> WaveRunner:
    """The engine of a subject that can be differentiated.

    Raises:
        Refused: this subject cannot be differentiated.
    """
    runner = getattr(subject, "runner", None)
    why = (
        runner.explain_no_gradients()
        if isinstance(runner, WaveRunner)
        else "Gradients of this model are not available."
    )
    if not isinstance(runner, WaveRunner) or why:
        raise Refused(
            why,
            wanted="a transformer with heads in every layer, whose blocks can be run one by one.",
            remedy="measure exactly, without an estimator.",
        )
    return runner


def batch_prompts(runner: WaveRunner, prompts: TokenisedPrompts, *, rows_each: int = 1) -> Iterator[Batch]:
    """Divide prompts into batches of at most `GRADIENT_TOKENS` rows × positions per backward pass.

    Args:
        rows_each: rows per prompt.
    """
    for where in runner.batch(prompts):
        length = len(prompts.pairs[where[0]].clean_ids)
        size = max(1, GRADIENT_TOKENS // (length * rows_each))
        for at in range(0, len(where), size):
            part = where[at : at + size]
            yield Batch(part, tuple(prompts.pairs[i] for i in part), runner.find_calls(length))


def estimate_batches(
    subject: Subject,
    request: EstimateRequest,
    estimate: Callable[[WaveRunner, Batch], torch.Tensor],
    *,
    rows_each: int = 1,
    is_signed: bool = True,
    on_progress: Progress,
) -> EffectEstimates:
    """Estimate batch by batch and restore the order of prompts.

    Args:
        estimate: change of the metric by each component, in logits; shape (prompt, component).
        rows_each: rows per prompt in a backward pass.
        is_signed: whether estimates have a sign; then support is a loss on the clean run, a gain on the corrupted run.

    Raises:
        Refused: this subject has no gradients.
    """
    runner = get_runner(subject)
    columns: dict[int, list[float]] = {}
    for batch in batch_prompts(runner, request.prompts, rows_each=rows_each):
        columns |= zip(batch.prompts, estimate(runner, batch).tolist())
        on_progress(len(columns), len(request.prompts))
    change = np.array([columns[i] for i in range(len(columns))], np.float32).T
    support = -change if is_signed and request.side is PromptSide.CLEAN else change
    return EffectEstimates(subject.components(request.kind), read_only(np.ascontiguousarray(support)), is_signed)


def embed(runner: WaveRunner, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """Input of the first block; shape (row, pos, d_model)."""
    import torch

    with runner.lock, torch.inference_mode(False), torch.no_grad():
        return embed_tokens(runner.model, runner.model.place_tokens(ids))


def capture_plain(runner: WaveRunner, batch: Batch, side: PromptSide, kinds: Collection[Kind]) -> Capture:
    """Unedited run of one side, as tensors to multiply with gradients."""
    ids = runner.model.place_tokens(batch.list_ids(side))
    return capture_run(runner.model, ids, batch.calls, kinds, runner.turn)


def sum_parts(kind: Kind, product: torch.Tensor) -> torch.Tensor:
    """Sum over positions and dimensions; shape (row, ...) → (row, component of the layer)."""
    if kind in (Kind.HEAD, Kind.QUERY, Kind.KEY, Kind.VALUE):
        return product.sum((1, 3))
    return product.sum(1) if kind is Kind.NEURON else product.sum((1, 2))[:, None]


def draw_patterns_with(
    runner: WaveRunner,
    kind: Kind,
    residuals: Sequence[torch.Tensor],
    values: dict[tuple[Kind, int], torch.Tensor],
    calls: Sequence[BlockCall],
) -> dict[int, torch.Tensor]:
    """Attention patterns of each layer with all its queries (or keys) replaced at once.

    The pattern of a head depends on its own query and key only, so one call of a block gives all patterns exactly.

        Args:
            kind: `query` or `key`.
            residuals: input of each block on the unedited run.
            values: the new queries or keys, per layer.

        Returns:
            Per layer, shape (row, head, query, key).
    """
    import torch

    patterns: dict[int, torch.Tensor] = {}
    for layer, call in enumerate(calls):

        def put(value: torch.Tensor, hook: Any, layer: int = layer) -> torch.Tensor:
            return values[kind, layer].clone()

        def keep(value: torch.Tensor, hook: Any, layer: int = layer) -> None:
            patterns[layer] = value.detach().clone()

        with runner.lock, torch.no_grad():
            points: list[Any] = [runner.model.find_point(kind, layer), runner.model.find_point(Kind.PATTERN, layer)]
            for point, hook in zip(points, (put, keep)):
                point.add_hook(hook)
            try:
                call_block(runner.model, layer, residuals[layer], call, start=0, cache=None)
            finally:
                for point in points:
                    point.remove_hooks()
    return patterns
