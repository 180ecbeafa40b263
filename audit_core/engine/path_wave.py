"""One wave of path patching: receivers' outputs for a changed input join the clean run at the receiver's layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from audit_core.component import Component, Kind
from audit_core.connection import Connection, Endpoint, Through, is_head
from audit_core.engine.receivers import INPUTS, run_heads, run_mlp
from audit_core.engine.replay import Prefix, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import Senders
from audit_core.errors import ControlFailed

if TYPE_CHECKING:
    import torch

Bundle = tuple[Connection, ...]
"""Connections replaced together: several senders, one receiver, one input."""
_Key = tuple[Endpoint, ...]


def find_layer(bundle: Bundle) -> int:
    """Layer of the receiver; after all layers for the output."""
    receiver = bundle[0].receiver
    return receiver.layer if isinstance(receiver, Component) else 1 << 16


def list_senders(bundle: Bundle) -> _Key:
    return tuple(connection.sender for connection in bundle)


def count_replays(bundles: Sequence[Bundle]) -> int:
    """Extra block runs per prompt row for computing receivers' outputs."""
    heads = {(find_layer(b), list_senders(b)) for b in bundles if is_head(b[0].receiver)}
    inputs = {(find_layer(b), list_senders(b), b[0].through) for b in bundles if b[0].through is not Through.WHOLE}
    mlps = {(find_layer(b), list_senders(b)) for b in bundles if not is_head(b[0].receiver)}
    return len(heads) + len(inputs) + len(mlps)


class PathWave:
    """Runs bundles on the captured prompts; rows are in the order of bundles, one group of `prompt` rows each.

    Args:
        bundles: ordered by the receivers' layers; none to the output.
        on_layer: called with the rows × positions of each block run.
    """

    def __init__(
        self, runner: WaveRunner, senders: Senders, bundles: Sequence[Bundle], on_layer: Callable[[int], None]
    ) -> None:
        self.runner, self.senders, self.bundles, self.on_layer = runner, senders, bundles, on_layer
        self.clean, self.start = senders.clean, senders.start
        self.n_prompts, self.n_positions = self.clean.tokens.shape
        self.calls = runner.find_calls(self.n_positions)
        self.applied = 0
        """Applied receiver outputs, over bundles and prompts."""

    def run(self) -> torch.Tensor:
        """The residual stream after the last block at the answer position; shape (bundle, prompt, d_model).

        Raises:
            ControlFailed: a hook did not fire.
        """
        import torch

        rows: torch.Tensor | None = None
        joined = 0
        for layer in range(self.runner.model.n_layers):
            joining = [bundle for bundle in self.bundles[joined:] if find_layer(bundle) == layer]
            outputs: list[torch.Tensor] = []
            if joining:
                outputs = self._find_outputs(layer, joining)
                entering = self._repeat(self.clean.residuals[layer][:, self.start :], len(joining))
                rows = entering if rows is None else torch.cat([rows, entering])
            if rows is None:
                continue
            with self.runner.turn(), self._put(layer, joining, outputs, joined):
                rows = self._call(layer, rows)
            joined += len(joining)
        assert rows is not None
        return rows[:, -1].view(len(self.bundles), self.n_prompts, -1)

    def _find_outputs(self, layer: int, joining: Sequence[Bundle]) -> list[torch.Tensor]:
        """Output of each receiver; shape (prompt, pos, d_head) for a head, (prompt, pos, d_model) for an MLP."""
        heads = [bundle for bundle in joining if is_head(bundle[0].receiver)]
        mlps = [bundle for bundle in joining if not is_head(bundle[0].receiver)]
        found: dict[Bundle, torch.Tensor] = {}
        if heads:
            found |= self._ask_heads(layer, heads)
        if mlps:
            found |= self._ask_mlp(layer, mlps)
        return [found[bundle] for bundle in joining]

    def _ask_heads(self, layer: int, bundles: Sequence[Bundle]) -> dict[Bundle, torch.Tensor]:
        import torch

        residual = self.clean.residuals[layer][:, self.start :]
        by_through: dict[Through, dict[_Key, None]] = {}
        for bundle in bundles:
            by_through.setdefault(bundle[0].through, {})[list_senders(bundle)] = None
        one_each = {list_senders(bundle): bundle for bundle in bundles}
        place = {key: at for at, key in enumerate(one_each)}
        outputs: dict[Through, dict[_Key, torch.Tensor]] = {}
        with self.runner.turn():
            rows = torch.cat([residual + self.senders.change_stream(bundle, residual) for bundle in one_each.values()])
            inputs = [INPUTS[through] for through in by_through if through is not Through.WHOLE]
            kept = self._run_heads(layer, rows, keep=inputs)
            whole = kept[Kind.HEAD].unflatten(0, (-1, self.n_prompts))
            outputs[Through.WHOLE] = {key: whole[at] for key, at in place.items()}
            for through, keys in by_through.items():
                if through is Through.WHOLE:
                    continue
                kind = INPUTS[through]
                values = kept[kind].unflatten(0, (-1, self.n_prompts))[[place[key] for key in keys]]
                again = self._run_heads(layer, self._repeat(residual, len(keys)), put={kind: values.flatten(0, 1)})
                outputs[through] = dict(zip(keys, again[Kind.HEAD].unflatten(0, (-1, self.n_prompts))))
        return {bundle: outputs[bundle[0].through][list_senders(bundle)][:, :, _index(bundle)] for bundle in bundles}

    def _run_heads(self, layer: int, rows: torch.Tensor, **how: Any) -> dict[Kind, torch.Tensor]:
        self.on_layer(rows.shape[0] * rows.shape[1])
        cache = self._find_prefix(layer, len(rows))
        return run_heads(self.runner, layer, rows, self.calls[layer], start=self.start, cache=cache, **how)

    def _ask_mlp(self, layer: int, bundles: Sequence[Bundle]) -> dict[Bundle, torch.Tensor]:
        import torch

        residual = self.clean.residuals[layer][:, self.start :]
        rows, heads = [], []
        with self.runner.turn():
            for bundle in bundles:
                before = [connection for connection in bundle if not connection.is_in_one_layer]
                rows.append(residual + self.senders.change_stream(before, residual))
                # Attention outputs are those of the clean run, except for senders that are heads of this layer.
                heads.append(self.clean.sites[Kind.HEAD, layer][:, self.start :].clone())
                for connection in bundle:
                    if connection.is_in_one_layer and isinstance(connection.sender, Component):
                        self.senders.replace_head(connection.sender, heads[-1])
            cache = self._find_prefix(layer, len(bundles) * self.n_prompts)
            self.on_layer(len(bundles) * residual.shape[0] * residual.shape[1])
            run = run_mlp(
                self.runner,
                layer,
                torch.cat(rows),
                self.calls[layer],
                torch.cat(heads),
                start=self.start,
                cache=cache,
            )
        return dict(zip(bundles, run.output.unflatten(0, (-1, self.n_prompts))))

    @contextmanager
    def _put(
        self, layer: int, joining: Sequence[Bundle], outputs: Sequence[torch.Tensor], joined: int
    ) -> Iterator[None]:
        """Insert the receivers' outputs into the rows that join at this layer, and count them."""
        arrived = 0
        by_kind: dict[Kind, list[int]] = {}
        for at, bundle in enumerate(joining):
            by_kind.setdefault(Kind.HEAD if is_head(bundle[0].receiver) else Kind.MLP, []).append(at)
        points = {kind: self.runner.model.find_point(kind, layer) for kind in by_kind}

        def edit(kind: Kind) -> Any:
            def put(value: torch.Tensor, hook: Any) -> torch.Tensor:
                nonlocal arrived
                value = value.clone()
                for at in by_kind[kind]:
                    first = (joined + at) * self.n_prompts
                    rows = value[first : first + self.n_prompts]
                    where = rows[:, :, _index(joining[at])] if kind is Kind.HEAD else rows
                    where.copy_(outputs[at])
                    arrived += 1
                return value

            return put

        try:
            for kind, point in points.items():
                point.add_hook(edit(kind))
            yield
        finally:
            for point in points.values():
                point.remove_hooks()
        if arrived != len(joining):
            raise ControlFailed(
                f"{len(joining) - arrived} of {len(joining)} receivers' outputs at layer {layer} were not applied; no number is reported."
            )
        self.applied += arrived * self.n_prompts

    def _call(self, layer: int, rows: torch.Tensor) -> torch.Tensor:
        cache = self._find_prefix(layer, len(rows))
        self.on_layer(rows.shape[0] * rows.shape[1])
        return call_block(self.runner.model, layer, rows, self.calls[layer], start=self.start, cache=cache)

    def _find_prefix(self, layer: int, n_rows: int) -> Prefix | None:
        if not self.start:
            return None
        return Prefix([(self.clean.keys_values[layer], n_rows // self.n_prompts)], self.start)

    def _repeat(self, residual: torch.Tensor, times: int) -> torch.Tensor:
        return residual.expand(times, *residual.shape).flatten(0, 1)


def _index(bundle: Bundle) -> int:
    receiver = bundle[0].receiver
    assert isinstance(receiver, Component)
    return receiver.index
