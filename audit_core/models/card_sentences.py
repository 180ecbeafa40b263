"""Split English text into sentences without changing words; context decides whether a full stop ends a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit_core.models.card_blocks import BREAK, CODE_SPACE


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


_STOP = re.compile(r"(?P<stop>[.!?\u2026]+)(?P<close>[\"'\u201d\u2019\u00bb)\]*_]{0,4})\s+(?=(?P<next>\S+))")
_ENCLOSED = re.compile(
    r"\([^()]{0,300}\)|\[[^\[\]]{0,300}\]|(?<![^\s(\[])\"[^\"]{0,300}\"(?!\w)|\u201c[^\u201c\u201d]{0,300}\u201d|\$(?!\s)[^$]{1,200}(?<!\s)\$(?!\d)"
)
"""Text in parentheses, quotation marks or formulas, where a full stop does not end the sentence around it."""
_WORD = re.compile(r"[^\s(\[\"'\u201c\u2018\u2014/]{1,40}\Z")
_NEVER_LAST = _split(
    "cf e.g i.e eg ie fig figs eq eqs eqn sec secs sect tab ch chap vs approx dr mr mrs ms prof st resp incl ca vol app appx "
    "ref refs def thm lem prop alg pp p v ver viz aka a.k.a al ed eds esp dept gen hon rev sr jr mt ft jan feb mar apr jun jul aug sept oct nov dec"
)
"""Abbreviations after which a sentence continues; a few of them may also end one."""
_MAY_BE_LAST = _split("al etc inc ltd co corp jr sr a.m p.m ph.d m.sc b.sc u.s u.k e.u u.n a.k.a")
_BEFORE_A_NUMBER = _split("no nos nr art para par")
_STARTERS = _split(
    "the this that these those it its we our they their he she you your in on at for from with by to as if when while although though "
    "however moreover furthermore additionally thus therefore hence here there both each all some most many no a an and but or so please "
    "see note using unlike since because after before during over under what why how which who is are was"
)
"""Words that begin a sentence but not a name, used after `et al.` or `U.S.`"""


def split_sentences(block: str) -> Iterator[str]:
    """Return a block's sentences in order; joined by single spaces they give the block again."""
    for part in block.split(BREAK):
        start = 0
        enclosed = {at for span in _ENCLOSED.finditer(part) for at in range(span.start(), span.end() - 1)}
        for stop in _STOP.finditer(part):
            if stop.end("close") - 1 not in enclosed and _ends_sentence(part[start : stop.start()], stop):
                yield part[start : stop.end("close")].replace(CODE_SPACE, " ")
                start = stop.end()
        if start < len(part):
            yield part[start:].replace(CODE_SPACE, " ")


def _ends_sentence(before: str, stop: re.Match[str]) -> bool:
    following = stop["next"].lstrip("\"'\u201c\u2018\u00ab([*_`")
    first = following[:1]
    # A sentence may continue after a quotation ("Why?" it asks) or an ellipsis.
    if first.islower() and (stop["close"] or (stop["stop"] != "." and set(stop["stop"]) <= set(".\u2026"))):
        return False
    if stop["stop"] != ".":
        return True
    found = _WORD.search(before[-48:])
    word = found[0] if found else ""
    bare, is_starter = word.lower(), following.strip(".,;:!?)").lower() in _STARTERS and first.isupper()
    if not word or (word.isdigit() and len(before.split()) == 1):
        # The number of a list item, or a full stop without text before it.
        return bool(stop["close"]) and not first.islower()
    if bare in _BEFORE_A_NUMBER and first.isdigit():
        return False
    is_letters = (len(word) == 1 and word.isalpha() and word != "I") or re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]", word)
    if bare in _MAY_BE_LAST or (is_letters and bare not in _NEVER_LAST):
        return is_starter or (bare == "etc" and first.isupper())
    return bare not in _NEVER_LAST
