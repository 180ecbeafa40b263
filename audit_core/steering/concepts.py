"""Concepts from a TOML file: how a continuation is checked for one, and the texts that directions and prompts are made of."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audit_core.errors import Refused
from audit_core.prompts.answers import Contrast, Tokenizer, Tokens
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair

MAX_BYTES, MAX_CONCEPTS, MAX_TEXTS, MAX_WORDS, MAX_CHARACTERS, MAX_TOKENS = 1 << 20, 6, 100, 200, 400, 64
LEAST_PROMPTS, LEAST_TEXTS = 2, 2
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+")
_LISTS, _STRINGS = ("words", "with", "without"), ("title", "rule", "instruction")


@dataclass(frozen=True)
class Concept:
    """One concept."""

    key: str
    title: str
    rule: str
    """How a continuation is checked, in words."""
    words: tuple[str, ...]
    """In lower case."""
    at_least: int
    """Different words of the list that a continuation needs."""
    instruction: str
    """Put before a prompt, as one way of prompting."""
    texts: tuple[str, ...]
    """Texts that hold it."""
    others: tuple[str, ...]
    """Texts that do not, alike otherwise."""

    def is_in(self, text: str) -> bool:
        """Whether a text holds enough different words of the list.

        Example:
            >>> number = Concept("n", "n", "", ("two", "three"), 1, "", (), ())
            >>> number.is_in("There were Two."), number.is_in("twofold")
            (True, False)
        """
        return len(set(_WORD.findall(text.lower())) & set(self.words)) >= self.at_least

    def list_tokens(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """Ids of the words that are one token after a space, small or capitalised."""
        found = set()
        for word in self.words:
            for form in (word, word.capitalize()):
                ids = tokenizer.encode(f" {form}")
                # A token with another text is the one for unknown words.
                if len(ids) == 1 and tokenizer.piece(ids[0]).strip() == form:
                    found.add(ids[0])
        return tuple(sorted(found))

    def to_json(self) -> dict[str, Any]:
        """The check and the instruction, and a digest of all."""
        found = asdict(self)
        texts = "\0".join(("\0".join(self.texts), "\0", "\0".join(self.others)))
        digest = hashlib.sha256(texts.encode()).hexdigest()
        return {name: value for name, value in found.items() if name not in ("texts", "others")} | {
            "words": list(self.words), "texts_sha256": digest,
        }  # fmt: skip


@dataclass(frozen=True)
class SteeringTask:
    """The concepts of a file, and the texts that concern none of them."""

    name: str
    sha256: str
    """Of the file."""
    concepts: tuple[Concept, ...]
    others: tuple[str, ...]
    """Texts that concern no concept, for the off-target cost."""

    def to_json(self) -> dict[str, Any]:
        digest = hashlib.sha256("\0".join(self.others).encode()).hexdigest()
        return {
            "name": self.name, "sha256": self.sha256, "others_sha256": digest,
            "concepts": [concept.to_json() for concept in self.concepts],
        }  # fmt: skip


def read_concepts(
    raw: bytes, name: str, *, only: Sequence[str], others: Sequence[str]
) -> tuple[SteeringTask, tuple[str, ...]]:
    """Concepts of a TOML file, and the beginnings of texts that are continued.

    Args:
        only: keys of the concepts to measure; empty: all.
        others: texts that concern no concept, used where the file has no list `others`.

    Raises:
        Refused: too large, no TOML, a missing or unknown name, or too few or too long texts.
    """
    try:
        if len(raw) > MAX_BYTES:
            raise ValueError
        found = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"{name[:60]!a} is no TOML file of at most {MAX_BYTES:,} bytes.", wanted="concepts as in the shipped file.",
            remedy="start from the shipped file, data/steering/concepts.toml.",
        ) from error  # fmt: skip
    _check_names(found, {"prompts", "others", "concepts"}, "the file")
    tables = found.get("concepts")
    if not isinstance(tables, dict) or not tables:
        raise _malformed("no concept", "a table [concepts.NAME] for each")
    if missing := [one for one in only if one not in tables]:
        raise Refused(
            f"No concept {missing[0][:60]!a}.", wanted=", ".join(tables)[:200] + ".", remedy="name one of them."
        )
    chosen = only or tuple(tables)
    if len(chosen) > MAX_CONCEPTS:
        raise Refused(f"{len(chosen)} concepts.", wanted=f"at most {MAX_CONCEPTS}.", remedy="name fewer.")
    prompts = _read_texts(found, "prompts", LEAST_PROMPTS)
    apart = _read_texts(found, "others", 1) if "others" in found else tuple(others)
    concepts = tuple(_read_concept(key, tables[key]) for key in dict.fromkeys(chosen))
    return SteeringTask(name[:80], hashlib.sha256(raw).hexdigest(), concepts, apart), prompts


def _read_concept(key: str, table: Any) -> Concept:
    if not isinstance(table, dict) or not key.isidentifier() or len(key) > 40:
        raise _malformed(f"a concept {key[:60]!a}", "a table with a name of at most 40 letters")
    _check_names(table, {*_LISTS, *_STRINGS, "at_least"}, key)
    words = _read_texts(table, "words", 1, most=MAX_WORDS)
    at_least = table.get("at_least", 1)
    if type(at_least) is not int or not 1 <= at_least <= len(words):
        raise _malformed(f"at_least = {at_least!a} of {key}", "a whole number from 1 to the number of words")
    strings = {name: table.get(name, "") for name in _STRINGS}
    if any(
        not isinstance(value, str) or not value.strip() or len(value) > MAX_CHARACTERS for value in strings.values()
    ):
        raise _malformed(
            f"no {', '.join(_STRINGS)} of {key}", f"a text of at most {MAX_CHARACTERS} characters for each"
        )
    if wrong := [word for word in words if _WORD.fullmatch(word) is None]:
        raise _malformed(f"{wrong[0][:40]!a} among the words of {key}", "single words")
    return Concept(
        key, strings["title"], strings["rule"], tuple(dict.fromkeys(word.lower() for word in words)), at_least,
        strings["instruction"], _read_texts(table, "with", LEAST_TEXTS), _read_texts(table, "without", LEAST_TEXTS),
    )  # fmt: skip


def _read_texts(table: Mapping[str, Any], name: str, least: int, *, most: int = MAX_TEXTS) -> tuple[str, ...]:
    texts = table.get(name)
    is_list = isinstance(texts, list) and least <= len(texts) <= most
    if not is_list or any(not isinstance(t, str) or not t.strip() or len(t) > MAX_CHARACTERS for t in texts or ()):
        raise _malformed(
            f"no list {name!a} that can be used", f"{least} to {most} texts of at most {MAX_CHARACTERS} characters"
        )
    return tuple(dict.fromkeys(texts or ()))


def _check_names(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(table) - known):
        raise _malformed(f"{unknown[0][:40]!a} in {where[:40]}", ", ".join(sorted(known)))


def _malformed(found: str, wanted: str) -> Refused:
    return Refused(f"{found}.", wanted=f"{wanted}.", remedy="see the shipped file, data/steering/concepts.toml.")


def encode_text(tokenizer: Tokenizer, text: str) -> Tokens:
    """A text after the beginning-of-sequence token, if there is one."""
    return (*(() if tokenizer.bos_id is None else (tokenizer.bos_id,)), *tokenizer.encode(text))


def ask_prompts(name: str, texts: Sequence[str], tokenizer: Tokenizer) -> TokenisedPrompts:
    """Beginnings of texts as prompts. Each has the next one as its other run, which is not read.

    Raises:
        Refused: one is too short or too long.
    """
    ids = [encode_text(tokenizer, text) for text in texts]
    for text, own in zip(texts, ids, strict=True):
        if not 2 <= len(own) <= MAX_TOKENS:
            raise Refused(
                f"A prompt of {len(own)} tokens: {text[:60]!a}.",
                wanted=f"2 to {MAX_TOKENS} tokens.",
                remedy="change it.",
            )
    pairs = []
    for at, (text, own) in enumerate(zip(texts, ids, strict=True)):
        prompt = Prompt(f"prompt-{at + 1:03d}", text, texts[at - 1], "", "", f"prompt {at + 1}")
        pairs.append(TokenPair(prompt, own, ids[at - 1], Contrast((), (), ()), (), (), True))
    digest = PromptSet(name[:80], tuple(pair.prompt for pair in pairs)).sha256
    return TokenisedPrompts(name[:80], tuple(pairs), digest)
