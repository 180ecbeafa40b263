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
_STRUCK = _split("del s strike")
_INLINE_TAGS = _STRUCK | _split(
    "a abbr b bdi bdo big cite code data dfn em font i img ins kbd mark q samp small span strong sub sup time tt u var wbr"
)
_NO_TEXT = _split(
    "h1 h2 h3 h4 h5 h6 table td th tr thead tbody caption script style pre textarea title svg math summary"
)
_NEGATES = re.compile(
    r"\b(?:not|never|no|none|cannot|without|avoid\w*|neither|unable|fails?|prohibit\w*|forbid\w*|unsupported)\b|n['’]t\b",
    re.I,
)
_NOT_CLAIMED = re.compile(
    r"\b(?:out[ -]of[ -]scope|misus\w*|prohibited|unintended|unsupported|not (?:intended|for|to))\b", re.I
)
"""Headings of sections that list what a model is not for."""
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
    """Number of lines, blocks and tails that were skipped because of their size, or as part of a negated list or section."""


def read_blocks(body: str) -> CardText:
    """Read a document.

    Tables, headings, code, images, comments, references and struck text are skipped. A paragraph that ends in a colon
    continues in the next block, and is left out; if it is negated ("The model does not:"), so is what it introduces.
    """
    lines = body.split("\n")
    left_out = max(0, len(lines) - MAX_LINES)
    lines = lines[:MAX_LINES]
    left_out += sum(len(line) > MAX_LINE for line in lines)
    tokens = _parser().parse("\n".join("" if len(line) > MAX_LINE else line for line in lines))
    blocks, marks = [], 0
    for kind, content, is_negated in _list_blocks(tokens):
        marks += len(_MARKS.findall(content))
        if is_negated or len(content) > MAX_BLOCK or marks > MAX_MARKS:
            left_out += 1
            continue
        text = _cut_negated(_strip_html(content) if kind == "html_block" else _read_inline(content))
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


def _list_blocks(tokens: Sequence[Token]) -> Iterator[tuple[str, str, bool]]:
    """Yield kind and source of each paragraph and HTML block, and whether a heading or an introduction negates it."""
    in_table = False
    scope = _Scope()
    for before, token in zip((None, *tokens), tokens):
        in_table = token.type == "table_open" or (in_table and token.type != "table_close")
        if before is not None and before.type == "heading_open":
            scope.enter_section(int(before.tag[1:]), token.content)
        is_paragraph = before is not None and before.type == "paragraph_open" and token.type == "inline"
        if token.type == "html_block" or (is_paragraph and not in_table):
            yield token.type, token.content, scope.negates(token.level, token.content)


class _Scope:
    """Tracks whether the following blocks belong to a negated section or list."""

    def __init__(self) -> None:
        self._section: int | None = None
        """Heading level of the negated section; None outside one."""
        self._list: int | None = None
        """Nesting level of the negated introduction; None outside one."""
        self._is_next = False

    def enter_section(self, level: int, title: str) -> None:
        self._list = None
        if self._section is None or level <= self._section:
            self._section = level if _NOT_CLAIMED.search(title) else None

    def negates(self, level: int, content: str) -> bool:
        """Check one block; the blocks must come in order."""
        if self._list is not None and (level > self._list or self._is_next):
            self._is_next = False
            return True
        self._list, self._is_next = (level, True) if _introduces_negated(content) else (None, False)
        return self._section is not None


def _introduces_negated(line: str) -> bool:
    return line.rstrip(" *_").endswith(":") and bool(_NEGATES.search(line))


def _cut_negated(text: str) -> str:
    """Return the lines before one that introduces what the model does not do."""
    lines = text.split(BREAK)
    return BREAK.join(lines[: next((at for at, line in enumerate(lines) if _introduces_negated(line)), len(lines))])


def _read_inline(content: str) -> str:
    (token,) = _inline_parser().parseInline(content)
    parts, n_struck = [], 0
    for child in token.children or ():
        n_struck += _count_struck(child)
        parts += [] if n_struck > 0 else [_read_piece(child)]
    return _fold(_FOOTNOTE.sub("", _ALERT.sub("", "".join(parts).lstrip())))


def _count_struck(token: Token) -> int:
    """Return 1 where struck text begins, -1 where it ends, else 0."""
    if token.type in ("s_open", "s_close"):
        return token.nesting
    tag = _TAG.match(token.content) if token.type == "html_inline" else None
    return 0 if tag is None or tag[1].lower() not in _STRUCK else -1 if tag[0].startswith("</") else 1


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
        if name in _NO_TEXT or name in _STRUCK:
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
