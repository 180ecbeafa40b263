"""The policies that a claim or a question can be frozen under: the shipped example, and this installation's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.errors import PolicyRefused
from audit_core.governance.policy import Policy, ThresholdSource, load_policy
from audit_core.shipped import load_shipped_policy
from audit_core.store.log.policies import (
    SavedPolicy,
    list_current_policies,
    list_policies,
    load_saved_policy,
    save_policy,
)

SHIPPED = ""
"""No policy named: the shipped one."""


@dataclass(frozen=True)
class PolicyChoice:
    """One policy to choose."""

    key: str
    """Digest of its file; for the shipped policy, its id."""
    policy_id: str
    saved: SavedPolicy | None
    """None for the shipped policy."""

    @property
    def label(self) -> str:
        if self.saved is None:
            return f"{self.policy_id} (example of this project)"
        return f"{self.policy_id}, version {self.saved.version}"


def list_policy_choices(home: Path) -> tuple[PolicyChoice, ...]:
    """The newest version of each own policy, then the shipped one: who has an own policy means that one."""
    own = (PolicyChoice(one.sha256, one.policy_id, one) for one in list_current_policies(home))
    shipped = load_shipped_policy().id
    return (*own, PolicyChoice(shipped, shipped, None))


def load_policy_choice(home: Path, key: str) -> Policy:
    """The policy of a key: the shipped one, or any version that was saved here.

    Args:
        key: digest, `SHIPPED`, or the id of a policy for its newest version.

    Raises:
        PolicyRefused: no such policy was saved here.
    """
    if key in (SHIPPED, load_shipped_policy().id):
        return load_shipped_policy()
    found = [one for one in list_policies(home) if key in (one.sha256, one.policy_id)]
    if not found:
        raise PolicyRefused(
            f"No policy {key[:80]!r}, neither as a file nor saved here.",
            wanted="a file in TOML, or the id or digest of a saved policy.",
            remedy="check the path, or run `policy list`.",
        )
    return load_saved_policy(home, found[-1])


def read_policy(home: Path, given: Path | str) -> Policy:
    """The policy that a command names: a file in TOML, else the id or digest of a saved policy.

    Raises:
        PolicyRefused: neither; or the file is not a policy.
    """
    return load_policy(given) if Path(given).is_file() else load_policy_choice(home, str(given))


def save_own_policy(home: Path, policy: Policy, *, based_on: str, reason: str, by: str) -> SavedPolicy:
    """`save_policy`, for a policy with an id of its own.

    Raises:
        PolicyRefused: the id is that of the shipped example, or a changed threshold still names the example's authors as its
            source; see `save_policy`.
    """
    if policy.id == load_shipped_policy().id:
        raise PolicyRefused(
            f"The id {policy.id} is that of the example that ships with this project.",
            wanted="an id of your own, such as your organisation's name and the month.",
            remedy="change the id.",
        )
    if borrowed := list_borrowed(policy):
        raise PolicyRefused(
            f"{borrowed[0]} names this project as the source of a threshold that this project does not have.",
            wanted="organisation or regulator as the source of every value of your own.",
            remedy="change its source, and say why in your words.",
        )
    return save_policy(home, policy, based_on=based_on, reason=reason, by=by)


def list_borrowed(policy: Policy) -> tuple[str, ...]:
    """Criteria whose source is this project although their own values are not those of the shipped policy."""
    shipped, own = _list_values(load_shipped_policy()), _list_values(policy)
    return tuple(
        name
        for (kind, name), kept in own.items()
        if kept["source"] == ThresholdSource.DEFAULT and kept != shipped.get((kind, name))
    )


def _list_values(policy: Policy) -> dict[tuple[str, str], dict[str, Any]]:
    """Criteria with their values, but for a level that is the gate's: it is not the criterion's own."""
    table = policy.resolved()
    return {
        (kind, name): {
            key: value for key, value in kept.items() if (key, value) != ("ci_level", table["gate"]["ci_level"])
        }
        for kind in ("criteria", "answers")
        for name, kept in table.get(kind, {}).items()
    }
