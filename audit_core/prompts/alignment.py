"""Alignment: tokenise clean and corrupted prompts to pairs of equal length, with answers as the tokens that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import RowFault
from audit_core.prompts.answers import AnswerFault, Contrast, Tokenizer, Tokens, contrast_answers, tokenise_answers
from audit_core.prompts.prompt_set import (
    MAX_REPORTED,
    SEQUENCE_METRIC,
    Prompt,
    PromptForm,
    PromptSet,
    SetAside,
    TokenisedPrompts,
    TokenPair,
)
from audit_core.prompts.repeats import describe_repeats, find_token_repeats
from audit_core.prompts.template_labels import check_template_labels

MAX_TOKENS = 2048
"""Longest prompt whose time and memory are measured (docs/performance.md). A model's own limit, and the engine's counts of memory
(`engine.memory`), may be lower."""


def tokenise(prompts: PromptSet, tokenizer: Tokenizer) -> TokenisedPrompts:
    """Align every pair under a tokenizer; if any row is invalid, reject the set and name the rows.

    Raises:
        PromptRefused: an answer or foil cannot be scored after its prompt; clean and corrupted have different lengths, are
            equal, exceed `MAX_TOKENS` or the model's limit, or contain tokens that the model lacks.
    """
    aligned = align_rows(prompts, tokenizer)
    _refuse_if(
        [str(fault) for fault in aligned.faults],
        "answers that can follow their prompts, and pairs of equal token length.",
    )
    assert aligned.kept is not None
    return aligned.kept


@dataclass(frozen=True)
class Alignment:
    """A prompt set under a tokenizer, row by row."""

    kept: TokenisedPrompts | None
    """None if no row is usable."""
    faults: tuple[RowFault, ...]


def align_rows(prompts: PromptSet, tokenizer: Tokenizer) -> Alignment:
    """Align the usable rows, and list the reason for each of the others."""
    faults: list[RowFault] = []
    pairs = []
    for prompt in prompts.prompts:
        found: list[RowFault] = []
        pair = _align(prompt, tokenizer, found)
        faults += found
        pairs += [pair] if pair is not None and not found else []
    if not pairs:
        return Alignment(None, tuple(faults))
    notices = (*prompts.notices, *_describe_answers(pairs))
    aligned = TokenisedPrompts(prompts.name, tuple(pairs), prompts.sha256, notices)
    kept = _count_distinct(aligned, (prompts.whole or prompts).prompts)
    return Alignment(kept if prompts.whole is None else _compare_splits(kept, prompts), tuple(faults))


def align_again(prompts: TokenisedPrompts, texts: PromptSet, tokenizer: Tokenizer) -> TokenisedPrompts:
    """Other texts of these prompts, or the same under another tokenizer, with the templates that the prompts have.

    Args:
        texts: ids are among those of `prompts`.

    Raises:
        PromptRefused: no text fits the tokenizer.
    """
    aligned = align_rows(texts, tokenizer)
    if aligned.kept is None:
        raise PromptRefused(
            f"No prompt fits the tokenizer: {aligned.faults[0]}",
            wanted="texts whose clean and corrupted form have equally many tokens, with answers that can follow.",
            remedy="choose other prompts or another model.",
        )
    clusters = dict(zip((pair.prompt.id for pair in prompts.pairs), prompts.templates, strict=True))
    pairs = tuple(replace(pair, cluster=clusters[pair.prompt.id]) for pair in aligned.kept.pairs)
    return replace(aligned.kept, pairs=pairs)


def _count_distinct(found: TokenisedPrompts, whole: tuple[Prompt, ...]) -> TokenisedPrompts:
    """Remove repeats, and cluster by templates that agree with the texts of the whole set."""
    repeats, clusters = find_token_repeats(found.pairs), check_template_labels(whole)
    names = {prompt: name for prompt, name in zip(whole, clusters.names, strict=True) if name != prompt.template}
    pairs = [replace(pair, cluster=names.get(pair.prompt, "")) for pair in found.pairs]
    notices = [*found.notices, clusters.notice]
    if repeats:
        notices.append(describe_repeats([pair.prompt.id for pair in pairs], repeats))
    kept = tuple(pair for at, pair in enumerate(pairs) if at not in repeats)
    left_out = tuple(
        SetAside(pairs[at].prompt.id, pairs[at].prompt.template, "says the same as an earlier prompt")
        for at in sorted(repeats)
    )
    return replace(found, pairs=kept, notices=tuple(dict.fromkeys(filter(None, notices))), set_aside=left_out)


def _compare_splits(found: TokenisedPrompts, split: PromptSet) -> TokenisedPrompts:
    """Name the templates that the other split of the set has too."""
    assert split.whole is not None
    here, whole = set(split.prompts), split.whole.prompts
    elsewhere = {
        name for prompt, name in zip(whole, check_template_labels(whole).names, strict=True) if prompt not in here
    }
    return replace(found, templates_of_both=tuple(sorted(elsewhere & set(found.templates))))


def _describe_answers(pairs: Sequence[TokenPair]) -> tuple[str, ...]:
    """Return notices on answers of several tokens or several answers."""
    several = sum(
        any(len(s) > 1 for s in (*p.contrast.answers, *p.contrast.foils)) or bool(p.contrast.shared) for p in pairs
    )
    apart = sum(not pair.is_distinguished for pair in pairs)
    sets = sum(len(p.contrast.answers) > 1 or len(p.contrast.foils) > 1 for p in pairs)
    notices = []
    if several:
        notices.append(
            f"{several} of {len(pairs)} prompts have answers of several tokens: single-position metrics read the first token "
            f"in which answer and foil differ; {SEQUENCE_METRIC} reads all tokens."
        )
    if apart:
        notices.append(f"{apart} of {len(pairs)} prompts can only be measured with {SEQUENCE_METRIC}.")
    if sets:
        notices.append(
            f"{sets} of {len(pairs)} prompts have several correct answers or foils: each side counts as a set."
        )
    return tuple(notices)


def _align(prompt: Prompt, tokenizer: Tokenizer, faults: list[RowFault]) -> TokenPair | None:
    written = tokenizer.encode(prompt.clean), tokenizer.encode(prompt.corrupted)
    clean, corrupted = ((*_begin(prompt, ids, tokenizer), *ids) for ids in written)
    if len(clean) != len(corrupted):
        found = f"clean has {len(clean)} tokens and corrupted {len(corrupted)}"
        faults.append(RowFault(prompt.id, found, "use words that tokenise to the same number of tokens"))
    elif clean == corrupted:
        remedy = "change the word that the answer depends on"
        faults.append(RowFault(prompt.id, "clean and corrupted have the same tokens", remedy))
    contrast = _contrast(prompt, written, tokenizer, faults)
    if contrast is None:
        return None
    clean, corrupted = (*clean, *contrast.shared), (*corrupted, *contrast.shared)
    limits = _check_limits((clean, corrupted), contrast, tokenizer)
    faults += [RowFault(prompt.id, found, remedy) for found, remedy in limits]
    if faults:
        return None
    pieces = [tuple(map(tokenizer.piece, row)) for row in (clean, corrupted)]
    return TokenPair(
        prompt,
        clean,
        corrupted,
        contrast,
        pieces[0],
        pieces[1],
        not _is_as_apart(prompt, written[0], contrast, tokenizer),
    )


def _is_as_apart(prompt: Prompt, clean: list[int], contrast: Contrast, tokenizer: Tokenizer) -> bool:
    """Check that each text alone gives these tokens, after the beginning-of-sequence token."""
    begins = tokenizer.bos_id is None or bool(_begin(prompt, clean, tokenizer))
    answer, foil = (tuple(tokenizer.encode(text)) for text in (prompt.answer, prompt.foil))
    return begins and contrast == Contrast((), (answer,), (foil,))


def _begin(prompt: Prompt, ids: Sequence[int], tokenizer: Tokenizer) -> Tokens:
    """Return the beginning-of-sequence token, unless the text has it already or is verbatim."""
    bos = tokenizer.bos_id
    return () if bos is None or prompt.form is PromptForm.VERBATIM or ids[:1] == [bos] else (bos,)


def _contrast(
    prompt: Prompt, written: tuple[list[int], list[int]], tokenizer: Tokenizer, faults: list[RowFault]
) -> Contrast | None:
    sides = []
    for role, texts in (("answer", prompt.answers), ("foil", prompt.foils)):
        found = []
        after_clean = tokenise_answers(texts, prompt.clean, written[0], tokenizer)
        after_corrupted = tokenise_answers(texts, prompt.corrupted, written[1], tokenizer)
        for text, first, second in zip(texts, after_clean, after_corrupted, strict=True):
            fault = _compare_places(first, second)
            if fault is not None:
                faults.append(RowFault(prompt.id, f"{role} {text[:40]!r} {fault.found}", fault.remedy))
            elif isinstance(first, tuple):
                found.append(first)
        sides.append(found)
    if faults:
        return None
    try:
        return contrast_answers(*sides)
    except AnswerFault as fault:
        faults.append(RowFault(prompt.id, fault.found, fault.remedy))
        return None


def _compare_places(clean: Tokens | AnswerFault, corrupted: Tokens | AnswerFault) -> AnswerFault | None:
    """Return why an answer cannot be scored after both prompts of a pair; None if it can."""
    if isinstance(clean, AnswerFault):
        return clean
    if isinstance(corrupted, AnswerFault):
        return AnswerFault(f"(after the corrupted prompt) {corrupted.found}", corrupted.remedy)
    if clean == corrupted:
        return None
    return AnswerFault("has different tokens after the clean and the corrupted prompt", "end both in the same way")


def _check_limits(rows: Sequence[Tokens], contrast: Contrast, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Return each limit of the model that the tokens exceed, with the remedy."""
    limits, faults = tokenizer.limits, []
    longest = max(map(len, rows)) + max(len(s) for s in (*contrast.answers, *contrast.foils)) - 1
    most = min(MAX_TOKENS, limits.n_positions or MAX_TOKENS)
    if longest > most:
        on_this = " on this model" if most < MAX_TOKENS else ""
        faults.append((f"{longest} tokens, at most {most}{on_this}", "shorten the prompt"))
    used = {token for row in (*rows, *contrast.answers, *contrast.foils) for token in row}
    if limits.n_tokens is not None and (beyond := sorted(t for t in used if t >= limits.n_tokens)):
        named = ", ".join(f"{tokenizer.piece(token)!r} ({token})" for token in beyond[:3])
        found = f"the tokenizer has {named}, but the model has {limits.n_tokens} tokens"
        faults.append((found, "remove it, or use the model's own tokenizer"))
    return faults


def _refuse_if(faults: list[str], wanted: str) -> None:
    if faults:
        more = f" (and {len(faults) - MAX_REPORTED} more)" if len(faults) > MAX_REPORTED else ""
        raise PromptRefused(
            "; ".join(faults[:MAX_REPORTED]) + more + ".", wanted=wanted, remedy="fix or remove these rows."
        )
