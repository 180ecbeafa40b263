"""The answer sentence of the live audit: what was done to the circuit, and what the model's preference did."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core import Direction, Estimate, Prompt, Replacement
from audit_core.audits import AblationResult
from ui.flow.choice import Choice
from ui.parts.workbench import format_size, show_sentence, signed

LISTED = 4
_DONE = {
    Replacement.RESAMPLE: "Replacing {}",
    Replacement.MEAN: "Replacing {} by the mean",
    Replacement.MEAN_TEMPLATE: "Replacing {} by the template's mean",
    Replacement.ZERO: "Setting {} to zero",
    Replacement.SCALE: "Multiplying {} by {factor:g}",
}


@dataclass(frozen=True)
class Asked:
    """What a result does not state about its question."""

    replacement: Replacement = Replacement.RESAMPLE
    direction: Direction = Direction.NOISING
    factor: float = 1.0
    prompt: Prompt | None = None
    """The prompt, if it is one."""

    @classmethod
    def of(cls, choice: Choice) -> Asked:
        prompt = choice.prompts.pairs[0].prompt if choice.is_one else None
        return cls(choice.replacement, choice.direction, choice.factor, prompt)


def describe_answer(result: AblationResult, asked: Asked) -> str:
    """One sentence: the intervention, the direction of the change, and the metric before and after."""
    is_noising = asked.direction is Direction.NOISING
    before = result.clean if is_noising else result.corrupted
    done = _DONE[asked.replacement] if is_noising else "Restoring {} in the corrupted run"
    names = ", ".join(result.components[:LISTED])
    if len(result.components) > LISTED:
        names += f" and {len(result.components) - LISTED} more"
    what = "the mean preference for the answer over the foil"
    if asked.prompt is not None:
        what = f"the preference for “{asked.prompt.answer.strip()}” over “{asked.prompt.foil.strip()}”"
    change = _describe_change(before, result.after, result.support, result.unit)
    return f"{done.format(names, factor=asked.factor)} {change.format(what)}."


def _describe_change(before: Estimate, after: Estimate, support: Estimate, unit: str) -> str:
    """Verb and numbers, with a place for what changed; the interval of the change decides whether there is one."""
    numbers = f"from {signed(before.value)} to {signed(after.value)} {unit}"
    if support.low is not None and support.high is not None:
        if support.low <= 0 <= support.high:
            return f"changes {{}} by no measurable amount ({numbers}, interval of the change {signed(support.low)} to {signed(support.high)})"
        numbers += f", by {format_size(support)}"
    elif abs(after.value - before.value) < 0.005:
        return f"leaves {{}} at {signed(before.value)} {unit}"
    return f"{'lowers' if after.value < before.value else 'raises'} {{}} {numbers}"


def show_answer(result: AblationResult, asked: Asked, kinds: str = "causal") -> None:
    """Show the sentence with its badges and n."""
    show_sentence(describe_answer(result, asked), kinds, result.n)
