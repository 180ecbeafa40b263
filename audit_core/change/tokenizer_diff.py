"""Compare two models' tokenizers and settings: vocabulary, merges, chat template, and keys of the JSON files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from audit_core.errors import ModelRefused
from audit_core.models.folder import CONFIG_BYTES, read_json

MOST_KEYS, MOST_TOKENS, MOST_TEXT = 200, 20, 200
_TEMPLATE_FILES = ("tokenizer_config.json", "chat_template.jinja", "chat_template.json")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True)
class KeyChange:
    """One changed key of a JSON file."""

    file: str
    key: str
    """Key path, with dots for nested objects."""
    before: str | None
    """Value as JSON, truncated to 200 characters; None where the key is missing."""
    after: str | None


@dataclass(frozen=True)
class MovedToken:
    """A token whose id changed: embeddings trained for the old id now belong to another token."""

    token: str
    before: int
    after: int


@dataclass(frozen=True)
class VocabularyDiff:
    """Differences between two vocabularies; each list contains the first few."""

    n_before: int
    n_after: int
    n_added: int
    n_removed: int
    n_moved: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[MovedToken, ...]

    @property
    def is_same(self) -> bool:
        return not (self.n_added or self.n_removed or self.n_moved)


@dataclass(frozen=True)
class TokenizerDiff:
    """Differences between two tokenizers."""

    vocabulary: VocabularyDiff | None
    not_read: str
    """Why the vocabularies could not be compared; empty otherwise."""
    has_other_merges: bool
    template_before: str
    """SHA-256 of the chat template; empty without one."""
    template_after: str
    n_settings: int
    settings: tuple[KeyChange, ...]
    """Special tokens and every other setting, the first 200."""

    @property
    def has_other_template(self) -> bool:
        return self.template_before != self.template_after

    @property
    def is_same_but_template(self) -> bool:
        """Whether both tokenize text the same way, by the files that could be read."""
        same = self.vocabulary is not None and self.vocabulary.is_same
        return same and not self.has_other_merges and not self.n_settings


def compare_tokenizers(before: Path, after: Path) -> TokenizerDiff:
    """Compare the tokenizer files of two model folders.

    Raises:
        ModelRefused: one of them cannot be read.
    """
    old, new = (_read_json(folder / "tokenizer.json") for folder in (before, after))
    vocabularies = [_read_vocabulary(content) for content in (old, new)]
    unread = [side for side, one in zip(("before", "after"), vocabularies, strict=True) if one is None]
    why = f"no vocabulary in a known format, {' and '.join(unread)}" if unread else ""
    changes = _list_rule_changes(old, new)
    for name in _SETTINGS:
        settings = (_read_settings(folder / name) for folder in (before, after))
        changes += list_key_changes(name, *settings)
    a, b = vocabularies
    return TokenizerDiff(
        None if a is None or b is None else _compare_vocabularies(a, b),
        why,
        _read_model(old).get("merges") != _read_model(new).get("merges"),
        _digest_template(before),
        _digest_template(after),
        len(changes),
        tuple(changes[:MOST_KEYS]),
    )


def list_key_changes(file: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[KeyChange]:
    """List changed keys by name; nested objects are flattened, lists are compared as values.

    Raises:
        ModelRefused: the file is nested too deeply to serialize.
    """
    try:
        old, new = dict(_flatten(before)), dict(_flatten(after))
    except RecursionError as error:
        raise ModelRefused(
            f"{file} is nested too deeply.", wanted="a regular model file.", remedy="export the model again."
        ) from error
    return [
        KeyChange(file, key[:MOST_TEXT], _cut(old.get(key)), _cut(new.get(key)))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _flatten(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    waiting = [(str(key), value) for key, value in content.items()]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{key}.{name}", inner) for name, inner in value.items()]
        else:
            yield key, json.dumps(value, sort_keys=True)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _read_settings(path: Path) -> dict[str, Any]:
    return {key: value for key, value in _read_json(path).items() if key != "chat_template"}


def _read_model(content: Mapping[str, Any]) -> dict[str, Any]:
    model = content.get("model")
    return model if isinstance(model, dict) else {}


def _list_rule_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[KeyChange]:
    """Changes of the tokenizer's other rules: normalizer, pre-tokenizer, decoder and the like."""
    sides = []
    for content in (old, new):
        rules = {key: value for key, value in content.items() if key not in ("model", "added_tokens")}
        model = {key: value for key, value in _read_model(content).items() if key not in ("vocab", "merges")}
        sides.append(rules | {"model": model})
    return list_key_changes("tokenizer.json", *sides)


def _read_vocabulary(content: Mapping[str, Any]) -> dict[str, int] | None:
    """Token → id; None where the file is missing or has an unknown format."""
    vocabulary, added = _read_model(content).get("vocab"), content.get("added_tokens", [])
    if isinstance(vocabulary, list):
        # Unigram: pairs of piece and score, in the order of their ids.
        pieces = [row[0] if isinstance(row, list) and row else None for row in vocabulary]
        vocabulary = {piece: number for number, piece in enumerate(pieces) if isinstance(piece, str)}
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        return None
    found = dict(vocabulary)
    for row in added:
        if isinstance(row, dict):
            found[str(row.get("content"))] = row.get("id")
    return found if all(type(number) is int for number in found.values()) else None


def _compare_vocabularies(old: Mapping[str, int], new: Mapping[str, int]) -> VocabularyDiff:
    added, removed = (sorted(one.keys() - other.keys(), key=one.get) for one, other in ((new, old), (old, new)))  # type: ignore[arg-type]
    moved = sorted((token for token in old.keys() & new.keys() if old[token] != new[token]), key=lambda t: old[t])
    return VocabularyDiff(
        len(old), len(new), len(added), len(removed), len(moved),
        tuple(token[:MOST_TEXT] for token in islice(added, MOST_TOKENS)),
        tuple(token[:MOST_TEXT] for token in islice(removed, MOST_TOKENS)),
        tuple(MovedToken(token[:MOST_TEXT], old[token], new[token]) for token in islice(moved, MOST_TOKENS)),
    )  # fmt: skip


def _digest_template(folder: Path) -> str:
    """Digest of the chat template in every place where transformers looks for one, in a fixed order."""
    found = []
    for name in _TEMPLATE_FILES:
        path = folder / name
        if name.endswith(".json"):
            template = _read_json(path).get("chat_template")
            found += [] if template is None else [json.dumps(template, sort_keys=True)]
        elif path.is_file():
            with path.open("rb") as stream:
                text = stream.read(CONFIG_BYTES + 1)
            if len(text) > CONFIG_BYTES:
                raise ModelRefused(
                    f"{path} is larger than {CONFIG_BYTES / 1e6:g} MB.",
                    wanted="a chat template.",
                    remedy="check the file's content.",
                )
            found.append(text.decode("utf-8", "replace"))
    return hashlib.sha256("\0".join(found).encode()).hexdigest() if found else ""
