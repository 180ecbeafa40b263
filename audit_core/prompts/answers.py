"""Answers as tokens: the tokens that follow a prompt, and the first position where correct answers and foils differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Tokens = tuple[int, ...]


class PromptForm(StrEnum):
    """How the model's input is formed from a prompt's text."""

    PLAIN = ""
    """The beginning-of-sequence token is prepended, if the tokenizer has one and the text does not begin with it."""
    VERBATIM = "verbatim"
    """The text is the complete input, for example a rendered chat template."""


@dataclass(frozen=True)
class TokenLimits:
    """Limits of a model's input; None if it states no limit."""

    n_tokens: int | None = None
    """Rows of the embedding: a tokenizer may have tokens that the model lacks."""
    n_positions: int | None = None
    """Longest input, in tokens."""
    unknown_id: int | None = None
    """Token for text that the tokenizer cannot encode."""


class Tokenizer(Protocol):
    """Interface of a tokenizer for alignment."""

    def encode(self, text: str) -> list[int]:
        """Return token ids without special tokens, except those written in the text."""

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids of many texts at once."""

    def piece(self, token_id: int) -> str:
        """Return one token as text."""

    @property
    def bos_id(self) -> int | None:
        """Beginning-of-sequence token, or None if the tokenizer has none."""

    @property
    def limits(self) -> TokenLimits:
        """Limits of the model's input."""

    def render_chat(self, message: str, reply: str | None = None) -> str:
        """Render a user's message in the chat template, up to the assistant's turn; with a reply, up to its end.

        Raises:
            ModelRefused: there is no template, or it cannot be rendered.
        """


@dataclass(frozen=True)
class Contrast:
    """Correct answers and foils as tokens that follow a prompt."""

    shared: Tokens
    """Common first tokens of all answers and foils; () if they differ at once."""
    answers: tuple[Tokens, ...]
    """Continuations after `shared`, without repeats; none is a prefix of another."""
    foils: tuple[Tokens, ...]

    @property
    def answer_ids(self) -> Tokens:
        """First tokens that only correct answers have; () if one position cannot separate answers and foils."""
        return _first_tokens(self.answers, without=self.foils)

    @property
    def foil_ids(self) -> Tokens:
        """First tokens that only foils have; () likewise."""
        return _first_tokens(self.foils, without=self.answers)


def _first_tokens(sequences: Sequence[Tokens], *, without: Sequence[Tokens]) -> Tokens:
    other = {sequence[0] for sequence in without}
    return tuple(dict.fromkeys(sequence[0] for sequence in sequences if sequence[0] not in other))


class AnswerFault(Exception):
    """An answer cannot be scored after its prompt."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found = found
        self.remedy = remedy


def contrast_answers(answers: Sequence[Tokens], foils: Sequence[Tokens]) -> Contrast:
    """Split off the common prefix, and remove repeats.

    Raises:
        AnswerFault: a correct answer equals a foil, or one is a prefix of the other, so they cannot be separated.
    """
    right, wrong = _drop_longer(answers), _drop_longer(foils)
    if set(right) & set(wrong):
        raise AnswerFault("answer and foil have the same tokens", "choose a foil that is wrong for the clean prompt")
    if _list_starts(right) & set(wrong) or _list_starts(wrong) & set(right):
        raise AnswerFault(
            "an answer begins with a foil, or a foil with an answer", "choose ones that differ in a token"
        )
    everything = (*right, *wrong)
    n = 0
    while len({sequence[: n + 1] for sequence in everything}) == 1:
        n += 1
    return Contrast(everything[0][:n], tuple(s[n:] for s in right), tuple(s[n:] for s in wrong))


def _drop_longer(sequences: Iterable[Tokens]) -> tuple[Tokens, ...]:
    """Remove repeats and sequences that extend another one, because they count as that answer."""
    kept = dict.fromkeys(sequences)
    return tuple(s for s in kept if not any(s[:n] in kept for n in range(1, len(s))))


def _list_starts(sequences: Iterable[Tokens]) -> set[Tokens]:
    """Return all proper prefixes of the sequences."""
    return {s[:n] for s in sequences for n in range(1, len(s))}


def tokenise_answers(
    texts: Sequence[str], prompt: str, prompt_ids: Sequence[int], tokenizer: Tokenizer
) -> list[Tokens | AnswerFault]:
    """Return the tokens of each text in its place after the prompt, or why it cannot be scored there.

    These differ from the tokens of the text alone: some tokenizers prepend a space to every text.

    Args:
        prompt_ids: token ids of the prompt, without a beginning-of-sequence token.
    """
    found: list[Tokens | AnswerFault] = []
    for text, whole in zip(texts, tokenizer.encode_each([prompt + text for text in texts]), strict=True):
        try:
            found.append(_cut_answer(text, whole, prompt, list(prompt_ids), tokenizer))
        except AnswerFault as fault:
            found.append(fault)
    return found


def _cut_answer(text: str, whole: list[int], prompt: str, prompt_ids: list[int], tokenizer: Tokenizer) -> Tokens:
    """Return the ids after the prompt's ids; raises `AnswerFault`."""
    follows = tuple(whole[len(prompt_ids) :])
    _check_spaces(text, prompt, len(follows), tokenizer)
    if whole[: len(prompt_ids)] != prompt_ids or not follows:
        if prompt[-1:].isspace():
            raise AnswerFault(
                "forms one token with the white space at the end of the prompt", "move the space into answer and foil"
            )
        end = " | ".join(map(repr, map(tokenizer.piece, whole[-3:])))
        raise AnswerFault(
            f"is not a separate token after {prompt[-12:]!r}: together they end in {end}",
            "end the prompt elsewhere, or begin the answer with a space",
        )
    if tokenizer.limits.unknown_id in follows:
        raise AnswerFault("contains text that this tokenizer cannot encode", "use other words")
    return follows


def _check_spaces(text: str, prompt: str, n_tokens: int, tokenizer: Tokenizer) -> None:
    # " Mary" and "Mary" are different tokens: with the wrong one, the score is about a word that the model would not write.
    if prompt[-1:].isspace() and text[:1] == " " and not text[1:2].isspace():
        raise AnswerFault(
            "begins with a space and the prompt ends in white space",
            f"write {text[1:41]!r}, or end the prompt before it",
        )
    if prompt[-1:].isalpha() and text[:1].isalpha():
        spaced = len(tokenizer.encode(f"{prompt} {text}")) - len(tokenizer.encode(prompt))
        if spaced == 1 or spaced < n_tokens:
            raise AnswerFault(f"would continue the word {prompt.split()[-1][:20]!r}", f"write {' ' + text[:39]!r}")
