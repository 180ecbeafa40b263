"""Severities of findings and the days to their due date: a policy's, or defaults where it states none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from audit_core.errors import PolicyRefused
from audit_core.governance.policy import Policy, ThresholdSource


@dataclass(frozen=True)
class Severity:
    """One severity."""

    name: str
    days: int
    """Days from recording a finding to its due date."""


@dataclass(frozen=True)
class FindingRules:
    """Severities of one policy, the most severe first."""

    policy_id: str
    policy_sha256: str
    severities: tuple[Severity, ...]
    notice_days: int
    """Days before the due date from which a finding counts as due soon."""
    source: ThresholdSource

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.severities)

    def find(self, name: str) -> Severity:
        """Find a severity by name.

        Raises:
            PolicyRefused: the policy has none of that name.
        """
        for one in self.severities:
            if one.name == name:
                return one
        raise PolicyRefused(
            f"Severity {name[:40]!r}.", wanted=f"one of {', '.join(self.names)}, of policy {self.policy_id}.", remedy="choose one of them."
        )  # fmt: skip

    def date_due(self, name: str, today: date) -> date:
        """Latest due date that the policy allows for a finding recorded today."""
        return today + timedelta(days=self.find(name).days)


DEFAULT_SEVERITIES = (Severity("critical", 14), Severity("high", 30), Severity("medium", 90), Severity("low", 180))
"""Starting points and this project's own judgement: an organisation's policy replaces them."""
DEFAULT_NOTICE_DAYS = 14


def read_finding_rules(policy: Policy) -> FindingRules:
    """Return the severities that a policy states, or the defaults."""
    found: Mapping[str, Any] | None = policy.resolved().get("findings")
    if found is None:
        return FindingRules(policy.id, policy.sha256, DEFAULT_SEVERITIES, DEFAULT_NOTICE_DAYS, ThresholdSource.DEFAULT)
    severities = tuple(Severity(row["name"], row["days"]) for row in found["severities"])
    return FindingRules(
        policy.id, policy.sha256, severities, found["notice_days"], ThresholdSource(found["source"])
    )  # fmt: skip
