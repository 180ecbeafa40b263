"""Mean activations over reference prompts: accumulated during capture, and aligned with the edited prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.component import Kind
from audit_core.engine.capture import Capture, Place
from audit_core.engine.device import from_numpy, to_numpy, widen
from audit_core.engine.sites import HookedModel, find_site_shape
from audit_core.errors import InterventionRefused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Geometry, Means, read_only

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


MEANS_BYTES = 2 << 30
"""Most memory of running sums: means of attention patterns grow with the square of a prompt's length."""


def check_size(reference: TokenisedPrompts, kinds: Collection[Kind], geometry: Geometry) -> None:
    """Refuse means that do not fit in memory, before the run.

    Raises:
        InterventionRefused: the sums of these kinds over these prompts take more than `MEANS_BYTES`.
    """
    keys = {(len(pair.clean_ids), pair.prompt.template) for pair in reference.pairs}
    sizes = {kind: sum(measure_sums([kind], geometry, length) for length, _ in keys) for kind in join_kinds(kinds)}
    if sum(sizes.values()) > MEANS_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise InterventionRefused(
            f"Means of {largest} over prompts of up to {max(length for length, _ in keys)} tokens take "
            f"{sum(sizes.values()) / 1e9:.1f} GB.",
            wanted=f"at most {MEANS_BYTES / 1e9:.1f} GB.",
            remedy="choose resample or zero, or shorter prompts.",
        )


def measure_sums(kinds: Collection[Kind], geometry: Geometry, length: int) -> int:
    """Bytes of sums in double precision of all layers over prompts of one length and template; experts are not counted."""
    shapes = [find_site_shape(kind, geometry, length, length) for kind in join_kinds(kinds) if kind is not Kind.EXPERT]
    return 8 * geometry.n_layers * sum(int(np.prod(shape)) for shape in shapes)


def join_kinds(kinds: Collection[Kind]) -> tuple[Kind, ...]:
    """Kinds whose means are kept: the mean of a pattern is the mean of its edges."""
    return tuple(sorted({Kind.EDGE if kind is Kind.PATTERN else kind for kind in kinds}))


class MeanSums:
    """Running sums per token length and template, of one layer at a time."""

    def __init__(self, kinds: Collection[Kind], n_layers: int) -> None:
        self.kinds, self._n_layers = join_kinds(kinds), n_layers
        self._sums: dict[int, dict[str, dict[Place, _Sum]]] = {}
        self._counts: dict[tuple[int, str], int] = {}
        self._means: dict[tuple[int, str], dict[Kind, Floats]] = {}

    def count(self, pairs: Sequence[TokenPair]) -> None:
        """Count prompts of one length, whose layers are added next."""
        for pair in pairs:
            for key in {(len(pair.clean_ids), ""), (len(pair.clean_ids), pair.prompt.template)}:
                self._counts[key] = self._counts.get(key, 0) + 1

    def add(self, pairs: Sequence[TokenPair], run: Capture, model: HookedModel) -> None:
        """Add layers of prompts of one length.

        Args:
            run: of their clean runs, followed by their corrupted runs; of one layer, or of all.
        """
        import torch

        n, by_template = len(pairs), self._sums.setdefault(len(pairs[0].clean_ids), {})
        for (kind, layer), value in run.sites.items():
            sent = None
            if kind is Kind.EXPERT:
                value, sent = _add_experts(n, value, model, layer)
            else:
                value = (value[:n] + value[n:]) / 2
            for name in {pair.prompt.template for pair in pairs}:
                rows, entry = (
                    [i for i, p in enumerate(pairs) if p.prompt.template == name],
                    by_template.setdefault(name, {}),
                )
                # float64, against rounding in sums over hundreds of prompts.
                more = _Sum(widen(value[rows]).sum(0, dtype=torch.float64), None if sent is None else sent[rows].sum(0))
                entry[kind, layer] = entry[kind, layer].add(more) if (kind, layer) in entry else more

    def close(self, length: int, layer: int) -> None:
        """Turn the sums of one layer into its means, after the last prompt of this length; the sums are then released."""
        by_template = self._sums.get(length, {})
        for kind in self.kinds:
            sums = {name: entry.pop((kind, layer)) for name, entry in by_template.items() if (kind, layer) in entry}
            for name, total in ((sums if len(by_template) > 1 else {}) | _join_all(sums)).items():
                mean = to_numpy(total.average(self._counts[length, name]))
                found = self._means.setdefault((length, name), {})
                if kind not in found:
                    found[kind] = _make_room(self._n_layers, mean)
                found[kind][layer] = mean

    def finish(self) -> Means:
        """Means by length, of each template and of all ("")."""
        found: dict[tuple[int, str], dict[Kind, Floats]] = {}
        for length, by_template in self._sums.items():
            for layer in range(self._n_layers):
                self.close(length, layer)
            for name in sorted({"", *by_template}):
                # One template alone has the means of all, without a copy.
                known = self._means[length, "" if len(by_template) == 1 else name]
                found[length, name] = {kind: read_only(known[kind]) for kind in self.kinds}
        return Means(found, self._counts)


def _make_room(n_layers: int, mean: Floats) -> Floats:
    """Means of all layers, filled one by one, so that no more than one is in memory twice; NaN where a layer lacks the site."""
    return np.full((n_layers, *mean.shape), np.nan, mean.dtype)


@dataclass(frozen=True, eq=False)
class _Sum:
    """Sum over prompts, in float64; for experts with the number of tokens, shapes (expert, 2, d_model) and (expert, 2, 1)."""

    total: torch.Tensor
    n_sent: torch.Tensor | None

    def add(self, other: _Sum) -> _Sum:
        n_sent = None if self.n_sent is None or other.n_sent is None else self.n_sent + other.n_sent
        return _Sum(self.total + other.total, n_sent)

    def average(self, count: int) -> torch.Tensor:
        """Float32; shape (...), of an expert layer (expert, d_model)."""
        mean = self.total / count if self.n_sent is None else _choose_mean(self.total, self.n_sent)
        return mean.float()


def _join_all(sums: Mapping[str, _Sum]) -> dict[str, _Sum]:
    """The sum of all templates, under the name ""; empty where a layer lacks the site."""
    return {"": reduce(_Sum.add, sums.values())} if sums else {}


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
        return read_only(to_numpy(self._found.float()).copy())


def _choose_mean(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens sent to each expert, or over all tokens if none was: an edit of other experts may send some there."""
    means = total / count.clamp(min=1)
    return means[..., 0, :].where(count[..., 0, :] > 0, means[..., 1, :])


def _add_experts(n: int, routed: Any, model: HookedModel, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of a layer's experts per prompt, summed over the tokens sent to them and over all tokens, and the numbers of
    tokens.

    Args:
        routed: a `Routed` of clean rows, followed by their corrupted rows.

    Returns:
        Shapes (prompt, expert, 2, d_model) and (prompt, expert, 2, 1).
    """
    import torch

    mixture = model.find_point(Kind.EXPERT, layer)
    rows, n_positions, width = routed.inputs.shape
    here = routed.inputs.device
    total, count = (
        torch.zeros(n, mixture.n_experts, 2, width, device=here),
        torch.zeros(n, mixture.n_experts, 2, 1, device=here),
    )
    for expert in range(mixture.n_experts):
        written = mixture.run_expert(routed.inputs.flatten(0, 1), expert).view(rows, n_positions, width).float()
        sent = (routed.index == expert).any(-1, keepdim=True).float()
        for side in (slice(n), slice(n, None)):
            total[:, expert, 0] += (written[side] * sent[side]).sum(1)
            total[:, expert, 1] += written[side].sum(1)
            count[:, expert, 0] += sent[side].sum(1)
            count[:, expert, 1] += n_positions
    return total, count


def gather_means(
    means: Means | None,
    pairs: Sequence[TokenPair],
    replacement: Replacement,
    device: torch.device,
    kinds: Collection[Kind] | None = None,
) -> dict[Kind, torch.Tensor]:
    """Reference means aligned with these prompts; per kind, shape (prompt, layer, ...).

    Args:
        kinds: those that are wanted; all that there are if None.

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
    known = [kind for kind in means.activations[keys[0]] if kinds is None or kind in kinds]
    if len(set(keys)) == 1:
        # One copy for all prompts: means of long prompts are large.
        alike = {kind: from_numpy(means.activations[keys[0]][kind].copy(), device) for kind in known}
        return {kind: mean.expand(len(keys), *mean.shape) for kind, mean in alike.items()}
    return {
        kind: torch.stack([from_numpy(means.activations[key][kind].copy(), device) for key in keys]) for kind in known
    }
