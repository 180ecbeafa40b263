"""The same prompts, with the answer chosen by sampling, temperature 0.7."""

from __future__ import annotations

from audit_core.perturbation import Group, Perturbation

PLUGIN = Perturbation(
    "temperature_decoding", Group.DECODING, "sampling, temperature 0.7",
    "The answer is drawn at temperature 0.7; its probability is computed, not sampled.", metric="temperature_answer",
)  # fmt: skip
