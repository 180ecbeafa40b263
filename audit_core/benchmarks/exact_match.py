"""Exact match of written answers, after a normalisation that each rule fixes."""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from decimal import Decimal, InvalidOperation

from audit_core.benchmarks.item import MatchRule

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def is_match(written: str, references: Collection[str], rule: MatchRule) -> bool:
    """Whether a written answer equals one of the references.

    Example:
        >>> is_match(" $1,080 a year", ["1080"], MatchRule.NUMBER)
        True
    """
    found = normalise(written, rule)
    return bool(found) and found in {normalise(text, rule) for text in references}


def normalise(text: str, rule: MatchRule) -> str:
    """The text as compared; empty if it holds nothing to compare."""
    if rule is MatchRule.NUMBER:
        return _read_number(text)
    if rule is MatchRule.FORMULA:
        inner = find_boxed(text) or text
        return re.sub(r"[\s$]|\\[,;!]", "", inner).rstrip(".").replace("dfrac", "frac").replace("tfrac", "frac")
    if _NUMBER.fullmatch(text.strip()):
        return _read_number(text)
    plain = text.casefold().translate(str.maketrans("", "", string.punctuation))
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _read_number(text: str) -> str:
    found = _NUMBER.search(text)
    if found is None:
        return ""
    try:
        number = Decimal(found[0].replace(",", ""))
    except InvalidOperation:
        return ""
    return f"{number.normalize():f}"


def find_boxed(text: str) -> str:
    r"""Content of the last `\boxed{}`; empty without one."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return ""
    depth, begin = 0, start + len("\\boxed{")
    for at in range(begin - 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[begin:at]
    return ""
