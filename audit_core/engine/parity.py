"""The engine held against the model's own forward pass, once, when a model is loaded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from audit_core.engine.capture import Capture, capture_run
from audit_core.engine.replay import Prefix, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.errors import ModelRefused

if TYPE_CHECKING:
    import torch

LARGEST_DIFFERENCE = 1e-3
"""Relative to the largest logit: blocks replayed one by one differ from the whole by rounding alone."""
LEAST_TOLERANCE = 1e-4
"""Logits. Float32 rounding of the families tried stays below it (measured up to 2e-5)."""
_N_TOKENS = 6
_START = 3
_log = logging.getLogger(__name__)


def check_parity(runner: WaveRunner, bos_id: int | None) -> float:
    """Refuse a model whose blocks do not reproduce its own forward pass; find out whether it can share prefixes.

    Returns:
        The tolerance of this model, in logits: ten times the difference met, at least `LEAST_TOLERANCE`.

    Raises:
        ModelRefused: replay is not exact.
    """
    import torch

    first = ([] if bos_id is None else [bos_id]) + list(range(5, 5 + _N_TOKENS))
    # Two rows that share a beginning: a wave has many rows, and arguments recorded from one must fit them.
    ids = torch.tensor([first, [*first[:_START], *first[_START:][::-1]]]) % runner.geometry.n_vocabulary
    with runner.turn():
        whole = runner.bridge(ids)[:, -1].float()
        calls = runner.find_calls(ids.shape[1])
        run = capture_run(runner.model, ids, calls, (), runner.turn)
        end = run.residuals[-1][:, -1]
        replayed, two = runner.readout.read_all(end), runner.readout.read_tokens(end[None], [1, 1])[0]
        difference = max(float((whole - replayed).abs().max()), float((whole[:, 1] - two).abs().max()))
        allowed = LARGEST_DIFFERENCE * max(1.0, float(whole.abs().max()))
        if not difference <= allowed:
            raise ModelRefused(
                f"Replaying this model's blocks changes its logits by {difference:.3g}.",
                wanted="a decoder-only transformer whose output is blocks, final norm, unembedding.",
                remedy="use another architecture, or report this one.",
            )
        tolerance = max(LEAST_TOLERANCE, 10 * difference)
        try:
            shared = _run_suffix(runner, run, calls)
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            # A block that wants more of its cache than keys and values: no fault of the model, only slower.
            _log.warning("Kept keys and values do not fit this architecture: %s", error)
            shared = None
        runner.shares_prefix = shared is not None and float((shared - whole).abs().max()) <= tolerance
    if not runner.shares_prefix:
        _log.warning("Prefixes are not shared on this architecture; sweeps compute every position and take longer.")
    return tolerance


def _run_suffix(runner: WaveRunner, run: Capture, calls: tuple) -> torch.Tensor | None:
    """Logits from the later positions alone, shape (row, vocabulary); None where no keys and values could be kept."""
    if not run.keys_values:
        return None
    rows = run.residuals[0][:, _START:]
    for layer, call in enumerate(calls):
        prefix = Prefix([(run.keys_values[layer], 1)], _START)
        rows = call_block(runner.model, layer, rows, call, start=_START, cache=prefix)
    return runner.readout.read_all(rows[:, -1])
