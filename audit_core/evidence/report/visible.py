"""Make hidden characters in external text visible."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_BLANK = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)  # fmt: skip
"""Invisible characters that Unicode classifies as letters, marks or symbols."""
_LOOKALIKES = frozenset("аВЕеКМНОоРрСсТуХхАЅѕІіЈјһԁӏԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧον")
"""Cyrillic and Greek letters that look like Latin ones."""
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z\u00C0-\u024F]")
_MOST_MARKS = 3
"""Combining marks per letter; more would overlap adjacent lines."""


def make_visible(text: str) -> str:
    """Show control, direction, zero-width and blank characters, and Latin look-alikes, as `⟨U+202E⟩`.

    Look-alikes keep their letter, followed by the code point; only words that mix them with Latin letters are marked.
    """
    text = _WORD.sub(_mark_lookalikes, unicodedata.normalize("NFC", text))
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        shown.append(name_code_point(character) if _is_hidden(character) or marks > _MOST_MARKS else character)
    return "".join(shown)


def name_code_point(character: str) -> str:
    """`⟨U+202E⟩`."""
    return f"⟨U+{ord(character):04X}⟩"


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _HIDDEN or ord(character) in _BLANK or (category == "Zs" and character != " ")


def _mark_lookalikes(found: re.Match[str]) -> str:
    word = found.group()
    if not _LATIN.search(word):
        return word
    shown = "".join(letter + name_code_point(letter) if letter in _LOOKALIKES else letter for letter in word)
    # A code point ends the word, so a letter that is already marked is the last one.
    named = name_code_point(word[-1])
    return shown.removesuffix(named) if found.string.startswith(named, found.end()) else shown
