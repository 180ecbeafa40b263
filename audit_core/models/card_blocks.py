"""Extract running text from Markdown: one block per paragraph or list item, without headings, tables, code and markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


MAX_LINES = 5_000
MAX_LINE = 20_000
MAX_BLOCK = 8_000
MAX_MARKS = 40_000
"""Limit of characters that may begin markup in a card: each costs up to 60 µs, which hostile text could exploit."""
_MARKS = re.compile(r"[\[\]!*_<`&\\]")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,80}\]:?")
_ALERT = re.compile(r"\A\[![A-Z]{1,20}\]\s*")
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]{0,20})\b[^<>]{0,2000}>")
_INLINE_TAGS = _split(
    "a abbr b bdi bdo big cite code data dfn del em font i img ins kbd mark q s samp small span strike strong sub sup time tt u var wbr"
)
_NO_TEXT = _split(
    "h1 h2 h3 h4 h5 h6 table td th tr thead tbody caption script style pre textarea title svg math summary"
)
CODE_SPACE = "\ue000"
"""Placeholder for a space inside code, where no sentence ends; splitting into sentences restores the space."""
BREAK = "\n"
"""Separator of parts of a block that do not form a sentence, such as lines with a hard break between them."""


@dataclass(frozen=True)
class CardText:
    """Extracted text."""

    blocks: tuple[str, ...]
    """Plain text with collapsed white space; `BREAK` marks an end of sentence regardless of punctuation."""
    left_out: int
    """Number of lines, blocks and tails that were skipped because of their size."""


def read_blocks(body: str) -> CardText:
    """Read a document.

    Tables, headings, code, images, comments and references are skipped. A paragraph that ends in a colon continues in the next
    block, and is left out.
    """
    lines = body.split("\n")
    left_out = max(0, len(lines) - MAX_LINES)
    lines = lines[:MAX_LINES]
    left_out += sum(len(line) > MAX_LINE for line in lines)
    tokens = _parser().parse("\n".join("" if len(line) > MAX_LINE else line for line in lines))
    blocks, marks = [], 0
    for kind, content in _list_blocks(tokens):
        marks += len(_MARKS.findall(content))
        if len(content) > MAX_BLOCK or marks > MAX_MARKS:
            left_out += 1
            continue
        text = _strip_html(content) if kind == "html_block" else _read_inline(content)
        blocks += [] if _is_apparatus(text) else [text]
    return CardText(tuple(block for block in blocks if block), left_out)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Inline markup is parsed per block, with separate limits.
    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("strikethrough")


def _list_blocks(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Yield kind and source of each paragraph and HTML block."""
    in_table = False
    for before, token in zip((None, *tokens), tokens):
        in_table = token.type == "table_open" or (in_table and token.type != "table_close")
        is_paragraph = before is not None and before.type == "paragraph_open" and token.type == "inline"
        if token.type == "html_block" or (is_paragraph and not in_table):
            yield token.type, token.content


def _read_inline(content: str) -> str:
    (token,) = _inline_parser().parseInline(content)
    parts = [_read_piece(child) for child in token.children or ()]
    return _fold(_FOOTNOTE.sub("", _ALERT.sub("", "".join(parts).lstrip())))


def _read_piece(token: Token) -> str:
    if token.type == "code_inline":
        return token.content.replace(" ", CODE_SPACE)
    if token.type in ("text", "text_special"):
        # A single line break in the source is a space in the text.
        return token.content.replace("\n", " ")
    if token.type == "softbreak":
        return " "
    is_break = token.type == "hardbreak" or (token.type == "html_inline" and re.match(r"<br\b", token.content, re.I))
    return BREAK if is_break else ""


def _strip_html(source: str) -> str:
    """Return the text of an HTML block without headings, tables and code."""
    source = _drop_comments(source)
    parts, end, skipped = [], 0, 0
    for tag in _TAG.finditer(source):
        name, closes = tag[1].lower(), source[tag.start() + 1] == "/"
        parts += [] if skipped else [source[end : tag.start()].replace("\n", " ")]
        end = tag.end()
        if name in _NO_TEXT:
            skipped = max(0, skipped + (-1 if closes else 1))
        if name not in _INLINE_TAGS:
            parts.append(BREAK)
    parts += [] if skipped else [source[end:].replace("\n", " ")]
    return _fold(html.unescape("".join(parts)))


def _drop_comments(source: str) -> str:
    parts, at = [], 0
    while (start := source.find("<!--", at)) >= 0:
        parts.append(source[at:start])
        end = source.find("-->", start)
        if end < 0:
            return "".join(parts)
        at = end + 3
    return "".join([*parts, source[at:]])


def _fold(text: str) -> str:
    """Collapse white space; keep a break if the next line does not continue the sentence."""
    lines = [" ".join(line.split()) for line in text.split(BREAK)]
    folded = ""
    for line in filter(None, lines):
        goes_on = folded and folded[-1].isalnum() and line[0].islower()
        folded += line if not folded else (" " if goes_on else BREAK) + line
    return folded


def _is_apparatus(text: str) -> bool:
    """Check for a table row without a frame, a bibliography entry, or a line that the next block continues."""
    return text.startswith("|") or bool(re.match(r"@[A-Za-z]{2,30}\s*\{", text)) or text.endswith(":")
