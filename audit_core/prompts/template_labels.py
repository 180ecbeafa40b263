"""Clusters of a prompt set: template labels checked against the texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from audit_core.prompts.found_templates import find_templates

if TYPE_CHECKING:
    from audit_core.prompts.prompt_set import Prompt

NO_LABELS = ("", "all")
"""Labels that mean no template; the second is set for files without a template column."""


@dataclass(frozen=True)
class Clusters:
    """Clusters of a set's prompts."""

    names: tuple[str, ...]
    """Cluster of each prompt; shape (prompt,)."""
    notice: str
    """Why the labels were rejected; empty if they are used."""


@lru_cache(maxsize=8)
def check_template_labels(prompts: tuple[Prompt, ...]) -> Clusters:
    """Return the labels if the texts agree with them, else clusters from the texts.

    Labels are used if all prompts of each found skeleton have the same label; a label may cover several skeletons.
    Otherwise skeletons replace labels if there are at least as many labels as skeletons; if there are fewer labels, those that
    share a skeleton are merged. So there are never more clusters than labels, or than skeletons.
    A set without template labels is clustered by its skeletons.
    """
    labels, found = [prompt.template for prompt in prompts], find_templates(prompts)
    n_found = len(set(found))
    if all(label in NO_LABELS for label in labels):
        return Clusters(
            found, f"No template is named; intervals are taken over the {_count(n_found)} that the texts share."
        )
    # A prompt without a label in a set with labels takes its skeleton as label.
    named = [label or skeleton for label, skeleton in zip(labels, found, strict=True)]
    n_named = len(set(named))
    under: dict[str, set[str]] = defaultdict(set)
    for label, skeleton in zip(named, found, strict=True):
        under[skeleton].add(label)
    if all(len(several) == 1 for several in under.values()):
        return Clusters(tuple(named), "")
    if n_found <= n_named:
        reason = f"their texts share {_count(n_found)}; intervals are taken over {n_found}."
        return Clusters(found, f"{n_named} templates are named; {reason}")
    joined = _join_labels(under.values())
    n_joined = len(set(joined.values()))
    reason = f"prompts of one skeleton have several names; intervals are taken over {n_joined}, with such names merged."
    return Clusters(tuple(joined[label] for label in named), f"{n_named} templates are named; {reason}")


def _join_labels(shared: Iterable[set[str]]) -> dict[str, str]:
    """Map each label to the alphabetically first of the labels that it shares skeletons with."""
    first: dict[str, str] = {}
    groups: list[set[str]] = []
    for labels in shared:
        linked = [group for group in groups if group & labels]
        groups = [group for group in groups if not group & labels] + [labels.union(*linked)]
    for group in groups:
        first |= dict.fromkeys(group, min(group))
    return first


def _count(skeletons: int) -> str:
    return "1 skeleton" if skeletons == 1 else f"{skeletons} skeletons"
