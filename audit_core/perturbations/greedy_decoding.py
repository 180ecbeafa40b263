"""The same prompts, with the answer chosen by greedy decoding."""

from __future__ import annotations

from audit_core.perturbation import Group, Perturbation

PLUGIN = Perturbation(
    "greedy_decoding", Group.DECODING, "greedy decoding",
    "The most probable token is the answer.", metric="greedy_answer",
)  # fmt: skip
