"""What must not leave in a pack by accident: secrets, what tells of this machine and its people, and quotes of withheld prompts."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.errors import Refused

# Forms as their issuers publish them and as Yelp/detect-secrets 1.5.0 and gitleaks 8 look for them, lengths taken from below.
_SECRETS = {
    "a Hugging Face token": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}",
    "an API key (sk-)": r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "a GitLab token": r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,}",
    "an AWS key id": r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])",
    "a Google API key": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}",
    "a Slack token": r"(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a JSON web token": r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a password in an address": r"[a-z][a-z0-9+.-]{0,30}://[^\s/:@]+:[^\s/:@]+@",
}
_SECRET_FORMS = tuple((kind, re.compile(form)) for kind, form in _SECRETS.items())
_SECRET_VARIABLE = re.compile(r"token|secret|passw|passphrase|credential|(api|access|private)_?key", re.I)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_HOME_FOLDER = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\)[\w.-]+")
_NO_PERSON = {"root", "user", "admin", "administrator", "ubuntu", "debian", "runner", "app", "test", "localhost"}
"""Accounts and hosts that are called so everywhere, and are words."""
_NAME_FIELDS = {"owner", "reviewer", "authors", "actor", "by", "person", "approved_by", "evaluator"}
"""Say who did what; a login name there is meant."""
_OURS = ("README.txt", "schemas/", "environment/", "crosswalk/")
"""Written by the product, word for word, or by the allow-list of the environment."""
_MIN_VARIABLE, _MIN_NAME, _MAX_QUOTED, _MIN_QUOTED, _MOST_NAMED = 8, 3, 5, 3, 5


@dataclass(frozen=True)
class Finding:
    """One place in a pack that should be looked at."""

    place: str
    """Member and field."""
    kind: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}"


def refuse_secrets(files: Mapping[str, bytes]) -> None:
    """Stop a pack that holds what looks like a secret, or the value of a variable of this process that is named like one.

    Raises:
        Refused: names member and field, and of the secret at most its first four characters.
    """
    held = {
        name: value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _MIN_VARIABLE
    }
    found = []
    for place, _, text in _walk(files):
        for kind, form in _SECRET_FORMS:
            if hit := form.search(text):
                found.append(Finding(place, f"{kind}, {hit[0][:4]}… of {len(hit[0])} characters"))
        found += [Finding(place, f"the value of the variable {name}") for name, value in held.items() if value in text]
    if found:
        raise Refused(
            f"What looks like a secret: {_name(found)}.",
            wanted="a pack that holds none.",
            remedy="take it out of where it comes from, and make it void: it may have been copied already.",
        )


def find_personal_data(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """E-mail addresses anywhere; names of this account, host and home folder wherever people write freely."""
    names = _list_machine_names()
    found = []
    for place, field, text in _walk(name_files(files)):
        if _MAIL.search(text):
            found.append(Finding(place, "an e-mail address"))
        if field not in _NAME_FIELDS:
            if _HOME_FOLDER.search(text):
                found.append(Finding(place, "a home folder"))
            found += [Finding(place, kind) for kind, form in names if form.search(text)]
    return tuple(dict.fromkeys(found))


def name_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that hold what people wrote."""
    return {name: data for name, data in files.items() if not name.startswith(_OURS)}


def refuse_personal_data(found: Sequence[Finding]) -> None:
    """Stop a pack whose preparer has not said that these may go.

    Raises:
        Refused: names member and field, and not what stands there.
    """
    if found:
        raise Refused(
            f"What looks like personal data or tells of this machine: {_name(found)}.",
            wanted="a pack without, or your word that it may leave.",
            remedy="word it otherwise, withhold the prompts if it is in them, or acknowledge it: --acknowledge-personal-data.",
        )


def refuse_quotes(files: Mapping[str, bytes], withheld: Iterable[str]) -> None:
    """Stop a pack that says elsewhere what it withholds.

    Args:
        withheld: texts; those of fewer than three words are not looked for, as they stand everywhere.

    Raises:
        Refused: names member and field.
    """
    windows: dict[int, set[tuple[str, ...]]] = {}
    for text in withheld:
        words = _split(text)
        if (size := min(_MAX_QUOTED, len(words))) >= _MIN_QUOTED:
            windows.setdefault(size, set()).update(_slide(words, size))
    found = [
        Finding(place, "words of a withheld prompt")
        for place, _, text in _walk(name_files(files))
        for size, known in windows.items()
        if not known.isdisjoint(_slide(_split(text), size))
    ]
    if found:
        raise Refused(
            f"What is withheld stands elsewhere: {_name(found)}.",
            wanted="claims, plans and reasons that quote no withheld prompt.",
            remedy="register the claim in other words, or pack the prompts in the open.",
        )


def _list_machine_names() -> list[tuple[str, re.Pattern[str]]]:
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = ""
    named = {
        "the name of this account": account,
        "the name of this host": platform.node(),
        "this home folder": str(Path.home()),
    }
    return [
        (kind, re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"))
        for kind, name in named.items()
        if len(name) >= _MIN_NAME and name.casefold() not in _NO_PERSON
    ]


def _walk(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, str]]:
    """Every text: where it stands, the last field's name, and the text."""
    for name, data in files.items():
        if name.endswith(".json"):
            yield from _walk_value(f"{name} ", "", json.loads(data))
        elif name.endswith(".jsonl"):
            for number, line in enumerate(data.splitlines(), 1):
                yield from _walk_value(f"{name} line {number} ", "", json.loads(line))
        else:
            for number, text in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
                yield f"{name} line {number}", "", text


def _walk_value(place: str, field: str, value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str):
        yield place.rstrip(), field, value
    elif isinstance(value, list):
        for inner in value:
            yield from _walk_value(place, field, inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield place.rstrip(), field, key
            yield from _walk_value(f"{place}{'' if place.endswith(' ') else '.'}{key}", key, inner)


def _name(found: Sequence[Finding]) -> str:
    shown = list(dict.fromkeys(map(str, found)))
    more = f"; and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return "; ".join(shown[:_MOST_NAMED]) + more


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _slide(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))
