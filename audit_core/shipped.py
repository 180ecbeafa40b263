"""Shipped prompt sets, candidate circuits, policies and example packs in `data/`, by id."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

from audit_core.circuits.circuit import Circuit, load_circuit
from audit_core.data_folder import DATA
from audit_core.errors import PolicyRefused, PromptRefused, Refused
from audit_core.governance.policy import Policy, load_policy
from audit_core.models import find_shipped
from audit_core.prompts.prompt_set import PromptSet, load_prompts

_PROMPTS = DATA / "prompts"


@cache
def list_prompt_sets(model: str = "") -> tuple[str, ...]:
    """Ids of the shipped prompt sets for a model; a shipped model has sets of its own words, and all others share theirs.

    Example:
        >>> list_prompt_sets()[:2]
        ('factual_recall', 'gender_pronoun')
        >>> "moe_dictionary" in list_prompt_sets("moe-tiny")
        True
    """
    folder = _PROMPTS if find_shipped(model) is None else _PROMPTS / model
    return tuple(sorted(path.stem for path in folder.glob("*.jsonl")))


@cache
def load_prompt_set(key: str) -> PromptSet:
    """A shipped prompt set, of whichever model.

    Raises:
        PromptRefused: no such set.
    """
    files = _find_sets()
    if key not in files:
        raise PromptRefused(f"No prompt set {key[:40]!r}.", wanted=", ".join(files) + ".", remedy="choose one of them.")
    return load_prompts(files[key])


def has_prompt_set(key: str) -> bool:
    """Whether this is the id of a shipped prompt set, of whichever model."""
    return key in _find_sets()


@cache
def _find_sets() -> MappingProxyType[str, Path]:
    return MappingProxyType({path.stem: path for path in sorted(_PROMPTS.rglob("*.jsonl"))})


def is_shipped_set(prompts: PromptSet) -> bool:
    """Whether a set is a shipped one, by its digest, from whichever path it was read."""
    return prompts.sha256 in _digest_sets()


@cache
def _digest_sets() -> frozenset[str]:
    return frozenset(load_prompts(path).sha256 for path in _PROMPTS.rglob("*.jsonl"))


@cache
def list_circuits() -> tuple[Circuit, ...]:
    """The shipped candidate circuits."""
    return tuple(load_circuit(path) for path in sorted((DATA / "circuits").glob("*.json")))


@cache
def list_policies() -> tuple[str, ...]:
    """Ids of the shipped policies; examples, to be replaced by an organisation's own."""
    return tuple(sorted(path.stem for path in (DATA / "policy").glob("*.toml")))


@cache
def load_shipped_policy(key: str = "default") -> Policy:
    """A shipped policy.

    Raises:
        PolicyRefused: no such policy.
    """
    if key not in list_policies():
        raise PolicyRefused(
            f"No policy {key[:40]!r}.", wanted=", ".join(list_policies()) + ".", remedy="choose one of them."
        )
    return load_policy(DATA / "policy" / f"{key}.toml")


_PACK = ".evidence.zip"


@cache
def list_example_packs() -> tuple[str, ...]:
    """Ids of the shipped example packs, made by `data/packs/make.py` from a model with known wiring."""
    return tuple(sorted(path.name.removesuffix(_PACK) for path in (DATA / "packs").glob(f"*{_PACK}")))


def load_example_pack(key: str) -> bytes:
    """A shipped example pack.

    Raises:
        Refused: no such pack.
    """
    if key not in list_example_packs():
        raise Refused(
            f"No example pack {key[:40]!r}.", wanted=", ".join(list_example_packs()) + ".", remedy="choose one of them."
        )
    return (DATA / "packs" / f"{key}{_PACK}").read_bytes()
