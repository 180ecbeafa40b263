"""Words and shapes for states and results; colour only repeats their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Word:
    shape: str
    text: str
    tone: str
    """`for`, `against` or `open`."""

    @property
    def marked(self) -> str:
        return f"{self.shape} {self.text}"


STATES = {
    "supported": Word("◆", "Supported", "for"),
    "negligible": Word("○", "Below the smallest effect of interest", "against"),
    "reversed": Word("◀", "Reversed: effect in the opposite direction", "against"),
    "inconclusive": Word("◇", "Inconclusive", "open"),
}
RESULTS = {
    "MEETS": Word("●", "Meets", "for"),
    "DOES_NOT_MEET": Word("✕", "Does not meet", "against"),
    "INCONCLUSIVE": Word("◐", "Inconclusive", "open"),
    "NOT_EVALUATED": Word("○", "Not evaluated", "open"),
    "INTEGRITY_FAILED": Word("✕", "Integrity failed", "against"),
}
OVERALL = {
    "MEETS": Word("●", "Meets the policy", "for"),
    "DOES_NOT_MEET": Word("✕", "Does not meet the policy", "against"),
    "INCONCLUSIVE": Word("◐", "Inconclusive under the policy", "open"),
    "NOT_EVALUATED": Word("○", "Not evaluated under the policy", "open"),
    "INTEGRITY_FAILED": Word("✕", "Integrity failed", "against"),
}
NOTHING = Word("○", "Not recorded", "open")
COMPARATORS = {">=": "≥", "<=": "≤"}


def find_word(words: dict[str, Word], key: Any) -> Word:
    """Return the word for a value; unknown values count as not recorded."""
    return words.get(key, NOTHING) if isinstance(key, str) else NOTHING


def compare(criterion: Any, threshold: str) -> str:
    """`≥ 0.80`."""
    return f"{COMPARATORS.get(criterion, '')} {threshold}".strip()
