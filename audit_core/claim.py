"""A claim: components, role, metric, ablation and smallest effect of interest; fixed before the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from audit_core.component import KINDS, Component, Kind, format_components, parse_components, unique_components
from audit_core.errors import ClaimRefused
from audit_core.intervention import Replacement
from audit_core.verifier.strict_toml import load_toml

MAX_FILE_BYTES = 64_000
DEFAULT_DELTA = {"necessary": 0.10, "sufficient": 0.80}
"""Fraction of the clean – empty-circuit gap: 10 % for a necessary component, 80 % for a sufficient circuit."""


class Role(StrEnum):
    """Role that a claim assigns to its components."""

    NECESSARY = "necessary"
    """Ablating the components lowers the metric by more than δ of the gap."""
    SUFFICIENT = "sufficient"
    """The components alone keep more than δ of the gap when the rest of the universe is ablated."""


class Universe(StrEnum):
    """All components that an ablation may cover: the meaning of "everything else"."""

    HEADS = "heads"
    HEADS_MLPS = "heads+mlps"
    EXPERTS = "experts"
    HEADS_EXPERTS = "heads+experts"
    EXPERTS_SHARED = "experts+shared"
    """Both parts of what the mixture layers add: the chosen experts and the shared paths."""
    HEADS_EXPERTS_SHARED = "heads+experts+shared"
    SOURCES = "sources"
    ENCODER_HEADS = "encoder_heads"
    DECODER_HEADS = "decoder_heads"
    CROSS_HEADS = "cross_heads"
    FEATURES = "features"
    """The features of the sparse dictionary that the model was opened with. All of them are replaced as the residual stream that
    enters their layer, so that a claim's fraction is of everything there, and not of what the dictionary rebuilds."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of components in it, in the order of the name."""
        by_plural = {spec.plural: kind for kind, spec in KINDS.items()}
        return tuple(by_plural[plural] for plural in self.value.split("+"))


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement about components."""

    name: str
    components: tuple[Component, ...]
    universe: Universe = Universe.HEADS
    role: Role = Role.NECESSARY
    metric: str = "logit_difference"
    ablation: Replacement = Replacement.RESAMPLE
    delta: float = 0.10
    """Smallest effect of interest, fraction of the clean – empty-circuit gap."""
    alpha: float = 0.05

    def __post_init__(self) -> None:
        # Normalised so that equal claims have equal digests: order of components and `1` or `1.0` do not matter.
        object.__setattr__(self, "components", unique_components(self.components))
        object.__setattr__(self, "delta", float(self.delta))
        object.__setattr__(self, "alpha", float(self.alpha))
        kinds = {component.kind for component in self.components}
        allowed = set(self.universe.kinds)
        if not self.components:
            raise ClaimRefused("No components.", wanted="at least one.", remedy='write components = ["L9.H6"].')
        if not kinds <= allowed:
            raise ClaimRefused(
                f"{format_components(c for c in self.components if c.kind not in allowed)} outside the universe {self.universe}.",
                wanted=f"components among {self.universe}.",
                remedy=f"set universe to one of {', '.join(_list_wider(kinds)) or 'the universes'}, or remove them.",
            )
        if any(component.position is not None for component in self.components):
            raise ClaimRefused(
                "A component limited to one position.",
                wanted="whole heads, MLPs, experts or shared paths.",
                remedy="remove the position.",
            )
        if self.ablation not in (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO):
            raise ClaimRefused(
                f"Ablation {self.ablation}.", wanted="resample, mean or zero.", remedy="change ablation."
            )
        if not 0 < self.delta <= 2:
            raise ClaimRefused(
                f"delta = {self.delta}.", wanted="a fraction of the gap above 0, at most 2.", remedy="set delta = 0.10."
            )
        if not 0 < self.alpha <= 0.5:
            raise ClaimRefused(f"alpha = {self.alpha}.", wanted="above 0, at most 0.5.", remedy="set alpha = 0.05.")

    @property
    def sha256(self) -> str:
        """Digest of every field, as fixed by a preregistration."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"components": [str(c) for c in self.components]}


def fit_universe(components: Collection[Component], chosen: Universe) -> Universe:
    """The chosen universe, or the first one that contains these components if the chosen one does not.

    Example:
        >>> fit_universe(parse_components("L3.E5"), Universe.HEADS).value
        'experts'
    """
    kinds = {component.kind for component in components}
    if kinds <= set(chosen.kinds):
        return chosen
    return next(iter(_list_wider(kinds)), chosen)


def _list_wider(kinds: Collection[Kind]) -> list[Universe]:
    """Universes that contain all of these kinds."""
    return [universe for universe in Universe if set(kinds) <= set(universe.kinds)]


T = TypeVar("T", bound=StrEnum)
_FIELDS = ("name", "components", "universe", "role", "metric", "ablation", "delta", "alpha")


def load_claim(path: Path | str) -> Claim:
    """Read a claim from a TOML file.

    Raises:
        ClaimRefused: no such file, not TOML, unknown or missing fields, or values outside their range.
    """
    path = Path(path)
    if not path.is_file():
        raise ClaimRefused(f"No file {path}.", wanted="a claim in TOML.", remedy="check the path.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ClaimRefused(
            f"{path.name} is larger than {MAX_FILE_BYTES:,} bytes.", wanted="one claim.", remedy="shorten it."
        )
    return read_claim(path.read_bytes(), name=path.name)


def read_claim(raw: bytes, *, name: str) -> Claim:
    """Read a claim from the bytes of a TOML file, or of a JSON file with the same fields.

    Args:
        name: name of the file; `.json` reads it as JSON.

    Raises:
        ClaimRefused: as `load_claim`.
    """
    kind = "JSON" if name.lower().endswith(".json") else "TOML"
    try:
        table = json.loads(raw) if kind == "JSON" else load_toml(raw)
    except ValueError as error:
        raise ClaimRefused(
            f"{name} is not {kind}: {error}", wanted=f"a claim in {kind}.", remedy="fix that line."
        ) from error
    if not isinstance(table, dict):
        raise ClaimRefused(f"{name} is no object.", wanted="an object with the fields of a claim.", remedy="fix it.")
    return parse_claim(table)


def dump_claim(claim: Claim) -> str:
    """The claim as a TOML file that `load_claim` reads back to an equal one."""

    def quote(text: str) -> str:
        # TOML basic strings escape as JSON does, except for the delete character, which JSON does not escape.
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

    components = ", ".join(quote(str(component)) for component in claim.components)
    rows = [f"name = {quote(claim.name)}", f"components = [{components}]"]
    rows += [f"{name} = {quote(str(getattr(claim, name)))}" for name in ("universe", "role", "metric", "ablation")]
    rows += [f"{name} = {float(getattr(claim, name))!r}" for name in ("delta", "alpha")]
    return "\n".join(rows) + "\n"


def parse_claim(table: dict[str, object]) -> Claim:
    """Build a claim from the fields of a TOML table; see `load_claim`."""
    if unknown := sorted(set(table) - set(_FIELDS)):
        raise ClaimRefused(
            f"Unknown field {unknown[0]!r}.", wanted=", ".join(_FIELDS) + ".", remedy="remove or rename it."
        )
    name, components = table.get("name"), table.get("components")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise ClaimRefused("No name.", wanted="name = a sentence of 1 to 200 characters.", remedy="add name.")
    if not isinstance(components, list) or not all(isinstance(c, str) for c in components):
        raise ClaimRefused("No list of components.", wanted='components = ["L9.H6"].', remedy="add components.")
    role = _choose(Role, table.get("role", Role.NECESSARY), "role")
    return Claim(
        name=name,
        components=parse_components(" ".join(components)),
        universe=_choose(Universe, table.get("universe", Universe.HEADS), "universe"),
        role=role,
        metric=str(table.get("metric", "logit_difference")),
        ablation=_choose(Replacement, table.get("ablation", Replacement.RESAMPLE), "ablation"),
        delta=_number(table.get("delta", DEFAULT_DELTA[role]), "delta"),
        alpha=_number(table.get("alpha", 0.05), "alpha"),
    )


def _choose(values: type[T], found: Any, label: str) -> T:
    try:
        return values(found)
    except ValueError:
        names = ", ".join(values)
        raise ClaimRefused(
            f"{label} = {found!r}.", wanted=f"one of {names}.", remedy=f"set {label} to one of them."
        ) from None


def _number(found: object, label: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ClaimRefused(f"{label} = {found!r}.", wanted="a number.", remedy=f"write {label} without quotes.")
    return float(found)
