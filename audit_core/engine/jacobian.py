"""Jacobian lens: the stream of a layer carried to the end by the mean derivative over some texts, then read as the model's own.

The fit is TransformerLens' `JacobianLens`: Gurnee et al., "Verbalizable Representations Form a Global Workspace in Language
Models" (2026). The readout is that of the logit lens, so that both lenses differ in the carrying alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.engine.device import CPU, to_numpy
from audit_core.engine.readout import Readout
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import check_paths
from audit_core.errors import NotMeasured, Refused
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Progress, read_only

if TYPE_CHECKING:
    from transformer_lens.tools.analysis import JacobianLens

AT_ONCE = 16
"""Rows of a Jacobian in one backward pass: with more, the gradients of a long prompt fill the memory."""
SKIPPED = 1
"""First positions left out of the mean: the first token's stream is far longer than all others (142 times on the default model)."""


def read_jacobian_lens(
    runner: object, prompts: TokenisedPrompts, texts: TokenisedPrompts, on_progress: Progress
) -> Floats:
    """What the Jacobian lens reads on the clean runs; see `Lenses.read_jacobian_lens`."""
    import torch

    runner = check_paths(runner)
    assert isinstance(runner.readout, Readout)
    if (device := runner.model.device.type) != CPU:
        raise Refused(
            f"The Jacobian lens of a model on {device}.", wanted="a model on the CPU, where TransformerLens fits it.",
            remedy="open the model on the CPU.",
        )  # fmt: skip
    lens = _fit(runner, texts, on_progress)
    n_layers = runner.geometry.n_layers
    found = np.full((n_layers + 1, len(prompts)), np.nan, np.float32)
    for members in runner.batch(prompts):
        where = list(members)
        pairs = [prompts.pairs[i] for i in where]
        run = runner.capture([pair.clean_ids for pair in pairs], ())
        with runner.turn():
            # TransformerLens counts the stream that leaves a block; here the one that enters a layer has its number.
            states = [lens.transport(run.residuals[at][:, -1], at - 1) for at in range(1, n_layers)] + [run.ends]
            ends = torch.stack(states)
            answers, foils = ([getattr(pair, side) for pair in pairs] for side in ("answer_ids", "foil_ids"))
            read = runner.readout.read_tokens
            found[1:, where] = to_numpy(read(ends, answers) - read(ends, foils))
    return read_only(found)


def _fit(runner: WaveRunner, texts: TokenisedPrompts, on_progress: Progress) -> JacobianLens:
    """The mean Jacobian of every layer over the clean texts.

    Raises:
        NotMeasured: TransformerLens does not fit this model, or reads a text as other tokens.
    """
    import torch
    from transformer_lens.tools.analysis import JacobianLens

    found = []
    # The same for all: lenses that were fitted with different limits are not merged.
    longest = max(len(pair.clean_ids) for pair in texts.pairs)
    for done, pair in enumerate(texts.pairs):
        # One text at a time: the lock is taken for as long.
        with runner.lock, torch.inference_mode(False):
            _check_tokens(runner.bridge, pair.prompt.clean, pair.clean_ids)
            try:
                one = JacobianLens.fit(
                    runner.bridge, [pair.prompt.clean], corpus=texts.name, dim_batch=AT_ONCE,
                    max_seq_len=longest, skip_first_positions=SKIPPED, show_progress=False,
                )  # fmt: skip
            except (TypeError, ValueError) as error:
                raise NotMeasured("control_failed", f"TransformerLens fits no Jacobian lens here: {error}") from error
        found.append(one)
        on_progress(done + 1, len(texts))
    return JacobianLens.merge(found)


def _check_tokens(bridge: Any, text: str, ids: tuple[int, ...]) -> None:
    """TransformerLens takes text alone: it must read the prompt's own tokens."""
    read = tuple(bridge.to_tokens(text)[0].tolist())
    if read != ids:
        raise NotMeasured(
            "control_failed", "TransformerLens reads a text as other tokens than those that are measured."
        )
