"""Overclaiming phrases that a governance tool must avoid, with reasons and replacements; a test checks all texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SYSTEM = r"(?:model|system|circuit|subject|assistant|network|it)"


@dataclass(frozen=True)
class Phrase:
    """An overclaiming phrase."""

    pattern: str
    because: str
    instead: str
    allowed: tuple[str, ...] = ()
    """Patterns of contexts in which the phrase is allowed; a match that one of them covers is no overclaim."""


@dataclass(frozen=True)
class Overclaim:
    """A match of a phrase in a text."""

    found: str
    excerpt: str
    instead: str


_AUTHORITIES = "only providers, notified bodies and authorities can say it"
_ABSENT = "these tests cannot measure absence"
_SCOPE = "a finding holds for a model, prompts and an intervention"
NEVER = (
    Phrase(r"\b(?:non-?)?complian(?:t|ce)\b", _AUTHORITIES, "evidence item supports …; legal assessment not performed"),
    Phrase(r"\bcertif(?:ied|ies|y|ication)\b", _AUTHORITIES, "evidence item supports …; legal assessment not performed"),
    Phrase(r"\b(?:conforms?|complies|comply|adheres?) (?:to|with)\b", _AUTHORITIES, "evidence item supports …; legal assessment not performed"),
    Phrase(r"\bsatisf(?:y|ies|ied) (?:article|art\.|annex|the (?:eu )?ai act|clause)", _AUTHORITIES, "supports, partially supports, context for"),
    Phrase(r"\bapproved\b", _AUTHORITIES, "name who decided what", (r"approved_by", r"\bnot approved\b", r"\bwho approved\b", r"\bapproved with conditions\b")),
    Phrase(rf"\b{_SYSTEM} (?:is|are|was) (?:now )?(?:safe|aligned|fair|harmless|trustworthy)\b", _ABSENT, "no effect ≥ δ detected at n = …"),
    Phrase(r"\b(?:unbiased|bias-free|no deception|free of deception|not deceptive)\b", _ABSENT, "no effect ≥ δ detected at n = …"),
    Phrase(r"\bprov(?:es|en|ed)\b", _SCOPE, "mediates x % of effect E on D under I"),
    Phrase(r"\bthe cause of\b", _SCOPE, "mediates x % of effect E on D under I"),
    Phrase(rf"\bexplains the {_SYSTEM}\b", _SCOPE, "mediates x % of effect E on D under I"),
    Phrase(rf"\bthe {_SYSTEM} (?:truly |really )?(?:understands|believes|wants)\b", _SCOPE, "mediates x % of effect E on D under I"),
    Phrase(r"\btamper-?proof\b|\bunforgeable\b|\bcannot be (?:changed|altered|forged)\b", "detection only", "tamper-evident up to checkpoint k, stored by …"),
    Phrase(r"\bimmutab(?:le|ly|ility)\b", "detection only", "tamper-evident up to checkpoint k, stored by …"),
    Phrase(r"\bfixed before testing\b", "a record shows existence no later than T", "digest existed no later than T"),
    Phrase(r"\bverified\b", "which of five checks?", "name the check", (r"integrity[_ ]verified", r"signer verified", r"log[._]verified", r"\bnot verified\b", r"`verified`", r'"verified"', r"\*verified\*", r"unverified", r"verified/verifytoken")),
    Phrase(r"\b(?:fully )?reproducib(?:le|ly)\b", "at which level?", "within tolerance on environment class …"),
    Phrase(r"\baudited by\b", "needs real independence", "reviewed by X (role …, relation …)"),
    Phrase(r"\bindependent(?:ly)? (?:audit|auditor|review|reviewed|reviewer|assess\w*|verif\w*|validat\w*|party)\b", "needs real independence", "reviewed by X (role …, relation …)"),
    Phrase(r"\bguarantee\w*", "no test gives one", "state the interval"),
    Phrase(r"(?<![\d.])100 ?% (?:safe|sure|certain|secure|accurate|reliable|coverage)\b", "no test gives it", "state the interval"),
    Phrase(r"\brisk-?free\b", "no test gives it", "state the interval"),
    Phrase(r"\bindustry[- ]standard\b", "thresholds are judgements", "name the source of the threshold"),
    Phrase(r"[✅✔☑]", "a tick answers five questions at once", "name the check and its result"),
)  # fmt: skip


def find_overclaims(text: str) -> list[Overclaim]:
    """Return every overclaiming phrase in a text that no allowed context covers."""
    plain = text.lower()
    found = []
    for phrase in NEVER:
        covered = [hit.span() for context in phrase.allowed for hit in re.finditer(context, plain)]
        for hit in re.finditer(phrase.pattern, plain):
            if not any(start <= hit.start() and hit.end() <= end for start, end in covered):
                around = plain[max(0, hit.start() - 40) : hit.end() + 40].replace("\n", " ")
                found.append(Overclaim(hit.group(), around, phrase.instead))
    return found


def drop_quoted(page: str) -> str:
    """Remove quoted text (`<bdi>`) from an HTML report: users' claims may contain such phrases."""
    return re.sub(r"<bdi>.*?</bdi>", " ", page, flags=re.S)
