"""Questions with documents: what a prompt in the reader's form says, and its parts as tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.errors import PromptRefused
from audit_core.prompts.answers import Tokenizer, Tokens, tokenise_answers
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import DocumentForm

NEXT = "next hit: "
"""What comes before the next hit, where it is kept with a prompt."""
_VALUE = r"\s+(?:the |a |an )?([^\s.,;:!?]+)"


@dataclass(frozen=True)
class Question:
    """A sentence to complete from documents."""

    id: str
    family: str
    documents: tuple[str, ...]
    text: str
    """Beginning of the sentence."""
    answers: tuple[str, ...]
    """Right values, without the space before them."""
    others: tuple[str, ...]
    """Other values of the same kind."""
    cited: int | None
    """Index of the document that the answer cites; None without a citation."""
    scores: tuple[float, ...] = ()
    """The retriever's score of each document; empty if none was given."""
    next_hit: str = ""
    """The document that the ranking has after the last one; empty if it is not known."""

    def find_stated(self, number: int) -> str | None:
        """Value that a document states for the question: what follows the same beginning of the sentence in it."""
        found = re.search(_word_for_word(self.text) + _VALUE, self.documents[number], flags=re.IGNORECASE)
        return None if found is None else found[1]


def parse_question(pair: TokenPair, subject: DocumentForm) -> Question:
    """The question of a prompt in the reader's form.

    Raises:
        PromptRefused: it has another form.
    """
    prompt = pair.prompt
    documents, text = subject.read_documents(prompt.clean)
    number, scores, next_hit = _read_source(prompt.source, len(documents))
    return Question(
        prompt.id, prompt.group or "all", documents, text, tuple(one.strip() for one in prompt.answers),
        tuple(one.strip() for one in prompt.foils), number, scores, next_hit,
    )  # fmt: skip


def write_source(question: Question) -> str:
    """Citation, scores and next hit as they are kept with a prompt."""
    parts = [] if question.cited is None else [f"cites [{question.cited + 1}]"]
    parts += ["scores " + " ".join(f"{score:.4f}" for score in question.scores)] if question.scores else []
    parts += [f"{NEXT}{question.next_hit}"] if question.next_hit else []
    return "; ".join(parts)


def _read_source(source: str, n: int) -> tuple[int | None, tuple[float, ...], str]:
    """Index of the cited document, the scores, and the next hit, which is last because it is any text."""
    source, _, next_hit = source.partition(NEXT)
    cited = re.search(r"\bcites \[(\d{1,3})\]", source)
    scores = re.search(r"\bscores ((?:-?\d+\.\d{4} ?)+)(?:; )?$", source)
    number = int(cited[1]) - 1 if cited and 0 < int(cited[1]) <= n else None
    values = tuple(map(float, scores[1].split())) if scores else ()
    return number, values if len(values) == n else (), next_hit


def has_word(text: str, word: str) -> bool:
    """Whether a document contains a value as a word of its own."""
    return re.search(_word_for_word(word), text) is not None


def replace_word(text: str, old: str, new: str) -> str:
    """The document with another value wherever this one is a word."""
    return re.sub(_word_for_word(old), lambda _: new, text)


def _word_for_word(text: str) -> str:
    return rf"(?<!\w){re.escape(text)}(?!\w)"


@dataclass(frozen=True)
class Encoded:
    """A question in tokens, each part encoded apart, so that one document can be exchanged without touching another."""

    begin: Tokens
    labels: tuple[Tokens, ...]
    bodies: tuple[Tokens, ...]
    end: Tokens
    """What follows the documents."""
    alone: Tokens
    """The question without documents."""

    def join(self, bodies: Sequence[Tokens]) -> Tokens:
        """Input with these documents; a label keeps its place."""
        parts = [(*label, *body) for label, body in zip(self.labels, bodies, strict=False)]
        return (*self.begin, *(token for part in parts for token in part), *(self.end if parts else self.alone))

    def find_places(self, number: int) -> range:
        """Positions of a document's body in the full input."""
        before = len(self.begin) + sum(len(self.labels[at]) + len(self.bodies[at]) for at in range(number))
        start = before + len(self.labels[number])
        return range(start, start + len(self.bodies[number]))


def encode_question(question: Question, subject: DocumentForm, tokenizer: Tokenizer) -> Encoded:
    """Encode the parts; one more label than documents, for a repeated one."""
    parts = subject.write_documents([*question.documents, "x"], question.text)
    begin = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    ids = [tuple(tokenizer.encode(part)) for part in parts]
    alone = tuple(token for part in subject.write_documents([], question.text) for token in tokenizer.encode(part))
    n = len(question.documents)
    return Encoded(begin, tuple(ids[0 : 2 * n + 2 : 2]), tuple(ids[1 : 2 * n : 2]), (*ids[-2], *ids[-1]), alone)


def encode_body(text: str, subject: DocumentForm, tokenizer: Tokenizer) -> Tokens:
    """One document as written behind its label."""
    return tuple(tokenizer.encode(subject.write_documents([text], "x")[1]))


def encode_values(question: Question, subject: DocumentForm, tokenizer: Tokenizer) -> dict[str, int]:
    """First token of each value after the question.

    Raises:
        PromptRefused: a value cannot follow it, or two begin with the same token.
    """
    end = subject.write_documents([], question.text)[-1]
    values = tuple(dict.fromkeys((*question.answers, *question.others)))
    found: dict[str, int] = {}
    for value, ids in zip(
        values, tokenise_answers([f" {v}" for v in values], end, tokenizer.encode(end), tokenizer), strict=True
    ):
        if not isinstance(ids, tuple):
            raise _refuse(question, f"{value[:40]!r} {ids.found}", ids.remedy)
        if ids[0] in found.values():
            if value in question.answers:
                raise _refuse(
                    question, f"{value[:40]!r} begins like another answer", "use values that differ in a token"
                )
            continue
        found[value] = ids[0]
    if len(found) < 2:
        raise _refuse(question, "it has one value only", "give other values to compare with")
    return found


def _refuse(question: Question, found: str, remedy: str) -> PromptRefused:
    return PromptRefused(
        f"Question {question.id[:60]}: {found}.", wanted="values whose first tokens differ.", remedy=f"{remedy}."
    )
