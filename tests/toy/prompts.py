"""Random letter prompts for the models with random weights."""

from __future__ import annotations

import random
from collections.abc import Sequence

from toy.models import LETTERS

from audit_core.prompts.alignment import tokenise
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts


def make_letters(lengths: Sequence[int], *, n_templates: int = 2, seed: int = 0) -> PromptSet:
    """One pair per length, in letters; a third of the letters differ between clean and corrupted."""
    draw, rows = random.Random(seed), []
    for number, length in enumerate(lengths):
        clean = draw.choices(LETTERS, k=length)
        corrupted = clean.copy()
        for at in draw.sample(range(length), max(1, length // 3)):
            corrupted[at] = draw.choice([letter for letter in LETTERS if letter != clean[at]])
        answer, foil = draw.sample(LETTERS, 2)
        template = f"t{number % n_templates}"
        rows.append(Prompt(f"p{number}", " ".join(clean), " ".join(corrupted), f" {answer}", f" {foil}", template))
    return PromptSet("letters", tuple(rows))


def tokenise_letters(
    tokenizer: Tokenizer, lengths: Sequence[int], *, n_templates: int = 2, seed: int = 0
) -> TokenisedPrompts:
    return tokenise(make_letters(lengths, n_templates=n_templates, seed=seed), tokenizer)
