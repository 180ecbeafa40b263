"""Prompts of the exploratory split, which has other templates where a set divides by template."""

from __future__ import annotations

from audit_core.perturbation import Group, Perturbation

PLUGIN = Perturbation(
    "other_templates", Group.SHIFT, "the other split", "The prompts of the exploratory split are measured.",
    uses_other_prompts=True,
)  # fmt: skip
