"""Role mapping: `people.toml` in the data directory maps token claims and person ids to roles."""

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
    """Roles by claim value and by person id; an empty map assigns no roles."""

    claim: str = "groups"
    """Claim of the id token; dots separate the names of nested claims."""
    by_value: Mapping[str, frozenset[PersonRole]] = field(default_factory=dict)
    """Value of that claim → roles."""
    by_person: Mapping[str, frozenset[PersonRole]] = field(default_factory=dict)
    """Person id → roles, for providers that send no groups."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Person id → name of that person's signing key in this data directory."""

    def find_roles(self, claims: Mapping[str, object], person_id: str) -> frozenset[PersonRole]:
        """All roles of a person, by the claim's values and by their own entry."""
        found = _find_claim(claims, self.claim)
        values = [found] if isinstance(found, str) else found if isinstance(found, list | tuple) else []
        given = [self.by_value.get(value, frozenset()) for value in values if isinstance(value, str)]
        return frozenset().union(*given, self.by_person.get(person_id, frozenset()))


def load_role_map(home: Path) -> RoleMap:
    """Read `people.toml`; without the file, no person has a role.

    Raises:
        AccessRefused: it cannot be read, or names an unknown role.
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
    """Parse the bytes of a `people.toml`.

    Raises:
        AccessRefused: too large, not TOML, an unknown field, or an unknown role.
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
        raise _bad_file("has an invalid key name under [keys]")
    return RoleMap(claim, _read_roles(roles), _read_roles(people), keys)


def _read_roles(table: Mapping[str, Any]) -> dict[str, frozenset[PersonRole]]:
    known = {role.value for role in PersonRole}
    found = {}
    for name, given in table.items():
        if not isinstance(given, list) or not all(isinstance(role, str) and role in known for role in given):
            raise _bad_file(f"gives {name[:60]!r} a value other than a list of {', '.join(sorted(known))}")
        found[name] = frozenset(PersonRole(role) for role in given)
    return found


def _find_claim(claims: Mapping[str, object], name: str) -> object:
    """Find a claim by its whole name, which may be a URL with dots, else by one nesting level per dot."""
    if name in claims:
        return claims[name]
    found: object = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _bad_file(found: str) -> AccessRefused:
    return AccessRefused(
        f"{ROLE_FILE} {found}.", wanted="a file as docs/reference/people.md describes it.",
        remedy="fix it; until then no person has a role.", why="bad_configuration",
    )  # fmt: skip
