"""Parity check: compares the engine with the model's own forward pass when a model is loaded."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from audit_core.engine.capture import Capture, capture_run
from audit_core.engine.direct.find import find_direct_blocks
from audit_core.engine.replay import Prefix, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.errors import ControlFailed, ModelRefused
from audit_core.subject import Floats, read_only

if TYPE_CHECKING:
    import torch

LARGEST_DIFFERENCE = 1e-3
"""Tolerance relative to the largest logit: blocks run one by one differ from the whole model by rounding only."""
LEAST_TOLERANCE = 1e-4
"""Minimum tolerance, in logits: above float32 rounding of the tested families (measured up to 2e-5)."""
ROUNDINGS = 8
"""Minimum tolerance in steps of float32 at the model's largest logit: sums of other shapes round differently on each machine."""
LOOKS_AHEAD = 1e-5
"""Tolerance relative to the largest logit, above float32 rounding between rows of one batch."""
_N_TOKENS = 6
_START = 3
_MISFITS = (TypeError, ValueError, AttributeError, RuntimeError)
"""Errors of a block that is called with unsuitable arguments."""
_log = logging.getLogger(__name__)


def run_alone(model: Any, bos_id: int | None) -> Floats:
    """Logits of a `transformers` model on the tokens that `check_parity` takes, shape (row, vocabulary); before a bridge.

    Raises:
        ModelRefused: an earlier position depends on later tokens, so the model is not a causal decoder.
    """
    import torch

    with torch.inference_mode():
        found = model(choose_tokens(bos_id, model.config.vocab_size), use_cache=False).logits.float()
    ahead = float((found[0, :_START] - found[1, :_START]).abs().max())
    if ahead > LOOKS_AHEAD * max(1.0, float(found.abs().max())):
        raise ModelRefused(
            f"This model ({model.config.model_type}) is not a causal decoder: later tokens change its logits at earlier "
            f"positions by {ahead:.3g}.",
            wanted="a causal decoder: each token is predicted from those before it.",
            remedy="use such a model; this one was not measured.",
        )
    return read_only(found[:, -1].numpy().copy())


def choose_tokens(bos_id: int | None, n_vocabulary: int) -> torch.Tensor:
    """Two rows with a common prefix, to check that arguments recorded from one row fit several."""
    import torch

    first = ([] if bos_id is None else [bos_id]) + list(range(5, 5 + _N_TOKENS))
    return torch.tensor([first, [*first[:_START], *first[_START:][::-1]]]) % n_vocabulary


def check_parity(runner: WaveRunner, bos_id: int | None, own: Floats | None = None) -> float:
    """Determine how a model can be run: block by block, with or without cached prefixes, or only as a whole.

    Args:
        own: result of `run_alone`; without it the bridge is not compared with the model.

    Returns:
        Tolerance of this model, in logits: ten times the observed difference, at least `LEAST_TOLERANCE` and `ROUNDINGS`.

    Raises:
        ModelRefused: the model's own logits are NaN, or the bridge computes different ones.
    """
    import torch

    ids = choose_tokens(bos_id, runner.geometry.n_vocabulary).to(runner.model.device)
    with runner.turn():
        whole = runner.bridge(ids)[:, -1].float()
        if not whole.isfinite().all():
            raise ModelRefused(
                "This model's logits contain NaN or infinity.",
                wanted="finite weights.",
                remedy="fetch the model again.",
            )
        least = max(LEAST_TOLERANCE, ROUNDINGS * torch.finfo(torch.float32).eps * float(whole.abs().max()))
        allowed = LARGEST_DIFFERENCE * max(1.0, float(whole.abs().max()))
        if own is not None:
            _check_against_model(whole, own, allowed)
        try:
            run = capture_run(runner.model, ids, runner.find_calls(ids.shape[1]), (), runner.turn)
            difference = _compare_ends(runner, run, whole)
            why = "" if difference <= allowed else f"blocks run one by one change its logits by {difference:.3g}"
        except (*_MISFITS, ControlFailed) as error:
            why = f"its blocks need more than a residual stream ({type(error).__name__}: {str(error)[:120]})"
        if why:
            runner.fall_back(why)
            _log.warning("Every intervention needs a whole forward pass on this model: %s.", why)
            alone = torch.cat([runner.bridge(row[None])[:, -1].float() for row in ids])
            return max(least, 10 * float((alone - whole).abs().max()))
        tolerance = max(least, 10 * difference)
        runner.shares_prefix = _can_share(runner, run, whole, tolerance)
        direct = find_direct_blocks(runner.model, run, runner.find_calls(ids.shape[1]), _START)
        runner.model = replace(runner.model, direct=direct)
    if not runner.shares_prefix:
        _log.warning("Prefixes cannot be shared on this architecture; sweeps compute every position and take longer.")
    return tolerance


def _check_against_model(whole: torch.Tensor, own: Floats, allowed: float) -> None:
    """Refuse a bridge whose logits differ from those of its model."""
    import torch

    apart = (
        float((whole.cpu() - torch.from_numpy(own.copy())).abs().max()) if whole.shape == own.shape else float("inf")
    )
    if not apart <= allowed:
        raise ModelRefused(
            f"TransformerLens computes different logits from the model itself (off by {apart:.3g}, allowed {allowed:.3g}): "
            "it does not support this variant of the architecture.",
            wanted="an architecture that TransformerLens reproduces exactly.",
            remedy="use another model; this one was not measured.",
        )


def _compare_ends(runner: WaveRunner, run: Capture, whole: torch.Tensor) -> float:
    """Largest difference from the model's own logits, with both readouts."""
    replayed, two = runner.readout.read_all(run.ends), runner.readout.read_tokens(run.ends[None], [(1,), (1,)])[0]
    return max(float((whole - replayed).abs().max()), float((whole[:, 1] - two).abs().max()))


def _can_share(runner: WaveRunner, run: Capture, whole: torch.Tensor, tolerance: float) -> bool:
    try:
        shared = _run_suffix(runner, run)
    except _MISFITS as error:
        # The block needs more from its cache than keys and values: slower, but not an error.
        _log.warning("Cached keys and values do not fit this architecture: %s", error)
        return False
    return shared is not None and float((shared - whole).abs().max()) <= tolerance


def _run_suffix(runner: WaveRunner, run: Capture) -> torch.Tensor | None:
    """Logits computed from the later positions only, shape (row, vocabulary); None if keys and values cannot be cached."""
    if not run.keys_values:
        return None
    rows = run.residuals[0][:, _START:]
    for layer, call in enumerate(runner.find_calls(run.tokens.shape[1])):
        prefix = Prefix([(run.keys_values[layer], 1)], _START)
        rows = call_block(runner.model, layer, rows, call, start=_START, cache=prefix)
    return runner.readout.read_all(rows[:, -1])
