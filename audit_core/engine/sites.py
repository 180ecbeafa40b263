"""Sites: the hook of each kind of component, and the part of its tensor that an edit names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused, InterventionRefused
from audit_core.intervention import Edit, FeatureBlock, Intervention, Replacement
from audit_core.subject import Geometry

if TYPE_CHECKING:
    import torch
    from transformer_lens.hook_points import HookPoint
    from transformer_lens.model_bridge import TransformerBridge

    from audit_core.engine.direct.direct_block import DirectBlock
    from audit_core.engine.experts import MixtureLayer
    from audit_core.engine.shared_path import SharedPath

HOOKS = {
    Kind.RESID: "hook_resid_pre",
    Kind.QUERY: "attn.hook_q",
    Kind.KEY: "attn.hook_k",
    Kind.VALUE: "attn.hook_v",
    Kind.EDGE: "attn.hook_pattern",
    Kind.PATTERN: "attn.hook_pattern",
    Kind.HEAD: "attn.hook_z",
    Kind.NEURON: "mlp.hook_post",
    Kind.EXPERT: "",
    Kind.SHARED: "",
    Kind.MLP: "hook_mlp_out",
}
"""TransformerBridge hook of each kind, inside `blocks.{layer}.`, in the order in which a block computes them. Tensor
shapes: residual and MLP (row, pos, d_model); query, key, value and head output before W_O (row, pos, head, d_head);
neurons (row, pos, neuron); pattern (row, head, query, key). Experts have a `MixtureLayer` in the place of a hook, whose
value is a `Routed`, and shared experts a `SharedPath`, whose value has the shape of an MLP's."""
_PATTERNS = (Kind.EDGE, Kind.PATTERN)
_WHOLE = (Kind.RESID, Kind.MLP, Kind.SHARED, Kind.SOURCE)

MAX_FEATURES = 1_000_000
"""Numbers that an address can have; see `component`."""


@dataclass(frozen=True, eq=False)
class HookedModel:
    """A loaded model with its hook points, looked up once: TransformerBridge rebuilds the table at each access."""

    bridge: TransformerBridge
    points: Mapping[tuple[Kind, int], HookPoint | MixtureLayer | SharedPath]
    direct: Mapping[int, DirectBlock] = field(default_factory=dict)
    """Blocks by layer that run without TransformerLens' wrappers, after a comparison of their bits; see `engine.direct`."""

    @property
    def n_layers(self) -> int:
        return len(self.bridge.blocks)

    @cached_property
    def device(self) -> torch.device:
        """Where its weights are; what a run makes is put there too."""
        return next(self.bridge.parameters()).device

    def place_tokens(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Inputs of one length on its device; shape (row, pos)."""
        import torch

        return torch.tensor(rows, device=self.device)

    def find_point(self, kind: Kind, layer: int) -> Any:
        """The hook of a kind of component in one layer.

        Raises:
            InterventionRefused: this architecture has no such hook.
        """
        if (kind, layer) not in self.points:
            there = self.list_layers(kind)
            raise InterventionRefused(
                f"{kind} of layer {layer} has no hook in this architecture.",
                wanted=f"one of the layers with it: {', '.join(map(str, there))}."
                if there
                else "an accessible kind of component.",
                remedy="choose a component from the map." if there else "test another kind.",
            )
        return self.points[kind, layer]

    def list_layers(self, kind: Kind) -> tuple[int, ...]:
        """Layers with a kind of component: all, or the attention layers of a hybrid model."""
        return tuple(layer for layer in range(self.n_layers) if (kind, layer) in self.points)

    def list_places(self, kinds: Iterable[Kind]) -> tuple[tuple[Kind, int], ...]:
        """Every site of these kinds that the model has.

        Raises:
            InterventionRefused: no layer has this kind.
        """
        found = [(kind, self.list_layers(kind)) for kind in kinds]
        for kind, layers in found:
            if not layers:
                self.find_point(kind, 0)
        return tuple((kind, layer) for kind, layers in found for layer in layers)

    def check_sites(self, interventions: Sequence[Intervention]) -> None:
        """Refuse edits in layers without their site, before the run."""
        for kind, layer in {(find_kind(e), e.component.layer) for i in interventions for e in i.edits}:
            self.find_point(kind, layer)
        for intervention in interventions:
            for site in group_edits([e for e in intervention.edits if e.replacement is Replacement.FORCED]):
                n_chosen = self.find_point(Kind.EXPERT, site.layer).n_chosen
                if len(site.indices) != n_chosen:
                    raise InterventionRefused(
                        f"{len(site.indices)} experts of layer {site.layer} forced for a token.",
                        wanted=f"{n_chosen}, as many as its router chooses.",
                        remedy="name as many experts as the router chooses.",
                    )


def find_hooks(bridge: TransformerBridge) -> HookedModel:
    """Look up all hooks of TransformerBridge; an architecture may lack some."""
    table = bridge.hook_dict
    names = {(kind, n): f"blocks.{n}.{hook}" for kind, hook in HOOKS.items() for n in range(len(bridge.blocks))}
    return HookedModel(bridge, {place: table[name] for place, name in names.items() if name in table})


def count_indices(kind: Kind, geometry: Geometry) -> int:
    """Number of components of a kind per layer.

    Raises:
        ComponentRefused: transformer blocks have no such kind.
    """
    if kind not in HOOKS:
        raise ComponentRefused(
            f"Kind {kind}.", wanted=f"one of {', '.join(HOOKS)}.", remedy="choose a component from the map."
        )
    if kind in _WHOLE:
        return 1
    if kind is Kind.NEURON:
        return geometry.n_neurons
    if kind is Kind.EXPERT:
        return geometry.n_experts
    return geometry.n_key_value_heads if kind in (Kind.KEY, Kind.VALUE) else geometry.n_heads


def find_site_shape(kind: Kind, geometry: Geometry, n_queries: int, n_positions: int) -> tuple[int, ...]:
    """Shape of a site without its first axis, rows; see `HOOKS`.

    Args:
        n_queries: positions that run; all of `n_positions`, or the later ones.
    """
    if kind in _PATTERNS:
        return geometry.n_heads, n_queries, n_positions
    if kind in _WHOLE or kind is Kind.NEURON:
        return n_queries, geometry.n_neurons if kind is Kind.NEURON else geometry.d_model
    return n_queries, count_indices(kind, geometry), geometry.d_head


def check_places(interventions: Sequence[Intervention], geometry: Geometry, n_positions: int) -> None:
    """Check edits against the model and the prompt length, before the run.

    Raises:
        ComponentRefused: the model has no such layer, head or kind of component.
        InterventionRefused: a position outside the prompt, a component edited twice, or a direction of the wrong size.
    """
    sizes = {kind: count_indices(kind, geometry) for kind in HOOKS}
    # How many features a dictionary has, its edits do not say: they carry the feature's own vectors.
    sizes[Kind.FEATURE] = MAX_FEATURES
    for intervention in interventions:
        places: dict[Component, Component] = {}
        drawn: set[tuple[int, int]] = set()
        for edit in intervention.edits:
            part = edit.component
            if part.kind is Kind.FEATURE and edit.block is None:
                raise InterventionRefused(
                    f"{part} on a model that was opened without a dictionary.",
                    wanted="the dictionary that gives this feature its meaning.",
                    remedy="open the model with it, such as `default+default-layer-12`.",
                )
            if not (0 <= part.layer < geometry.n_layers and 0 <= part.index < sizes.get(part.kind, 0)):
                raise ComponentRefused(
                    f"{part} is not in this model.",
                    wanted=f"layers 0–{geometry.n_layers - 1}, heads 0–{geometry.n_heads - 1}, key and value heads "
                    f"0–{geometry.n_key_value_heads - 1}, {_range('neurons', geometry.n_neurons)}"
                    f"{_range('experts', geometry.n_experts)}MLPs or residual stream.",
                    remedy="choose a component from the map.",
                )
            at, key = (None if n is None else locate_position(n, n_positions) for n in (part.position, part.key))
            if at is not None and key is not None and key > at:
                raise InterventionRefused(
                    f"{part} attends to a later token.",
                    wanted="a key position at or before its query position.",
                    remedy="swap the positions.",
                )
            other = places.setdefault(part if at is None else replace(part, position=at, key=key), part)
            if other is not part:
                raise _repeated(f"{other} and {part} are the same position in a prompt of {n_positions} tokens.")
            if part.kind is Kind.PATTERN:
                drawn.add((part.layer, part.index))
            _check_direction(edit, geometry)
        if clash := [p for p in places if p.kind is Kind.EDGE and (p.layer, p.index) in drawn]:
            raise _repeated(f"{clash[0]} is part of an attention pattern that is also replaced.")


def _range(kind: str, count: int) -> str:
    return f"{kind} 0–{count - 1}, " if count else ""


def _repeated(found: str) -> InterventionRefused:
    return InterventionRefused(found, wanted="one replacement per component.", remedy="remove one of them.")


def _check_direction(edit: Edit, geometry: Geometry) -> None:
    if edit.direction is None:
        return
    kind = edit.component.kind
    size = geometry.d_model if kind in (*_WHOLE, Kind.EXPERT, Kind.FEATURE) else geometry.d_head
    if kind in (*_PATTERNS, Kind.NEURON) or len(edit.direction) != size:
        raise InterventionRefused(
            f"A direction of {len(edit.direction)} numbers at {edit.component}.",
            wanted=f"{geometry.d_model} numbers for an MLP, an expert or the residual stream, {geometry.d_head} for a head.",
            remedy="give a direction in that component's space.",
        )


@dataclass(frozen=True)
class SiteEdit:
    """Edits of one intervention with the same layer, kind, replacement and position."""

    layer: int
    kind: Kind
    replacement: Replacement
    factor: float
    indices: tuple[int, ...]
    """Heads, neurons or experts; empty for a component that is unique in its layer, and for all of its neurons."""
    position: int | None
    key: int | None
    direction: tuple[float, ...] | None = None
    reads: tuple[float, ...] | None = None
    block: FeatureBlock | None = None

    @property
    def n_edits(self) -> int:
        return max(1, len(self.indices)) if self.block is None else len(self.block)

    def find_start(self, n_positions: int, first_difference: int) -> int:
        """First position whose activations this edit can change.

        Args:
            first_difference: first position at which the two runs of a pair differ; 0 if unknown.
        """
        if self.position is not None:
            return locate_position(self.position, n_positions)
        # Before the first difference both runs are equal, so resampling changes nothing.
        takes_run = self.replacement in (Replacement.RESAMPLE, Replacement.IDENTITY)
        return first_difference if takes_run else 0

    def select(self, n_positions: int, start: int) -> tuple[tuple, tuple]:
        """Indices of the edited component.

        Args:
            start: first position of the running tensor.

        Returns:
            Index into the running tensor, and into a source of whole prompts; the first axis of both is rows.
        """
        running, source = (_span(self.position, n_positions, first) for first in (start, 0))
        if self.position is None:
            source = slice(start, None)
        if self.kind in _PATTERNS:
            keys = _span(self.key, n_positions, 0)
            return (slice(None), list(self.indices), running, keys), (slice(None), list(self.indices), source, keys)
        is_whole = self.kind in (*_WHOLE, Kind.EXPERT) or not self.indices
        tail = () if is_whole else (_compact(self.indices),)
        return (slice(None), running, *tail), (slice(None), source, *tail)


def _compact(indices: tuple[int, ...]) -> slice | list[int]:
    """A slice for consecutive indices, which avoids a copy in the usual case of a single head."""
    first, last = indices[0], indices[-1]
    return slice(first, last + 1) if last - first + 1 == len(indices) else list(indices)


def _span(position: int | None, n_positions: int, start: int) -> slice:
    if position is None:
        return slice(None)
    absolute = locate_position(position, n_positions) - start
    return slice(absolute, absolute + 1)


def locate_position(position: int, n_positions: int) -> int:
    """Absolute position; negative positions count from the end."""
    absolute = position + n_positions if position < 0 else position
    if not 0 <= absolute < n_positions:
        raise InterventionRefused(
            f"Position {position} in a prompt of {n_positions} tokens.",
            wanted=f"{-n_positions} to {n_positions - 1}.",
            remedy="choose a position inside the prompt.",
        )
    return absolute


def find_kind(edit: Edit) -> Kind:
    """Kind of the site of an edit: an MLP that is kept in range is edited at its neurons, a feature in the residual stream."""
    if edit.component.kind is Kind.FEATURE:
        return Kind.RESID
    return Kind.NEURON if edit.replacement is Replacement.IN_RANGE else edit.component.kind


def group_edits(edits: Sequence[Edit]) -> tuple[SiteEdit, ...]:
    """Group components of one layer with the same replacement, so that a circuit of 260 heads needs 30 writes."""
    found: dict[tuple, list[int]] = {}
    for edit in edits:
        part = edit.component
        place = (
            part.layer, find_kind(edit), edit.replacement, edit.factor, part.position, part.key, edit.direction, edit.reads, edit.block,
        )  # fmt: skip
        found.setdefault(place, []).append(part.index)
    return tuple(
        SiteEdit(
            layer,
            kind,
            replacement,
            factor,
            () if kind in _WHOLE or replacement is Replacement.IN_RANGE else tuple(sorted(indices)),
            position,
            key,
            direction,
            reads,
            block,
        )
        for (layer, kind, replacement, factor, position, key, direction, reads, block), indices in found.items()
    )
