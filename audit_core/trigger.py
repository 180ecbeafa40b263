"""Revalidation triggers: changes since a claim was frozen, and which later verdict resolves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum

from audit_core.preregistration import Pins

_LIBRARIES = ("torch", "transformers")
"""Libraries whose minor versions have changed numbers before; versions of the others are recorded in every run."""
MOST_TEXT = 200


class TriggerKind(StrEnum):
    """Why a claim must be tested again."""

    WEIGHTS_CHANGED = "weights_changed"
    TOKENIZER_CHANGED = "tokenizer_changed"
    CHAT_TEMPLATE_CHANGED = "chat_template_changed"
    CONFIGURATION_CHANGED = "configuration_changed"
    QUANTISATION_CHANGED = "quantisation_changed"
    MODEL_CHANGED = "model_changed"
    """The digest of the whole model differs, and no record shows which part."""
    LIBRARY_CHANGED = "library_changed"
    POLICY_CHANGED = "policy_changed"
    PROMPTS_CHANGED = "prompts_changed"
    PLAN_DEVIATED = "plan_deviated"
    EXPIRED = "expired"
    KEY_REVOKED = "key_revoked"
    INCIDENT = "incident"

    @property
    def is_of_model(self) -> bool:
        return self in _OF_MODEL

    @property
    def is_answered_by_rerun(self) -> bool:
        """Whether a new measurement on the current inputs can resolve it; the others need a person's judgement."""
        return self in _OF_MODEL or self is TriggerKind.LIBRARY_CHANGED

    @property
    def reopens_findings(self) -> bool:
        """Whether what a finding was closed on has changed; a date or a key alone changes no result."""
        return self not in (TriggerKind.EXPIRED, TriggerKind.KEY_REVOKED)


_OF_MODEL = frozenset(
    (
        TriggerKind.WEIGHTS_CHANGED,
        TriggerKind.TOKENIZER_CHANGED,
        TriggerKind.CHAT_TEMPLATE_CHANGED,
        TriggerKind.CONFIGURATION_CHANGED,
        TriggerKind.QUANTISATION_CHANGED,
        TriggerKind.MODEL_CHANGED,
    )
)


@dataclass(frozen=True)
class Change:
    """One difference between frozen and current inputs."""

    kind: TriggerKind
    before: str
    """A digest, a version, a date or an id."""
    after: str
    reason: str = ""
    """A person's reason, if a person reported the change."""


@dataclass(frozen=True)
class Trigger:
    """A change as recorded in the append-only change log; a later verdict resolves it."""

    claim_id: str
    kind: TriggerKind
    before: str
    after: str
    held_for: str
    """Digest of the model that the claim was pinned to."""
    reason: str
    by: str
    at: str

    @property
    def change(self) -> Change:
        """The change without time and author, for comparison."""
        return Change(self.kind, self.before, self.after, self.reason)

    def describe(self) -> str:
        """One line: `weights changed: 1a2b… → 3c4d…`."""
        between = f"{_shorten(self.before)} → {_shorten(self.after)}" if self.before or self.after else ""
        return ": ".join(part for part in (self.kind.value.replace("_", " "), between, self.reason) if part)

    def to_json(self) -> dict[str, str]:
        return asdict(self) | {"kind": self.kind.value}


@dataclass(frozen=True)
class Frozen:
    """Inputs that a claim was frozen with, and those of its last run."""

    pins: Pins
    identity: Mapping[str, str] | None
    """Identity of the pinned model, from a run or its folder; None if unknown."""
    versions: Mapping[str, str] | None
    """Library versions at the last verdict; None without a verdict."""
    due: date
    """Expiry date of its evidence."""
    departures: tuple[Change, ...] = ()
    """From the log: deviations and revoked keys after its evidence was shown."""


@dataclass(frozen=True)
class Templates:
    """Digests of the chat templates of the pinned and the current model; empty if there is none."""

    before: str
    after: str
    is_all: bool
    """Whether the template is the only difference of the tokenizers."""


@dataclass(frozen=True)
class Present:
    """Current inputs; None if not given."""

    identity: Mapping[str, str]
    versions: Mapping[str, str]
    today: date
    policy_sha256: str | None = None
    prompts_sha256: str | None = None
    templates: Templates | None = None
    """None if the pinned model is not available."""


def list_changes(frozen: Frozen, present: Present) -> tuple[Change, ...]:
    """All differences, in a fixed order."""
    return (
        *_list_model_changes(frozen, present),
        *_list_library_changes(frozen, present),
        *_list_other_changes(frozen, present),
        *frozen.departures,
    )


def read_minor(version: str) -> str:
    """`2.13` of `2.13.0+cpu`."""
    return ".".join(version.split("+")[0].split(".")[:2])


def _list_model_changes(frozen: Frozen, present: Present) -> Iterator[Change]:
    pins, now = frozen.pins, present.identity
    if pins.model_digest == now["short"]:
        return
    found = []
    if pins.weights_sha256 != now["weights_sha256"]:
        found.append(Change(TriggerKind.WEIGHTS_CHANGED, pins.weights_sha256, now["weights_sha256"]))
    was = frozen.identity
    if was is not None:
        if was["tokenizer_sha256"] != now["tokenizer_sha256"]:
            found += _list_tokenizer_changes(was, now, present.templates)
        for name, kind in (
            ("config_sha256", TriggerKind.CONFIGURATION_CHANGED),
            ("quantisation", TriggerKind.QUANTISATION_CHANGED),
        ):
            if was[name] != now[name]:
                found.append(Change(kind, was[name][:MOST_TEXT], now[name][:MOST_TEXT]))
    yield from found or [Change(TriggerKind.MODEL_CHANGED, pins.model_digest, now["short"])]


def _list_tokenizer_changes(
    was: Mapping[str, str], now: Mapping[str, str], templates: Templates | None
) -> Iterator[Change]:
    if templates is not None and templates.before != templates.after:
        yield Change(TriggerKind.CHAT_TEMPLATE_CHANGED, templates.before, templates.after)
        if templates.is_all:
            return
    yield Change(TriggerKind.TOKENIZER_CHANGED, was["tokenizer_sha256"], now["tokenizer_sha256"])


def _list_library_changes(frozen: Frozen, present: Present) -> Iterator[Change]:
    for name in _LIBRARIES if frozen.versions is not None else ():
        before, after = (read_minor(versions.get(name, "")) for versions in (frozen.versions or {}, present.versions))
        if before != after:
            yield Change(TriggerKind.LIBRARY_CHANGED, f"{name} {before}", f"{name} {after}")


def _list_other_changes(frozen: Frozen, present: Present) -> Iterator[Change]:
    pins = frozen.pins
    if present.policy_sha256 not in (None, pins.policy_sha256):
        yield Change(TriggerKind.POLICY_CHANGED, pins.policy_sha256, str(present.policy_sha256))
    if present.prompts_sha256 not in (None, pins.prompts_sha256):
        yield Change(TriggerKind.PROMPTS_CHANGED, pins.prompts_sha256, str(present.prompts_sha256))
    if frozen.due < present.today:
        yield Change(TriggerKind.EXPIRED, frozen.due.isoformat(), "")


@dataclass(frozen=True)
class VerdictFacts:
    """Inputs of a later verdict."""

    run_id: str
    at: str
    model_digest: str
    prompts_sha256: str
    policy_sha256: str
    versions: Mapping[str, str]

    def answers(self, trigger: Trigger) -> bool:
        """Whether this verdict resolves the trigger: its run used the changed input.

        A changed model is resolved by a run on a model other than the previously pinned one, which needs an amended plan:
        runs on a model other than the plan's are refused.
        """
        kind = trigger.kind
        if kind.is_of_model:
            return self.model_digest != trigger.held_for
        if kind is TriggerKind.LIBRARY_CHANGED:
            name, _, minor = trigger.before.partition(" ")
            return read_minor(self.versions.get(name, "")) != minor
        if kind is TriggerKind.POLICY_CHANGED:
            return self.policy_sha256 != trigger.before
        if kind is TriggerKind.PROMPTS_CHANGED:
            return self.prompts_sha256 != trigger.before
        return True


def _shorten(text: str) -> str:
    return f"{text[:12]}…" if len(text) > 40 else text or "none"
