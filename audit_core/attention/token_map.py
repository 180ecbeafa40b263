"""Effect of each token of a prompt: its embedding replaced by a mean, one token at a time."""

from __future__ import annotations

from numpy.typing import NDArray

from audit_core.component import resid
from audit_core.controls import Controls
from audit_core.effect import Metric, measure_effect
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject


def measure_tokens(
    subject: Subject,
    prompts: TokenisedPrompts,
    metric: Metric,
    means: Means | None,
    *,
    seed: int,
    on_progress: Progress,
) -> tuple[list[NDArray], list[int], list[Controls]]:
    """Effect of each token, as `L0.RESID@p` replaced by its mean over the reference prompts of that length.

    Returns:
        Per prompt, in the metric's unit, shape (key,); the rows of those prompts; the controls. Prompts of a length with
        fewer than two reference prompts have no mean and are excluded.

    Raises:
        ControlFailed, NotMeasured: as `measure_effect`.
    """
    found: dict[int, NDArray] = {}
    controls = []
    parts = _split_lengths(prompts)
    for step, (rows, part) in enumerate(parts):
        if means is None or means.n_prompts.get((len(part.pairs[0].clean_ids), ""), 0) < 2:
            continue

        def report(done: int, total: int, step: int = step) -> None:
            on_progress(step * total + done, len(parts) * total)

        edits = _edit_tokens(part)
        effect = measure_effect(subject, part, edits, metric, means=means, seed=seed, on_progress=report)
        controls.append(effect.controls)
        found |= dict(zip(rows, effect.support.T, strict=True))
    kept = sorted(found)
    return [found[at] for at in kept], kept, controls


def count_token_work(subject: Subject, prompts: TokenisedPrompts) -> int:
    """Units of work; see `Subject.count_work`."""
    return sum(subject.count_work(part, _edit_tokens(part)) for _, part in _split_lengths(prompts))


def _split_lengths(prompts: TokenisedPrompts) -> list[tuple[list[int], TokenisedPrompts]]:
    lengths = [len(pair.clean_ids) for pair in prompts.pairs]
    rows = [[at for at, length in enumerate(lengths) if length == wanted] for wanted in sorted(set(lengths))]
    return [(part, prompts.take(part)) for part in rows]


def _edit_tokens(prompts: TokenisedPrompts) -> list[Intervention]:
    return [intervene([resid(0, at)], Replacement.MEAN) for at in range(len(prompts.pairs[0].clean_ids))]
