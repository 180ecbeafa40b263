"""Items as prompts: the text that is asked, its answers as tokens, and another item as the other run of the pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from audit_core.benchmarks.cells import LETTERS
from audit_core.benchmarks.item import Benchmark, Item, MatchRule
from audit_core.errors import Refused
from audit_core.prompts.alignment import MAX_TOKENS
from audit_core.prompts.answers import AnswerFault, Contrast, Tokenizer, Tokens, tokenise_answers
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair

FORMAT_VERSION = 1
"""Raise it when a prompt of the same item becomes another text."""
DONORS = 8
"""Other items behind a mean."""
MIN_CLUSTERS = 5
"""With fewer categories, each item or passage is a cluster of its own."""


class PromptFormat(StrEnum):
    """What a model is shown of the options, and what is scored."""

    TEXT = "text"
    """The question alone; the text of each option is scored."""
    LETTER = "letter"
    """The options are listed; the letter of each is scored."""


@dataclass(frozen=True)
class BenchmarkSource:
    """The file behind the prompts of a run."""

    name: str
    format: str
    sha256: str
    """Digest of the file's bytes."""
    match: str
    prompt_format: str
    n_in_file: int
    """Items that could be read."""
    left_out: tuple[tuple[str, int], ...] = ()
    """Why items were left out, and how many."""

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "format": self.format, "sha256": self.sha256, "match": self.match,
            "prompt_format": self.prompt_format, "prompt_format_version": FORMAT_VERSION, "n_in_file": self.n_in_file,
            "left_out": [list(one) for one in self.left_out],
        }  # fmt: skip


def ask_items(
    benchmark: Benchmark, tokenizer: Tokenizer, form: PromptFormat, *, most: int
) -> tuple[TokenisedPrompts, BenchmarkSource]:
    """Prompts of at most this many items, spread evenly over the file.

    Raises:
        Refused: fewer than two items fit this model.
    """
    found: list[tuple[Item, TokenPair]] = []
    left: Counter[str] = Counter("row cannot be read" for _ in benchmark.faults)
    few = benchmark.items if len(benchmark.items) <= most else [
        benchmark.items[at] for at in np.linspace(0, len(benchmark.items) - 1, most).round().astype(int)
    ]  # fmt: skip
    for item in few:
        pair = _ask(item, tokenizer, form)
        if isinstance(pair, str):
            left[pair] += 1
        else:
            found.append((item, pair))
    if len(found) < 2:
        why = "; ".join(f"{n} × {text}" for text, n in left.items()) or "the file has one item"
        raise Refused(
            f"{len(found)} of {len(few)} items of {benchmark.name[:60]} can be asked of this model: {why}.",
            wanted="at least two items.", remedy="choose another prompt format, a longer file, or shorter questions.",
        )  # fmt: skip
    pairs = _lend(_name_clusters(found), tokenizer)
    source = BenchmarkSource(
        benchmark.name, benchmark.format, benchmark.sha256, benchmark.match.value, form.value, len(benchmark.items),
        tuple(sorted(left.items())),
    )  # fmt: skip
    rows = PromptSet(benchmark.name, tuple(pair.prompt for pair in pairs))
    return TokenisedPrompts(benchmark.name, pairs, rows.sha256), source


def render(item: Item, form: PromptFormat) -> str:
    """The text before the answer."""
    lines = [f"Passage: {item.passage}"] if item.passage else []
    lines.append(f"Question: {item.question}")
    if form is PromptFormat.LETTER and item.options and not item.names_options:
        lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options, strict=False)]
    return "\n".join([*lines, "Answer:"])


def _ask(item: Item, tokenizer: Tokenizer, form: PromptFormat) -> TokenPair | str:
    """One item as a prompt without its other run, or why it cannot be asked."""
    text = render(item, form)
    is_lettered = form is PromptFormat.LETTER and not item.names_options
    options = tuple(LETTERS[: len(item.options)]) if is_lettered else item.options
    right, wrong = (
        ((options[item.right],), tuple(o for at, o in enumerate(options) if at != item.right))
        if options
        else (item.references, ())
    )
    right, wrong = (tuple(f" {text.strip()}" for text in texts) for texts in (right, wrong))
    ids = tokenizer.encode(text)
    begin = () if tokenizer.bos_id is None or ids[:1] == [tokenizer.bos_id] else (tokenizer.bos_id,)
    found = tokenise_answers((*right, *wrong), text, ids, tokenizer)
    sequences = [one for one in found if not isinstance(one, AnswerFault)]
    if len(sequences) < len(found):
        return "an answer that the tokenizer cannot separate from its question"
    if wrong and len(set(sequences)) < len(sequences):
        return "two options with the same tokens"
    clean = (*begin, *ids)
    most = min(MAX_TOKENS, tokenizer.limits.n_positions or MAX_TOKENS)
    if len(clean) + max(map(len, sequences)) - 1 > most:
        return f"longer than {most} tokens"
    if tokenizer.limits.n_tokens is not None and max(map(max, (clean, *sequences))) >= tokenizer.limits.n_tokens:
        return "tokens that the model lacks"
    contrast = Contrast((), tuple(sequences[: len(right)]), tuple(sequences[len(right) :]))
    prompt = Prompt(
        item.id, text, "", right[0], wrong[0] if wrong else "", item.passage or item.id, item.category,
        more_answers=right[1:], more_foils=wrong[1:],
    )  # fmt: skip
    return TokenPair(prompt, clean, clean, contrast, (), (), True)


def _name_clusters(found: Sequence[tuple[Item, TokenPair]]) -> tuple[TokenPair, ...]:
    """Clusters of the bootstrap: categories if there are enough, else passages, else items."""
    by_category = len({item.category for item, _ in found}) >= MIN_CLUSTERS
    passages = {text: f"passage {n}" for n, text in enumerate(dict.fromkeys(item.passage for item, _ in found), 1)}
    names = [item.category if by_category else passages[item.passage] if item.passage else item.id for item, _ in found]
    return tuple(
        replace(pair, prompt=replace(pair.prompt, template=name)) for (_, pair), name in zip(found, names, strict=True)
    )


def _lend(pairs: Sequence[TokenPair], tokenizer: Tokenizer) -> tuple[TokenPair, ...]:
    """Give each item the text of the next one as its other run."""
    lent = []
    for at, pair in enumerate(pairs):
        donor = pairs[(at + 1) % len(pairs)]
        ids = borrow(pairs, at, 1, tokenizer)
        lent.append(replace(pair, prompt=replace(pair.prompt, corrupted=donor.prompt.clean), corrupted_ids=ids))
    return tuple(lent)


def borrow(pairs: Sequence[TokenPair], at: int, distance: int, tokenizer: Tokenizer) -> Tokens:
    """Tokens of another item, as many as item `at` has, with the same end.

    A longer one loses its beginning; a shorter one follows the item before it, as questions follow each other in a file.
    """
    length, bos = len(pairs[at].clean_ids), tokenizer.bos_id
    begin = pairs[at].clean_ids[:1] if pairs[at].clean_ids[:1] == (bos,) else ()
    joined: Tokens = ()
    for step in range(distance, distance + len(pairs)):
        ids = pairs[(at + step) % len(pairs)].clean_ids
        joined = (*ids[1:], *joined) if ids[:1] == (bos,) else (*ids, *joined)
        if len(joined) >= length - len(begin):
            break
    kept = joined[len(joined) - (length - len(begin)) :] if len(joined) >= length - len(begin) else None
    while kept is None:
        joined = (*joined, *joined)
        kept = joined[-(length - len(begin)) :] if len(joined) >= length - len(begin) else None
    return (*begin, *kept)


def list_donors(prompts: TokenisedPrompts, at: int, tokenizer: Tokenizer) -> tuple[TokenPair, ...]:
    """Pairs of other items with the length of one, over which its means are taken; each side is an item."""
    pairs, few = prompts.pairs, min(DONORS, len(prompts) - 1)
    rows = [borrow(pairs, at, step, tokenizer) for step in range(1, few + 1)]
    rows += rows[:1] if len(rows) % 2 else []
    return tuple(
        replace(pairs[at], clean_ids=one, corrupted_ids=other) for one, other in zip(rows[::2], rows[1::2], strict=True)
    )


def read_rule(source: BenchmarkSource | None) -> MatchRule:
    """How written answers of a source are compared."""
    return MatchRule.TEXT if source is None else MatchRule(source.match)
