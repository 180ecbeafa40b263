"""Detect the language of a text from script and common words, to report text that was not read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

ENGLISH = "English"
_SAMPLE = 2_000
_SCRIPTS = {
    "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "CYRILLIC": "a language in Cyrillic script",
    "ARABIC": "a language in Arabic script", "HEBREW": "Hebrew", "DEVANAGARI": "a language in Devanagari script", "THAI": "Thai", "GREEK": "Greek",
    "BENGALI": "Bengali", "TAMIL": "Tamil", "TELUGU": "Telugu", "GEORGIAN": "Georgian", "ARMENIAN": "Armenian", "ETHIOPIC": "a language in Ethiopic script",
}  # fmt: skip
_COMMON = {
    ENGLISH: "the of and to is that for with this are on by from it as be was an or which its we has have not can model at",
    "German": "der die das und ist nicht mit ein eine für von auf zu den dem des wird sind auch sich dieses als oder bei",
    "French": "le la les des est une et pour dans que qui sur avec pas par ce cette du au aux sont il elle ne ou",
    "Spanish": "el la los las de que y es en una por con para del se un al como este esta más sus son lo no",
    "Portuguese": "o os as de que e é em uma por com para do da dos das um ao como este esta mais seus são não no na",
    "Italian": "il la le gli di che e è in una per con del della dei un al come questo questa più sono non si nel",
    "Dutch": "de het een en van is dat op te met voor niet zijn aan er ook als bij door naar deze wordt om",
    "Polish": "i w na z jest do się nie że to jako dla od oraz przez po ten ta są model który która",
    "Swedish": "och att det som en är av för den med på inte till har de ett om denna från kan",
    "Turkish": "ve bir bu için ile olarak da de olan çok daha gibi model en ne kadar veya göre",
    "Indonesian": "yang dan di untuk dengan ini dari pada adalah ke dalam tidak atau oleh juga sebagai akan model itu",
    "Vietnamese": "và của là có được cho các một trong không này với để những mô hình về khi từ đã",
}  # fmt: skip
_WORDS_OF = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_CODES = {
    "en": ENGLISH, "eng": ENGLISH, "english": ENGLISH, "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian",
    "nl": "Dutch", "pl": "Polish", "sv": "Swedish", "tr": "Turkish", "id": "Indonesian", "vi": "Vietnamese", "zh": "Chinese", "ja": "Japanese",
    "ko": "Korean", "ru": "Russian", "ar": "Arabic", "hi": "Hindi", "he": "Hebrew", "th": "Thai", "el": "Greek", "uk": "Ukrainian",
}  # fmt: skip


def find_language(text: str) -> str | None:
    """Return the name of the language, or None if the text has too few words.

    A script other than Latin decides. In Latin script the language with the most common words found decides, if they occur
    at least twice and one and a half times as often as English ones.
    """
    sample = text[:_SAMPLE]
    scripts = Counter(_name_script(letter) for letter in sample if letter.isalpha())
    latin, others = scripts.pop("LATIN", 0), scripts.total()
    # A Chinese character counts as three or four Latin letters.
    weight = 3 if scripts.keys() & {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"} else 1
    if others * weight > latin:
        named = scripts.keys() & {"HIRAGANA", "KATAKANA"}
        script = min(named) if named else scripts.most_common(1)[0][0]
        return _SCRIPTS.get(script, f"a language in {script.title()} script")
    words = Counter(re.findall(r"[^\W\d_]+", sample.lower()))
    hits = {name: sum(words[word] for word in common) for name, common in _WORDS_OF.items()}
    best = max(hits, key=lambda name: (hits[name], name == ENGLISH))
    if best != ENGLISH and hits[best] >= 2 and hits[best] >= 1.5 * hits[ENGLISH]:
        return best
    return ENGLISH if hits[ENGLISH] else None


def name_code(code: str) -> str:
    """Return a language's name from its code, such as `zh` or `pt-BR`; unknown codes are returned unchanged."""
    return _CODES.get(code.lower().split("-")[0].split("_")[0], code[:40])


def _name_script(letter: str) -> str:
    return unicodedata.name(letter, "?").split(" ", 1)[0].split("-", 1)[0]
