"""Which values of which claim make a person what: `people.toml` in the home, kept by whoever runs the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit_core.errors import AccessRefused
from audit_core.governance.people import PersonRole
from audit_core.verifier.strict_toml import load_toml

ROLE_FILE = "people.toml"
MAX_ROLE_FILE_BYTES = 256 << 10
_TABLES = ("roles", "people", "keys")


@dataclass(frozen=True)
class RoleMap:
    """An empty one gives nobody a role."""

    claim: str = "groups"
    """Of the id token: a name, or names joined by dots for one inside another."""
    by_value: Mapping[str, frozenset[PersonRole]] = field(default_factory=dict)
    """Value of that claim → roles."""
    by_person: Mapping[str, frozenset[PersonRole]] = field(default_factory=dict)
    """Person id → roles, for providers that send no groups."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Person id → name of the one signing key in this home that is theirs."""

    def find_roles(self, claims: Mapping[str, object], person_id: str) -> frozenset[PersonRole]:
        """All roles that the claim's values and the person's own line give."""
        found = _find_claim(claims, self.claim)
        values = [found] if isinstance(found, str) else found if isinstance(found, list | tuple) else []
        given = [self.by_value.get(value, frozenset()) for value in values if isinstance(value, str)]
        return frozenset().union(*given, self.by_person.get(person_id, frozenset()))


def load_role_map(home: Path) -> RoleMap:
    """Read `people.toml`; without the file nobody has a role.

    Raises:
        AccessRefused: it cannot be read, or names a role that is none.
    """
    path = home / ROLE_FILE
    if not path.exists():
        return RoleMap()
    try:
        with path.open("rb") as file:
            text = file.read(MAX_ROLE_FILE_BYTES + 1)
    except OSError as error:
        raise _bad_file(f"cannot be read: {error.strerror}") from error
    return parse_role_map(text)


def parse_role_map(text: bytes) -> RoleMap:
    """Read the bytes of a `people.toml`.

    Raises:
        AccessRefused: too large, no TOML, a field that is unknown, or a role that is none.
    """
    if len(text) > MAX_ROLE_FILE_BYTES:
        raise _bad_file(f"has more than {MAX_ROLE_FILE_BYTES:,} bytes")
    try:
        found = load_toml(text)
    except ValueError as error:
        raise _bad_file(f"is not TOML: {str(error)[:200]}") from error
    if unknown := sorted(set(found) - {"claim", *_TABLES}):
        raise _bad_file(f"has a field {unknown[0][:40]!r}; known are claim, roles, people and keys")
    claim = found.get("claim", "groups")
    tables = [found.get(name, {}) for name in _TABLES]
    if not isinstance(claim, str) or not claim or not all(isinstance(table, dict) for table in tables):
        raise _bad_file("needs a text for claim, and tables for roles, people and keys")
    roles, people, keys = tables
    if not all(isinstance(name, str) and name for name in keys.values()):
        raise _bad_file("names something under [keys] that is no name of a key")
    return RoleMap(claim, _read_roles(roles), _read_roles(people), keys)


def _read_roles(table: Mapping[str, Any]) -> dict[str, frozenset[PersonRole]]:
    known = {role.value for role in PersonRole}
    found = {}
    for name, given in table.items():
        if not isinstance(given, list) or not all(isinstance(role, str) and role in known for role in given):
            raise _bad_file(f"gives {name[:60]!r} something else than a list of {', '.join(sorted(known))}")
        found[name] = frozenset(PersonRole(role) for role in given)
    return found


def _find_claim(claims: Mapping[str, object], name: str) -> object:
    """By its whole name, which may be an address with dots, else one step at each dot."""
    if name in claims:
        return claims[name]
    found: object = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _bad_file(found: str) -> AccessRefused:
    return AccessRefused(
        f"{ROLE_FILE} {found}.", wanted="a file as docs/reference/people.md describes it.",
        remedy="mend it; until then nobody has a role.", why="bad_configuration",
    )  # fmt: skip
