"""Mean activations over reference prompts: accumulated during capture, and aligned with the edited prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.capture import Capture
from audit_core.engine.sites import HookedModel
from audit_core.errors import InterventionRefused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Means, read_only

if TYPE_CHECKING:
    import torch

MEANS = (Replacement.MEAN, Replacement.MEAN_TEMPLATE)


def stack_layers(found: Mapping[int, torch.Tensor], n_layers: int) -> torch.Tensor:
    """One tensor of all layers, shape (row, layer, ...), from one per layer, shape (row, ...).

    Layers without the site are NaN, not zero, which could be mistaken for a measurement.
    """
    import torch

    like = next(iter(found.values()))
    return torch.stack(
        [found[n] if n in found else torch.full_like(like, float("nan")) for n in range(n_layers)], dim=1
    )


class MeanSums:
    """Running sums per token length and template ("" for all templates)."""

    def __init__(self, kinds: Collection[Kind]) -> None:
        # The mean of a pattern is the mean of its edges.
        self.kinds = tuple(sorted({Kind.EDGE if kind is Kind.PATTERN else kind for kind in kinds}))
        self._sums: dict[tuple[int, str], dict[Kind, torch.Tensor]] = {}
        self._counts: dict[tuple[int, str], int] = {}
        self._sent: dict[tuple[int, str], torch.Tensor] = {}

    def add(self, pairs: Sequence[TokenPair], run: Capture, model: HookedModel) -> None:
        """Add prompts of one length.

        Args:
            run: their clean runs, followed by their corrupted runs.
        """
        n = len(pairs)
        sites: dict[Kind, torch.Tensor] = {
            kind: stack_layers({i: (v[:n] + v[n:]) / 2 for (k, i), v in run.sites.items() if k is kind}, model.n_layers)
            for kind in self.kinds
            if kind is not Kind.EXPERT
        }
        sent = None
        if Kind.EXPERT in self.kinds:
            sites[Kind.EXPERT], sent = _add_experts(n, run, model)
        for template in {"", *(pair.prompt.template for pair in pairs)}:
            members = [i for i, pair in enumerate(pairs) if template in ("", pair.prompt.template)]
            key = (len(pairs[0].clean_ids), template)
            self._counts[key] = self._counts.get(key, 0) + len(members)
            entry = self._sums.setdefault(key, {})
            # float64, against rounding in sums over hundreds of prompts.
            for kind, values in sites.items():
                more = values[members].double().sum(0)
                entry[kind] = entry[kind] + more if kind in entry else more
            if sent is not None:
                more = sent[members].sum(0)
                self._sent[key] = self._sent[key] + more if key in self._sent else more

    def finish(self) -> Means:
        activations = {
            key: {
                kind: read_only(
                    (_choose_mean(total, self._sent[key]) if kind is Kind.EXPERT else total / self._counts[key])
                    .float()
                    .numpy()
                )
                for kind, total in entry.items()
            }
            for key, entry in self._sums.items()
        }
        return Means(activations, self._counts)


class NeuronBounds:
    """Running smallest and largest value of every neuron, at the first token and at all others."""

    def __init__(self) -> None:
        self._found: torch.Tensor | None = None

    def add(self, run: Capture, model: HookedModel) -> None:
        """Add unedited runs of one length."""
        import torch

        values = stack_layers({layer: v for (_, layer), v in run.sites.items()}, model.n_layers)
        # Shape (row, layer, pos, neuron): over rows, and over the positions after the first.
        first, rest = values[:, :, 0], values[:, :, min(1, values.shape[2] - 1) :].transpose(2, 3)
        low = torch.stack([first.amin(0), rest.amin((0, 3))], dim=1)
        high = torch.stack([first.amax(0), rest.amax((0, 3))], dim=1)
        if self._found is not None:
            low, high = torch.minimum(low, self._found[0]), torch.maximum(high, self._found[1])
        self._found = torch.stack([low, high])

    def finish(self) -> Floats:
        assert self._found is not None
        return read_only(self._found.float().numpy().copy())


def _choose_mean(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens sent to each expert, or over all tokens if none was: an edit of other experts may send some there."""
    means = total / count.clamp(min=1)
    return means[..., 0, :].where(count[..., 0, :] > 0, means[..., 1, :])


def _add_experts(n: int, run: Capture, model: HookedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of experts per prompt, summed over the tokens sent to them and over all tokens, and the numbers of tokens.

    Returns:
        Shapes (prompt, layer, expert, 2, d_model) and (prompt, layer, expert, 2, 1).
    """
    import torch

    outputs, counts = {}, {}
    for layer in model.list_layers(Kind.EXPERT):
        mixture, routed = model.find_point(Kind.EXPERT, layer), run.sites[Kind.EXPERT, layer]
        rows, n_positions, width = routed.inputs.shape
        total, count = torch.zeros(n, mixture.n_experts, 2, width), torch.zeros(n, mixture.n_experts, 2, 1)
        for expert in range(mixture.n_experts):
            written = mixture.run_expert(routed.inputs.flatten(0, 1), expert).view(rows, n_positions, width).float()
            sent = (routed.index == expert).any(-1, keepdim=True).float()
            # The corrupted runs follow the clean ones.
            for side in (slice(n), slice(n, None)):
                total[:, expert, 0] += (written[side] * sent[side]).sum(1)
                total[:, expert, 1] += written[side].sum(1)
                count[:, expert, 0] += sent[side].sum(1)
                count[:, expert, 1] += n_positions
        outputs[layer], counts[layer] = total, count
    return stack_layers(outputs, model.n_layers), stack_layers(counts, model.n_layers)


def gather_means(means: Means | None, pairs: Sequence[TokenPair], replacement: Replacement) -> dict[Kind, torch.Tensor]:
    """Reference means aligned with these prompts; per kind, shape (prompt, layer, ...).

    Raises:
        InterventionRefused: fewer than two reference prompts of a prompt's length (and template).
    """
    import torch

    keys = [
        (len(pair.clean_ids), pair.prompt.template if replacement is Replacement.MEAN_TEMPLATE else "")
        for pair in pairs
    ]
    for key, pair in zip(keys, pairs):
        if means is None or means.n_prompts.get(key, 0) < 2:
            raise InterventionRefused(
                f"No mean for prompt {pair.prompt.id} of {key[0]} tokens.",
                wanted="at least two reference prompts of that length (and template).",
                remedy="choose resample or zero, or a prompt set as reference.",
            )
    assert means is not None
    return {
        kind: torch.stack([torch.from_numpy(means.activations[key][kind].copy()) for key in keys])
        for kind in means.activations[keys[0]]
    }
