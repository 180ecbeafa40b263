"""Sentences of a Markdown text, word for word: never cut, never joined to a heading, a list item, a table or a neighbour."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?:\s+|(?<=[。！？]))")
_ABBREVIATIONS = frozenset(
    [
        "al",
        "app",
        "approx",
        "art",
        "cf",
        "ch",
        "chap",
        "co",
        "corp",
        "dr",
        "e.g",
        "ed",
        "eds",
        "eq",
        "eqs",
        "esp",
        "etc",
        "fig",
        "figs",
        "i.e",
        "inc",
        "incl",
        "jr",
        "ltd",
        "mr",
        "mrs",
        "ms",
        "no",
        "nos",
        "p",
        "pp",
        "prof",
        "ref",
        "refs",
        "resp",
        "sec",
        "secs",
        "sect",
        "sr",
        "st",
        "tab",
        "u.k",
        "u.s",
        "viz",
        "vol",
        "vs",
    ]
)
_MAY_END = frozenset(("al", "etc", "inc", "ltd", "co", "corp", "jr", "sr", "u.s", "u.k"))
"""Abbreviations that often stand at the end of a sentence; a word that begins sentences then decides."""
_OPENERS = frozenset(
    [
        "A",
        "All",
        "An",
        "Another",
        "As",
        "At",
        "Both",
        "But",
        "By",
        "Each",
        "For",
        "From",
        "He",
        "Her",
        "Here",
        "His",
        "How",
        "However",
        "If",
        "In",
        "It",
        "Its",
        "No",
        "On",
        "One",
        "Our",
        "She",
        "So",
        "Such",
        "That",
        "The",
        "Their",
        "There",
        "These",
        "They",
        "This",
        "Those",
        "Thus",
        "To",
        "We",
        "What",
        "When",
        "Where",
        "While",
        "With",
        "You",
        "Your",
    ]
)
_STOP_WORDS = {
    "English": "the of and to in is that for it with as are on by this from be which not",
    "German": "der die das und ist nicht ein eine mit für auf des dem den zu von im sich wird",
    "French": "le la les des et est une dans pour que qui sur pas du avec au ce il sont",
    "Spanish": "el la los las de que y en un una por con para es se del al como su",
    "Portuguese": "o os as de que e em um uma por com para do da não se na no ao",
    "Italian": "il lo gli di che e in un una per con non è si della del le la sono",
    "Dutch": "de het een en van is dat niet met voor op te zijn aan door wordt ook als",
}
_SCRIPTS = {
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "CYRILLIC": "a Cyrillic script",
    "ARABIC": "Arabic script", "HEBREW": "Hebrew", "DEVANAGARI": "Devanagari script", "THAI": "Thai", "GREEK": "Greek",
}  # fmt: skip
MAX_PARAGRAPH = 4_000
"""Characters; what is longer is no text that a person wrote to be read."""
_SAMPLE = 20_000
"""Characters by which a language is told."""


def find_sentences(text: str) -> tuple[str, ...]:
    """Every sentence of the running text and of list items, without markup; headings, tables and code are none."""
    return tuple(sentence for paragraph in list_paragraphs(text) for sentence in split_sentences(paragraph))


def list_paragraphs(text: str) -> Iterator[str]:
    """Paragraphs, list items and quotes, each by itself, markup removed and white space as single spaces; those longer than
    `MAX_PARAGRAPH` are left out."""
    from markdown_it import MarkdownIt

    inside: list[str] = []
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # The time of inline markup grows with the square of a paragraph: blocks first, then only those of a paragraph's size.
    parser.core.ruler.disable("inline")
    for token in parser.parse(text):
        if token.nesting == 1:
            inside.append(token.type)
        elif token.nesting == -1:
            inside.pop()
        elif token.type == "inline" and inside and inside[-1] == "paragraph_open":
            if len(token.content) <= MAX_PARAGRAPH:
                children: list[Token] = []
                parser.inline.parse(token.content, parser, {}, children)
                yield from _clean(_read_inline(children))
        elif token.type == "html_block":
            for block in _read_html(token.content):
                yield from _clean(block)


def _clean(text: str) -> Iterator[str]:
    if found := " ".join(text.split()):
        yield found


def _read_inline(children: Sequence[Token]) -> str:
    """Words as a reader sees them: images and tags are none."""
    return "".join(
        " " if one.type in ("softbreak", "hardbreak") else one.content if one.type in ("text", "code_inline") else ""
        for one in children
    )


class _Blocks(HTMLParser):
    """Text of HTML by block."""

    _SKIPPED = ("script", "style", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "code")
    _INLINE = ("a", "b", "i", "em", "strong", "span", "sub", "sup", "u", "img", "font", "small")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = [""]
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.depth += tag in self._SKIPPED
        if tag not in self._INLINE:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag in self._SKIPPED))
        if tag not in self._INLINE:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.blocks[-1] += data


def _read_html(text: str) -> list[str]:
    reader = _Blocks()
    reader.feed(text)
    reader.close()
    return reader.blocks


def split_sentences(paragraph: str) -> Iterator[str]:
    """Its sentences, each as it stands there; a full stop behind an abbreviation, an initial or a number ends none."""
    start = 0
    for match in _END.finditer(paragraph):
        if _ends_here(paragraph, match):
            yield paragraph[start : match.end()].strip()
            start = match.end()
    if rest := paragraph[start:].strip():
        yield rest


def _ends_here(paragraph: str, match: re.Match[str]) -> bool:
    if match.end() == len(paragraph):
        return True
    following = paragraph[match.end() :].lstrip("\"'“‘«([")[:1]
    if following.islower():
        return False
    if not match.group().startswith(".") or match.group().startswith(".."):
        return True
    # At most so many characters: an abbreviation is short, and the text may be one long word.
    word = paragraph[max(0, match.start() - 16) : match.start()].split(" ")[-1].lstrip("\"'“‘«([").casefold()
    opener = re.match(r"\w+", paragraph[match.end() : match.end() + 16])
    if word in _MAY_END:
        return opener is not None and opener.group() in _OPENERS
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    is_numbered = word == "no" and not following.isdigit()
    return is_numbered or not (word in _ABBREVIATIONS or is_initial)


def find_language(text: str) -> str:
    """The language of a text in words where it is not English; empty where it is, or where too little is written to tell."""
    sample = text[:_SAMPLE]
    letters = [character for character in sample if character.isalpha()]
    scripts = Counter(unicodedata.name(character, "?").split()[0] for character in letters)
    if letters and (foreign := [(count, name) for name, count in scripts.items() if name in _SCRIPTS]):
        count, name = max(foreign)
        if sum(n for n, _ in foreign) > 0.3 * len(letters):
            kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
            return _SCRIPTS["HIRAGANA" if name == "CJK" and kana > 0.1 * count else name]
    words = Counter(re.findall(r"[^\W\d_]+", sample.casefold()))
    found = {language: sum(words[word] for word in stops.split()) for language, stops in _STOP_WORDS.items()}
    best = max(found, key=lambda language: found[language])
    return best if found[best] >= 5 and found[best] > 1.5 * found["English"] else ""
