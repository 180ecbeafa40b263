"""The same prompts, with the answer chosen by sampling, top-p 0.9."""

from __future__ import annotations

from audit_core.perturbation import Group, Perturbation

PLUGIN = Perturbation(
    "nucleus_decoding", Group.DECODING, "sampling, top-p 0.9",
    "The answer is drawn from the most probable tokens that make up 0.9; its probability is computed.", metric="nucleus_answer",
)  # fmt: skip
