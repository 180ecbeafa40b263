"""Read an uploaded Hugging Face model card, and find sentences that claim how the model works."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from audit_core.errors import Refused
from audit_core.models.card_blocks import read_blocks
from audit_core.models.card_language import ENGLISH, find_language, name_code
from audit_core.models.card_sentences import split_sentences

MAX_CARD_BYTES = 1 << 20
MAX_METADATA_BYTES = 64 << 10
MAX_SENTENCE = 600
MAX_SENTENCES = 200
_SHORTEST = 15
_MOST_WORDS, _LONGEST, _DEEPEST = 10, 200, 3
_READ = ("license", "license_name", "license_link", "base_model", "language")
_METADATA = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_CLAIMS = re.compile(
    r"\b(attention|attends?|heads?|circuits?|neurons?|heat ?maps?|saliency|interpretab\w*|explain\w*|explanation\w*|relies on|focus(?:es)? on|"
    r"looks? at|because it|decides? by|reason(?:s|ing)|faithful\w*|mechanis\w*|chain[- ]of[- ]thought)\b",
    re.IGNORECASE,
)
"""Keywords of sentences on how a model produces its answers; users can add sentences that they miss."""


@dataclass(frozen=True)
class UnreadText:
    """Number of paragraphs in a language that is not read."""

    language: str
    blocks: int
    """Number of paragraphs; 0 if only the metadata name the language."""


@dataclass(frozen=True)
class ImportedCard:
    """Content read from a model card; reported results are not read."""

    sha256: str
    """SHA-256 of the uploaded bytes."""
    licence: str | None
    """From the metadata; several are joined by commas, and a licence unknown to the hub has its name and address."""
    base_model: str | None
    sentences: tuple[str, ...]
    """Sentences of the body that seem to claim how the model works, unchanged and without repeats."""
    is_cut: bool
    """Whether there were more than the limit."""
    left_out: int = 0
    """Number of sentences and blocks that were skipped because of their length or of a negated list or section."""
    unread: tuple[UnreadText, ...] = ()
    """Text in other languages, which is not read because the keywords are English."""

    @property
    def unread_sentence(self) -> str:
        """Return a notice on languages that were not read; empty if all text was read."""
        if not self.unread:
            return ""
        found = " and ".join(
            f"{one.language} ({one.blocks} paragraph{'s' * (one.blocks != 1)})" if one.blocks else one.language
            for one in self.unread
        )
        return f"The card has text in {found}, which was not read: the keywords are English."


def read_card(data: bytes) -> ImportedCard:
    """Read a model card.

    Args:
        data: README.md in the hub's format: Markdown in UTF-8, with optional metadata.

    Raises:
        Refused: too large, not UTF-8, or metadata that is not a table.
    """
    if len(data) > MAX_CARD_BYTES:
        raise Refused(
            f"A card of {len(data):,} bytes.", wanted=f"at most {MAX_CARD_BYTES:,}.", remedy="take README.md."
        )
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise Refused("The card is not UTF-8.", wanted="README.md of the model.", remedy="save it as UTF-8.") from error
    metadata, body = _split_metadata(text)
    read = read_blocks(body)
    languages = [find_language(block) for block in read.blocks]
    english = [block for block, language in zip(read.blocks, languages) if language in (None, ENGLISH)]
    found, too_long = _find_sentences(english)
    return ImportedCard(
        hashlib.sha256(data).hexdigest(),
        _name_licence(metadata),
        _join(metadata.get("base_model")),
        found[:MAX_SENTENCES],
        len(found) > MAX_SENTENCES,
        read.left_out + too_long,
        _list_unread(languages, metadata),
    )


def _find_sentences(blocks: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return sentences that seem to claim how the model works, and the number of those that were too long."""
    claims = [
        sentence
        for block in blocks
        for sentence in split_sentences(block)
        if len(sentence) > _SHORTEST and _CLAIMS.search(sentence)
    ]
    kept = tuple(dict.fromkeys(one for one in claims if len(one) <= MAX_SENTENCE))
    return kept, sum(len(one) > MAX_SENTENCE for one in claims)


def _list_unread(languages: Sequence[str | None], metadata: Mapping[str, object]) -> tuple[UnreadText, ...]:
    counts = Counter(one for one in languages if one not in (None, ENGLISH))
    if counts or ENGLISH in languages or not languages:
        return tuple(UnreadText(str(name), count) for name, count in counts.most_common())
    # Too few words to detect the language: the metadata name at least the model's languages.
    stated = [name_code(code) for code in _list_words(metadata.get("language"))]
    return () if not stated or ENGLISH in stated else tuple(UnreadText(name, 0) for name in dict.fromkeys(stated))


def _split_metadata(text: str) -> tuple[Mapping[str, object], str]:
    """Split metadata and body; a card may begin with a rule and have no metadata."""
    block = _METADATA.match(text)
    if block is None:
        return {}, text
    source = block[1] or ""
    if len(source) > MAX_METADATA_BYTES:
        raise Refused(
            f"Metadata of {len(source):,} characters.", wanted=f"at most {MAX_METADATA_BYTES:,}.", remedy="shorten it."
        )
    found = _parse_metadata(source)
    if isinstance(found, str):
        return {}, text
    if found is not None and not isinstance(found, dict):
        raise _refuse_metadata(f"they are a {type(found).__name__}")
    return found or {}, text[block.end() :]


def _parse_metadata(source: str) -> object:
    import yaml

    try:
        loader = yaml.SafeLoader(source)
        node = loader.get_single_node()
        keys = Counter(str(key.value) for key, _ in node.value) if isinstance(node, yaml.MappingNode) else Counter()
        found: object = None if node is None else loader.construct_document(node)
    except (ValueError, TypeError, yaml.YAMLError, RecursionError, AttributeError) as error:
        raise _refuse_metadata(str(error)[:200]) from error
    if twice := sorted(name for name in _READ if keys[name] > 1):
        raise _refuse_metadata(f"duplicate key {twice[0]}")
    return found


def _refuse_metadata(why: str) -> Refused:
    return Refused(
        f"The card's metadata cannot be read: {why}.",
        wanted="a table in YAML between two lines of three hyphens, each key once.",
        remedy="correct it, or remove it.",
    )


def _name_licence(metadata: Mapping[str, object]) -> str | None:
    """Return the licence; a licence unknown to the hub with its name and address."""
    licence = _join(metadata.get("license"))
    own = [words for name in ("license_name", "license_link") if (words := _join(metadata.get(name))) is not None]
    if licence is None and not own:
        return None
    return f"{licence or 'other'} ({', '.join(own)})" if own else licence


def _join(value: object) -> str | None:
    words = list(islice(_list_words(value), _MOST_WORDS + 1))
    if not words:
        return None
    return ", ".join(words[:_MOST_WORDS])[:_LONGEST] + (", …" if len(words) > _MOST_WORDS else "")


def _list_words(value: object, depth: int = 0) -> Iterator[str]:
    """Return the texts and numbers in a YAML value, including those in lists and tables."""
    if isinstance(value, str | int | float | date):
        text = " ".join(str(value).split()) if not isinstance(value, bool) else str(value).lower()
        yield from [text] if text else []
    elif isinstance(value, list | tuple | dict) and depth < _DEEPEST:
        for one in islice(value.values() if isinstance(value, dict) else value, 4 * _MOST_WORDS):
            yield from _list_words(one, depth + 1)
