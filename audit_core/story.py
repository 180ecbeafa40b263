"""The recorded story: attention and effects of four heads, measured on the default model and shipped with digests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from audit_core.audits.claim_test import ClaimTestResult
from audit_core.claim import Claim, parse_claim
from audit_core.controls import Controls
from audit_core.data_folder import DATA, read_record
from audit_core.errors import IntegrityError
from audit_core.judging.verdict import RULE_VERSION
from audit_core.prompts.prompt_set import PromptSet, take_split
from audit_core.shipped import load_prompt_set
from audit_core.stats.estimates import Estimate

STORIES = DATA / "story"
MAX_KEY = 64
MAX_STORY_BYTES = 4 << 20


@dataclass(frozen=True)
class MeasuredWith:
    """Inputs that a record was measured with; used to detect an outdated record."""

    recorded_at: str
    """ISO 8601, UTC."""
    identity: dict[str, str]
    """Model identity, as `ModelIdentity.to_json` without the folder."""
    code_sha256: str
    """Digest of the library's source."""
    rule_version: int
    versions: dict[str, str]
    seed: int


@dataclass(frozen=True)
class StoryPrompts:
    """The prompts of a record: exploratory and confirmatory split."""

    name: str
    exploratory_sha256: str
    exploratory_n: int
    confirmatory_sha256: str
    confirmatory_n: int
    example: str
    """Id of the prompt shown."""


@dataclass(frozen=True)
class StoryHead:
    """One head on the exploratory split: its attention and its effect, kept as separate numbers."""

    component: str
    attention: Estimate
    effect: Estimate
    fraction: Estimate
    """The effect as a fraction of the clean–corrupted gap."""


@dataclass(frozen=True)
class StoryClaim:
    """One claim and its verdict on the confirmatory split."""

    key: str
    """Why the head was selected: looks_most, looks, first_look or acts; see `data/story/record.py`."""
    claim: dict[str, Any]
    result: ClaimTestResult

    @property
    def stated(self) -> Claim:
        return parse_claim(dict(self.claim))


@dataclass(frozen=True)
class Story:
    """A recorded story, read from `data/story/*.json`."""

    measured_with: MeasuredWith
    prompts: StoryPrompts
    n_layers: int
    n_heads: int
    source: str
    """Source token of the attention values."""
    direction: str
    replacement: str
    accuracy: float
    """Share of exploratory prompts on which the model prefers the answer."""
    controls: Controls
    """Conditions of the effect map."""
    heads: tuple[StoryHead, ...]
    """Every head of the model, layer by layer."""
    named: dict[str, str]
    """Reason → selected head."""
    claims: tuple[StoryClaim, ...]

    def find_head(self, key: str) -> StoryHead:
        """The head selected for this reason."""
        return next(head for head in self.heads if head.component == self.named[key])

    def find_claim(self, key: str, role: str = "necessary") -> StoryClaim:
        """The claim about the head selected for this reason."""
        return next(found for found in self.claims if found.key == key and found.claim["role"] == role)

    def list_changes(self) -> tuple[str, ...]:
        """Inputs that have changed since the recording, in words; empty if none."""
        prompts, kept = load_prompt_set(self.prompts.name), self.prompts
        found = []
        if self.measured_with.rule_version != RULE_VERSION:
            found.append("the verdict rule")
        if (_hash_split(prompts, True), _hash_split(prompts, False)) != (
            kept.exploratory_sha256,
            kept.confirmatory_sha256,
        ):
            found.append("the prompts")
        return tuple(found)


def round_recorded(value: Any) -> Any:
    """Round the numbers of plain values to six digits: records are read and compared, and runs differ in the seventh."""
    if isinstance(value, dict):
        return {key: round_recorded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [round_recorded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _hash_split(prompts: PromptSet, explored: bool) -> str:
    return take_split(prompts, exploratory=explored).sha256


@cache
def load_story(key: str = "indirect_object") -> Story:
    """A shipped record.

    Raises:
        IntegrityError: no such record, or it does not parse.
    """
    path = STORIES / f"{key}.json"
    if not key.isidentifier() or len(key) > MAX_KEY or not path.is_file():
        raise IntegrityError(f"No story {key[:40]!r} ships with this version.")
    found: Story = read_record(path, Story, max_bytes=MAX_STORY_BYTES)
    return found
