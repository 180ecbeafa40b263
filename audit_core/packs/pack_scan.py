"""Scan a pack before export: secrets, personal data, names of this machine, and quotes of withheld prompts."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from audit_core.errors import Refused

# Formats as published by their issuers and as in Yelp/detect-secrets 1.5.0 and gitleaks 8, with minimum lengths.
_SECRETS = {
    "a Hugging Face token": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}",
    "an API key (sk-)": r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "a GitLab token": r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,}",
    "an AWS key id": r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])",
    "a Google API key": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}",
    "a Slack token": r"(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,}",
    "an Assay API token": r"(?<![A-Za-z0-9])assay_[0-9a-f]{12}_[A-Za-z0-9_-]{43}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a JSON web token": r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a password in an address": r"[a-z][a-z0-9+.-]{0,30}://[^\s/:@]+:[^\s/:@]+@",
}
_SECRET_FORMS = tuple((kind, re.compile(form)) for kind, form in _SECRETS.items())
_SECRET_VARIABLE = re.compile(r"token|secret|passw|passphrase|credential|(api|access|private)_?key", re.I)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_HOME_FOLDER = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\)[\w.-]+")
_NO_PERSON = {"root", "user", "admin", "administrator", "ubuntu", "debian", "runner", "app", "test", "localhost"}
"""Generic names of accounts and hosts."""
_NAME_FIELDS = {"owner", "reviewer", "authors", "actor", "by", "person", "approved_by", "evaluator"}
"""Fields that name a person on purpose; a login name is expected there."""
_OURS = ("README.txt", "schemas/", "environment/", "crosswalk/")
"""Members written by Assay verbatim, or from the environment's allow-list."""
_MIN_VARIABLE, _MIN_NAME, _MAX_QUOTED, _MIN_QUOTED, _MOST_NAMED = 8, 3, 5, 3, 5


@dataclass(frozen=True)
class Finding:
    """One place in a pack to check before export."""

    place: str
    """Member and field."""
    kind: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}"


def refuse_secrets(files: Mapping[str, bytes]) -> None:
    """Refuse a pack with an apparent secret, or with the value of an environment variable named like one.

    Raises:
        Refused: names member and field, and at most the first four characters of the secret.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _MIN_VARIABLE
    }

    @cache
    def list_kinds(text: str) -> list[str]:
        hits = [(kind, hit[0]) for kind, form in _SECRET_FORMS if (hit := form.search(text))]
        return [f"{kind}, {shown[:4]}… of {len(shown)} characters" for kind, shown in hits] + [
            f"the value of the variable {name}" for name, value in variables.items() if value in text
        ]

    found = [Finding(place, kind) for place, _, text in _walk(files) for kind in list_kinds(text)]
    if found:
        raise Refused(
            f"The pack contains an apparent secret: {_name(found)}.",
            wanted="a pack without secrets.",
            remedy="remove it at its source, and revoke it: it may already have been copied.",
        )


def find_personal_data(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Find e-mail addresses anywhere, and names of this account, host and home folder in free text."""
    names = _list_machine_names()

    @cache
    def list_kinds(text: str, is_name: bool) -> list[str]:
        hits = ["an e-mail address"] if _MAIL.search(text) else []
        if not is_name:
            hits += ["a home folder"] if _HOME_FOLDER.search(text) else []
            hits += [kind for kind, form in names if form.search(text)]
        return hits

    texts = _walk(name_files(files))
    found = [Finding(place, kind) for place, field, text in texts for kind in list_kinds(text, field in _NAME_FIELDS)]
    return tuple(dict.fromkeys(found))


def name_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Members with text that people wrote."""
    return {name: data for name, data in files.items() if not name.startswith(_OURS)}


def refuse_personal_data(found: Sequence[Finding]) -> None:
    """Refuse a pack with personal data that its preparer has not acknowledged.

    Raises:
        Refused: names member and field, but not the content.
    """
    if found:
        raise Refused(
            f"The pack contains apparent personal data or names of this machine: {_name(found)}.",
            wanted="a pack without them, or your acknowledgement.",
            remedy="reword it, withhold the prompts if it is in them, or acknowledge it: --acknowledge-personal-data.",
        )


def refuse_quotes(files: Mapping[str, bytes], withheld: Iterable[str]) -> None:
    """Refuse a pack that quotes a withheld prompt elsewhere.

    Args:
        withheld: texts; those of fewer than three words are ignored as too common.

    Raises:
        Refused: names member and field.
    """
    windows: dict[int, set[tuple[str, ...]]] = {}
    for text in withheld:
        words = _split(text)
        if (size := min(_MAX_QUOTED, len(words))) >= _MIN_QUOTED:
            windows.setdefault(size, set()).update(_slide(words, size))
    if not windows:
        return
    found = [
        Finding(place, "words of a withheld prompt")
        for place, _, text in _walk(name_files(files))
        for size, known in windows.items()
        if not known.isdisjoint(_slide(_split(text), size))
    ]
    if found:
        raise Refused(
            f"The pack quotes a withheld prompt: {_name(found)}.",
            wanted="claims, plans and reasons without quotes of withheld prompts.",
            remedy="register the claim in other words, or export the pack without withholding.",
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


def _walk(files: Mapping[str, bytes]) -> list[tuple[str, str, str]]:
    """Every text, as its place, its field's name, and the text."""
    texts: list[tuple[str, str, str]] = []
    for name, data in files.items():
        if name.endswith(".json"):
            _walk_value(f"{name} ", "", json.loads(data), texts)
        elif name.endswith(".jsonl"):
            for number, line in enumerate(data.splitlines(), 1):
                _walk_value(f"{name} line {number} ", "", json.loads(line), texts)
        else:
            for number, text in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
                texts.append((f"{name} line {number}", "", text))
    return texts


def _walk_value(place: str, field: str, value: Any, texts: list[tuple[str, str, str]]) -> None:
    if isinstance(value, str):
        texts.append((place.rstrip(), field, value))
    elif isinstance(value, list):
        for inner in value:
            _walk_value(place, field, inner, texts)
    elif isinstance(value, dict):
        start, here = place if place.endswith(" ") else f"{place}.", place.rstrip()
        for key, inner in value.items():
            texts.append((here, field, key))
            _walk_value(f"{start}{key}", key, inner, texts)


def _name(found: Sequence[Finding]) -> str:
    shown = list(dict.fromkeys(map(str, found)))
    more = f"; and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return "; ".join(shown[:_MOST_NAMED]) + more


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _slide(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))
