"""Reads a Hugging Face model card that somebody brought, and finds the sentences that claim how the model works."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from audit_core.errors import Refused

MAX_CARD_BYTES = 1 << 20
MAX_METADATA_BYTES = 64 << 10
MAX_SENTENCE = 600
MAX_SENTENCES = 200
_METADATA = re.compile(r"\A---\r?\n.*?\n---\r?\n", re.DOTALL)
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_MARKUP = re.compile(r"!?\[([^\[\]\n]*)\]\([^\[)\n]*\)|[*_`#>|]+|<[^<>\n]{0,300}>")
"""No part of it reaches past the next place where another match may begin: the time grows with the text and not with its square."""
_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n\s*[-*+]\s+|\n\s*\d+\.\s+")
_CLAIMS = re.compile(
    r"\b(attention|attends?|heads?|circuits?|neurons?|heat ?maps?|saliency|interpretab\w*|explain\w*|explanation\w*|relies on|focus(?:es)? on|"
    r"looks? at|because it|decides? by|reason(?:s|ing)|faithful\w*|mechanis\w*|chain[- ]of[- ]thought)\b",
    re.IGNORECASE,
)
"""Words of sentences about how a model comes to its answers; what they miss a person can type in."""


@dataclass(frozen=True)
class ImportedCard:
    """What is taken from a card; its own numbers are not."""

    sha256: str
    """Of the bytes that were brought."""
    licence: str | None
    base_model: str | None
    sentences: tuple[str, ...]
    """Of the body, each once, that seem to claim how the model works."""
    is_cut: bool
    """Whether there were more than are kept."""


def read_card(data: bytes) -> ImportedCard:
    """Read a model card.

    Args:
        data: README.md as the hub has it: Markdown in UTF-8, with or without a block of metadata.

    Raises:
        Refused: too large, not UTF-8, or metadata that is no table.
    """
    if len(data) > MAX_CARD_BYTES:
        raise Refused(
            f"A card of {len(data):,} bytes.", wanted=f"at most {MAX_CARD_BYTES:,}.", remedy="take README.md."
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("The card is not UTF-8.", wanted="README.md of the model.", remedy="save it as UTF-8.") from error
    block = _METADATA.match(text)
    metadata = _read_metadata(block.group() if block else "")
    found = _find_sentences(text[block.end() :] if block else text)
    return ImportedCard(
        hashlib.sha256(data).hexdigest(),
        _read_word(metadata, "license"),
        _read_word(metadata, "base_model"),
        found[:MAX_SENTENCES],
        len(found) > MAX_SENTENCES,
    )


def _find_sentences(body: str) -> tuple[str, ...]:
    plain = _MARKUP.sub(lambda match: match.group(1) or " ", _CODE.sub("\n\n", body))
    sentences = (" ".join(piece.split()).lstrip("-+ ")[:MAX_SENTENCE] for piece in _END.split(plain))
    return tuple(dict.fromkeys(one for one in sentences if len(one) > 15 and _CLAIMS.search(one)))


def _read_metadata(block: str) -> dict[str, object]:
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    if not block:
        return {}
    if len(block) > MAX_METADATA_BYTES:
        raise Refused(
            f"Metadata of {len(block):,} characters.", wanted=f"at most {MAX_METADATA_BYTES:,}.", remedy="shorten it."
        )
    try:
        data = ModelCard(block, ignore_metadata_errors=True).data
    except (ValueError, TypeError, YAMLError, RecursionError, AttributeError) as error:
        raise Refused(
            f"The card's metadata cannot be read: {str(error)[:200]}.",
            wanted="a table in YAML between two lines of three hyphens.",
            remedy="mend it, or leave it out.",
        ) from error
    return {"license": data.get("license"), "base_model": data.get("base_model")}


def _read_word(metadata: dict[str, object], name: str) -> str | None:
    found = metadata.get(name)
    return found[:200] if isinstance(found, str) else None
