"""Exclude prompts that a request cannot measure, before the run, and name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import SetAside, TokenisedPrompts, TokenPair

MIN_REFERENCE = 2
"""Minimal number of prompts for a mean: of one prompt it would be the prompt itself."""
NO_MEAN = "as a mean needs two prompts of a length (and template)"
_MEANS = (Replacement.MEAN, Replacement.MEAN_TEMPLATE)
_NAMED = 5
"""Ids that a notice lists; the others are counted."""

RequestT = TypeVar("RequestT")


def set_aside(request: RequestT) -> RequestT:
    """Return the request without prompts that lack a mean, for all replacements, so that they use the same prompts.

    It is unchanged if none lacks one, or if all do: then the run is refused.

    Args:
        request: request of an audit, a frozen dataclass with `prompts`, `reference` and `replacements`.
    """
    audit_request: Any = request
    kept = keep_measurable(audit_request.prompts, audit_request.reference, audit_request.replacements)
    if kept is audit_request.prompts:
        return request
    # Means over the measured prompts themselves are recognised by object identity.
    has_own = audit_request.reference is audit_request.prompts and "reference" in {
        field.name for field in fields(audit_request)
    }
    changed: RequestT = replace(audit_request, prompts=kept, **({"reference": kept} if has_own else {}))
    return changed


def keep_measurable(
    prompts: TokenisedPrompts, reference: TokenisedPrompts, replacements: Iterable[Replacement]
) -> TokenisedPrompts:
    """Return the prompts that have a mean in the reference, with a notice on the others; the same object if all have one."""
    wanted = [replacement for replacement in replacements if replacement in _MEANS]
    lacking: set[int] = set()
    for replacement in wanted:
        counts = Counter(_key(pair, replacement) for pair in reference.pairs)
        keys = [_key(pair, replacement) for pair in prompts.pairs]
        lacking |= {at for at, key in enumerate(keys) if counts[key] < MIN_REFERENCE}
    if not 0 < len(lacking) < len(prompts):
        return prompts
    left_out = [prompts.pairs[at] for at in sorted(lacking)]
    rows = tuple(SetAside(pair.prompt.id, pair.prompt.template, NO_MEAN) for pair in left_out)
    kept = prompts.take([at for at in range(len(prompts)) if at not in lacking])
    return replace(
        kept, set_aside=(*prompts.set_aside, *rows), notices=(*prompts.notices, _describe(left_out, len(kept)))
    )


def describe_left_out(prompts: TokenisedPrompts) -> dict[str, Any]:
    """Return excluded prompts and rejected template labels, for the run log; empty for most sets."""
    found: dict[str, Any] = {}
    if prompts.set_aside:
        found["set_aside"] = [[one.prompt, one.template, one.reason] for one in prompts.set_aside]
    if any(pair.cluster for pair in prompts.pairs):
        named = {pair.prompt.template for pair in prompts.pairs}
        found["clusters"] = {"named": len(named), "counted": len(set(prompts.templates))}
    return found


def _key(pair: TokenPair, replacement: Replacement) -> tuple[int, str]:
    """Return the group within which `Means` averages."""
    return len(pair.clean_ids), pair.prompt.template if replacement is Replacement.MEAN_TEMPLATE else ""


def _describe(left_out: Sequence[TokenPair], n_kept: int) -> str:
    excluded = [f"{pair.prompt.id[:60]!r} ({len(pair.clean_ids)} tokens)" for pair in left_out[:_NAMED]]
    more = f" (and {len(left_out) - _NAMED} more)" if len(left_out) > _NAMED else ""
    few = "1 prompt is" if len(left_out) == 1 else f"{len(left_out)} prompts are"
    return f"{few} set aside and {n_kept} measured, {NO_MEAN}: {', '.join(excluded)}{more}."
