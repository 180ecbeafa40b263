"""Text that others wrote, with everything a reader could not see made visible."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_BLANK = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)  # fmt: skip
"""Drawn as nothing though Unicode calls them letters, marks or symbols."""
_LOOKALIKES = frozenset("аВЕеКМНОоРрСсТуХхАЅѕІіЈјһԁӏԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧον")
"""Cyrillic and Greek letters that pass for Latin ones."""
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z\u00C0-\u024F]")
_MOST_MARKS = 3
"""Marks on one letter; more of them reach into the lines around."""


def make_visible(text: str) -> str:
    """The text with control, direction, zero-width and blank characters, and Latin look-alikes, shown as `⟨U+202E⟩`.

    Look-alikes keep their letter and get the code point beside it; only words that mix them with Latin letters are marked.
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
    # A mark ends its word: what is marked already stands last, with its code point behind it.
    named = name_code_point(word[-1])
    return shown.removesuffix(named) if found.string.startswith(named, found.end()) else shown
