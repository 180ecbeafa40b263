"""Reads a Hugging Face model card that somebody brought, and finds the sentences that claim how the model works."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from audit_core.errors import Refused
from audit_core.models.card_text import find_language, find_sentences, list_paragraphs

MAX_CARD_BYTES = 600_000
MAX_METADATA_BYTES = 64 << 10
MAX_SENTENCE = 600
MAX_SENTENCES = 200
_METADATA = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?\n---[ \t]*\r?(?:\n|\Z)", re.DOTALL)
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
    n_too_long: int = 0
    """Sentences of that kind that are longer than `MAX_SENTENCE` and were left out: none is kept in part."""
    language: str = ""
    """The card's own language where it is not English: its sentences were then not read, as the words looked for are English."""


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
    body = text[block.end() :] if block else text
    paragraphs = "\n\n".join(list_paragraphs(body))
    language = find_language(paragraphs)
    claims = (
        ()
        if language
        else tuple(dict.fromkeys(one for one in find_sentences(body) if _CLAIMS.search(one) and len(one) > 15))
    )
    found = tuple(one for one in claims if len(one) <= MAX_SENTENCE)
    return ImportedCard(
        hashlib.sha256(data).hexdigest(),
        _read_licence(metadata),
        _read_words(metadata.get("base_model")),
        found[:MAX_SENTENCES],
        len(found) > MAX_SENTENCES,
        len(claims) - len(found),
        language,
    )


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
    return {name: data.get(name) for name in ("license", "license_name", "base_model")}


def _read_licence(metadata: dict[str, object]) -> str | None:
    """The licence as the card names it, with the name that goes with `other`."""
    licence, name = _read_words(metadata.get("license")), _read_words(metadata.get("license_name"))
    return f"{licence} ({name})" if licence and name else licence or name


def _read_words(found: object) -> str | None:
    """A text, or a list of texts joined by commas; None for what is neither, or empty."""
    words = [
        one.strip() for one in (found if isinstance(found, list) else [found]) if isinstance(one, str) and one.strip()
    ]
    return ", ".join(words)[:200] or None
