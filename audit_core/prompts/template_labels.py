"""Template labels held against the texts: which clusters a set's intervals are taken over."""

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
"""Labels that name no template; readers of files without such a column write the second."""


@dataclass(frozen=True)
class Clusters:
    """What the prompts of a set are clustered by."""

    names: tuple[str, ...]
    """Of each prompt; shape (prompt,)."""
    notice: str
    """What was not believed, and why; empty where the labels are."""


@lru_cache(maxsize=8)
def check_template_labels(prompts: tuple[Prompt, ...]) -> Clusters:
    """The labels where the texts do not contradict them, else what the texts share.

    Labels are believed where all prompts of one found skeleton carry one label: a label may stand over several skeletons.
    Where they are not, and are at least as many as the skeletons, the skeletons take their place; where they are fewer,
    labels that share a skeleton are one. So no more clusters are counted than there are labels, or skeletons.
    A set whose prompts name no template is clustered by its skeletons.
    """
    labels, found = [prompt.template for prompt in prompts], find_templates(prompts)
    n_found = len(set(found))
    if all(label in NO_LABELS for label in labels):
        return Clusters(
            found, f"No template is named; intervals are taken over the {_count(n_found)} that the texts share."
        )
    # A prompt without a label among others that have one: what its text says.
    named = [label or skeleton for label, skeleton in zip(labels, found, strict=True)]
    n_named = len(set(named))
    under: dict[str, set[str]] = defaultdict(set)
    for label, skeleton in zip(named, found, strict=True):
        under[skeleton].add(label)
    if all(len(several) == 1 for several in under.values()):
        return Clusters(tuple(named), "")
    if n_found <= n_named:
        said = f"their texts share {_count(n_found)}; intervals are taken over {n_found}."
        return Clusters(found, f"{n_named} templates are named; {said}")
    joined = _join_labels(under.values())
    n_joined = len(set(joined.values()))
    said = f"prompts of one skeleton stand under several names; intervals are taken over {n_joined}, such names as one."
    return Clusters(tuple(joined[label] for label in named), f"{n_named} templates are named; {said}")


def _join_labels(shared: Iterable[set[str]]) -> dict[str, str]:
    """The first, by name, of the labels that each label is linked with by skeletons under several."""
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
