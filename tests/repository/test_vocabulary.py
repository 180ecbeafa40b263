"""One word for one thing, and that the field's: words that were ours alone are in no identifier, text, comment or page."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.source import find_nodes, read

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    ROOT / "app.py",
    *(path for folder in ("audit_core", "ui", "pages") for path in sorted((ROOT / folder).rglob("*.py"))),
]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "data").rglob("README.md")),
    *sorted((ROOT / "audit_core").rglob("*.j2")),
]
FEWEST = {"code": 450, "pages": 50, "tests": 2000}
BANNED = {
    r"told": "reported, logged, passed",
    r"tell(s|ing)? (of|it|them|whoever)": "report, log",
    r"held(?![- ]out)": "stored, compared, active",
    r"deeds?": "action, permission",
    r"stand(s|ing)?(?![- ](alone|ard))": "is, has, is active",
    r"nobody": "no one, no person; say who may",
    r"whoever": "the person who",
    r"somebody|someone": "a person, a user",
    r"anybody|anyone": "any person, any user",
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix",
    r"lone": "single",
    r"strangers?": "third party, verifier",
    r"askers?": "actor, user",
    r"slopes?": "gradient",
    r"dossiers?": "claim history",
    r"rulings?": "review decision",
    r"(exploratory|confirmatory|other|same|which|its) half|halves": "split",
    r"by heart|by itself alone|to hand": "plain words",
    r"let(s|ting)? go of": "release",
    r"vouch(es|ed)?( for)?": "attest, detect",
}
"""Pattern, as whole words of any case → what to write."""
PROSE = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in BANNED), re.IGNORECASE)
IN_NAMES = re.compile(
    r"(?:^|_)(told|deeds?|nobody|whoever|somebody|anew|mend|lone|strangers?|askers?|slopes?|dossiers?|rulings?|burnt)(?:_|$)"
)
STORED = re.compile(
    r"half\.opened|every prompt of the confirmatory half|held_checkpoint|confirmed_held|not_held|\bheld_for\b|--held-by|--half"
    r'|"(?:deed|held|stands)"'
)
"""Values, keys and options that stores, packs and scripts already contain: they stay as they are."""


def strip_stored(text: str) -> str:
    return STORED.sub("", re.sub(r"`[^`\n]*`", "", text))


def list_texts(source: str) -> Iterator[tuple[int, str]]:
    """Strings and comments, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token.start[0], token.string


def list_names(path: Path) -> Iterator[tuple[int, str]]:
    """Names that the code gives: classes, functions, arguments, variables, attributes."""
    named = [(node.lineno, node.arg) for node in find_nodes(path, ast.arg)]
    for kind in (ast.ClassDef, ast.FunctionDef):
        named += [(node.lineno, node.name) for node in find_nodes(path, kind)]
    for line, given in named:
        yield line, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", given).lower()
    for node in find_nodes(path, ast.Name):
        if isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id.lower()


def find_banned(path: Path) -> list[str]:
    text = read(path)
    if path.suffix != ".py":
        return [
            f"{at}: {found[0]}"
            for at, line in enumerate(text.splitlines(), 1)
            for found in PROSE.finditer(strip_stored(line))
        ]
    # To cut a file into tokens takes long; most files have none of the words in any place.
    texts = list_texts(text) if PROSE.search(text) else ()
    prose = [f"{at}: {found[0]}" for at, part in texts for found in PROSE.finditer(strip_stored(part))]
    names = [f"{at}: {name}" for at, name in list_names(path) if IN_NAMES.search(name)]
    return prose + names


def list_tests(source: str) -> list[str]:
    return re.findall(r"^def (test_\w+)", source, re.MULTILINE)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_file_uses_the_words_of_the_field() -> None:
    assert [f"{name(path)}:{found}" for path in [*CODE, *PAGES] for found in find_banned(path)] == []


def test_every_test_is_named_in_the_words_of_the_field() -> None:
    names = [found for path in (ROOT / "tests").rglob("test_*.py") for found in list_tests(path.read_text("utf-8"))]
    assert len(names) > FEWEST["tests"]
    assert [found for found in names if PROSE.search(found.replace("_", " "))] == []


def test_the_rule_reads_every_file() -> None:
    assert len(CODE) >= FEWEST["code"] - 50
    assert len(PAGES) >= FEWEST["pages"]


@pytest.mark.parametrize(
    "text",
    [
        "the log is told of it", "whoever asks", "a claim that stands", "held against a policy", "mend the row", "the confirmatory half",
        "measured anew", "a lone head", "slopes of the metric", "to a stranger", "nobody can read it",
    ],
)  # fmt: skip
def test_a_word_of_our_own_is_found(text: str) -> None:
    assert PROSE.search(strip_stored(text))


@pytest.mark.parametrize(
    "text",
    ["held-out prompts", "standard error", "`half.opened`", "a half of the gap", "the claim holds", "understand"],
)
def test_a_word_of_the_field_passes(text: str) -> None:
    assert PROSE.search(strip_stored(text)) is None


if __name__ == "__main__":
    import sys

    for path in [*CODE, *PAGES]:
        if len(sys.argv) < 2 or name(path).startswith(tuple(sys.argv[1:])):
            for found in find_banned(path):
                sys.stdout.write(f"{name(path)}:{found}\n")
