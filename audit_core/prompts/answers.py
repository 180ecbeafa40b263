"""Answers as tokens: what follows a prompt when an answer is written there, and where right answers part from foils."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Tokens = tuple[int, ...]


class PromptForm(StrEnum):
    """How a prompt's text becomes the model's input."""

    PLAIN = ""
    """The beginning-of-sequence token is put before it, where the tokenizer has one and the text does not begin with it."""
    VERBATIM = "verbatim"
    """The text is the whole input, as a rendered chat template is."""


@dataclass(frozen=True)
class TokenLimits:
    """What a model can take from its tokenizer; None where it names no limit."""

    n_tokens: int | None = None
    """Rows of the embedding: a tokenizer may know tokens that the model does not."""
    n_positions: int | None = None
    """Longest input, in tokens."""
    unknown_id: int | None = None
    """Token that stands for text which the tokenizer does not know."""


class Tokenizer(Protocol):
    """What alignment needs to know of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids without any special token but those written in the text."""

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        """The same of many texts at once."""

    def piece(self, token_id: int) -> str:
        """One token as text."""

    @property
    def bos_id(self) -> int | None:
        """Beginning-of-sequence token, or None where the tokenizer has none."""

    @property
    def limits(self) -> TokenLimits:
        """What the model behind it can take."""

    def render_chat(self, message: str, reply: str | None = None) -> str:
        """A user's message in the chat template, up to where the assistant begins; with a reply, up to its end.

        Raises:
            ModelRefused: there is no template, or it cannot be rendered.
        """


@dataclass(frozen=True)
class Contrast:
    """Right answers against foils, as tokens that follow a prompt."""

    shared: Tokens
    """With which every answer and foil begins; () where they differ at once."""
    answers: tuple[Tokens, ...]
    """What follows `shared`, each once; none begins with another."""
    foils: tuple[Tokens, ...]

    @property
    def answer_ids(self) -> Tokens:
        """First tokens that only right answers have; () where one position cannot tell the two apart."""
        return _first_tokens(self.answers, without=self.foils)

    @property
    def foil_ids(self) -> Tokens:
        """First tokens that only foils have."""
        return _first_tokens(self.foils, without=self.answers)


def _first_tokens(sequences: Sequence[Tokens], *, without: Sequence[Tokens]) -> Tokens:
    other = {sequence[0] for sequence in without}
    return tuple(dict.fromkeys(sequence[0] for sequence in sequences if sequence[0] not in other))


class AnswerFault(Exception):
    """An answer cannot be scored after its prompt; its text says why and what to do."""


def contrast_answers(answers: Sequence[Tokens], foils: Sequence[Tokens]) -> Contrast:
    """Cut off what all share, and what is said twice.

    Raises:
        AnswerFault: a right answer is a foil too, or one begins with the other: nothing tells them apart.
    """
    right, wrong = _drop_longer(answers), _drop_longer(foils)
    if set(right) & set(wrong):
        raise AnswerFault("answer and foil are the same token; choose a foil that is wrong for the clean prompt")
    if _list_starts(right) & set(wrong) or _list_starts(wrong) & set(right):
        raise AnswerFault(
            "an answer begins with a foil, or a foil with an answer; choose ones that part from each other"
        )
    everything = (*right, *wrong)
    n = 0
    while len({sequence[: n + 1] for sequence in everything}) == 1:
        n += 1
    return Contrast(everything[0][:n], tuple(s[n:] for s in right), tuple(s[n:] for s in wrong))


def _drop_longer(sequences: Iterable[Tokens]) -> tuple[Tokens, ...]:
    """Each once, without those that begin with another: whatever continues an answer is that answer."""
    kept = dict.fromkeys(sequences)
    return tuple(s for s in kept if not any(s[:n] in kept for n in range(1, len(s))))


def _list_starts(sequences: Iterable[Tokens]) -> set[Tokens]:
    """Everything that one of them begins with, and is not whole."""
    return {s[:n] for s in sequences for n in range(1, len(s))}


def tokenise_answers(
    texts: Sequence[str], prompt: str, prompt_ids: Sequence[int], tokenizer: Tokenizer
) -> list[Tokens | AnswerFault]:
    """The tokens that follow a prompt when each of these texts is written after it, or why they cannot be scored there.

    Not the tokens of a text by itself: tokenizers that put a space before every text give another token there.

    Args:
        prompt_ids: of the prompt, without a beginning-of-sequence token.
    """
    found: list[Tokens | AnswerFault] = []
    for text, whole in zip(texts, tokenizer.encode_each([prompt + text for text in texts]), strict=True):
        try:
            found.append(_cut_answer(text, whole, prompt, list(prompt_ids), tokenizer))
        except AnswerFault as fault:
            found.append(fault)
    return found


def _cut_answer(text: str, whole: list[int], prompt: str, prompt_ids: list[int], tokenizer: Tokenizer) -> Tokens:
    """What of the whole follows the prompt; raises `AnswerFault`."""
    follows = tuple(whole[len(prompt_ids) :])
    _check_spaces(text, prompt, len(follows), tokenizer)
    if whole[: len(prompt_ids)] != prompt_ids or not follows:
        if prompt[-1:].isspace():
            raise AnswerFault(
                "is one token with the white space that the prompt ends in; move the space into answer and foil"
            )
        end = " | ".join(map(repr, map(tokenizer.piece, whole[-3:])))
        raise AnswerFault(
            f"is no token of its own after {prompt[-12:]!r}: together they end in {end}; end the prompt elsewhere, or begin "
            "the answer with a space"
        )
    if tokenizer.limits.unknown_id in follows:
        raise AnswerFault("holds text that this tokenizer does not know; use words that it knows")
    return follows


def _check_spaces(text: str, prompt: str, n_tokens: int, tokenizer: Tokenizer) -> None:
    # " Mary" and "Mary" are two tokens: with the wrong one the model is scored on a word that it would not write.
    if prompt[-1:].isspace() and text[:1] == " " and not text[1:2].isspace():
        raise AnswerFault(
            f"begins with a space and the prompt ends in white space; write {text[1:41]!r}, or end the prompt before it"
        )
    if prompt[-1:].isalpha() and text[:1].isalpha():
        spaced = len(tokenizer.encode(f"{prompt} {text}")) - len(tokenizer.encode(prompt))
        if spaced == 1 or spaced < n_tokens:
            raise AnswerFault(f"would continue the word {prompt.split()[-1][:20]!r}; write {' ' + text[:39]!r}")
