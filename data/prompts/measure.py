"""Measures a model on the six sets: `python -m data.prompts.measure --model FOLDER` writes cards.json and README.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.models import identify_model
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.answers import TokenLimits
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenPair, is_exploratory, load_prompts
from audit_core.subjects.transformer import FolderTokenizer
from data.prompts.cards import write_readme
from data.prompts.generate import SEED, TASKS

if TYPE_CHECKING:
    import torch

HERE = Path(__file__).parent
_BATCH = 48
_DIGITS = 4
"""Decimals in the file: enough for the test's tolerance, few enough not to differ between machines."""
_IDENTITY = ("model", "weights_sha256", "tokenizer_sha256", "dtype", "attention", "quantisation", "licence")


@dataclass(frozen=True)
class Reading:
    """What the model makes of one row, at the last position."""

    pair: TokenPair
    clean: float
    """logit(answer) - logit(foil) after the clean prompt; right where positive."""
    corrupted: float
    """logit(foil) - logit(answer) after the corrupted prompt; right where positive."""
    is_top: bool
    """Whether the answer is the most likely of all tokens after the clean prompt."""


class Model:
    """A model folder in float32 with eager attention; no hooks, no library of ours between it and the numbers."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        inner = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.tokenizer = FolderTokenizer(inner, inner.bos_token_id, TokenLimits())
        self._network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        ).eval()

    def read(self, prompts: PromptSet) -> list[Reading]:
        """Run every row, clean and corrupted, in batches of equal length."""
        pairs = tokenise(prompts, self.tokenizer).pairs
        # A twin repeats its partner's two texts: once through the network is enough.
        logits = self._last_logits(dict.fromkeys(ids for pair in pairs for ids in (pair.clean_ids, pair.corrupted_ids)))
        return [_score(pair, logits[pair.clean_ids], logits[pair.corrupted_ids]) for pair in pairs]

    def _last_logits(self, texts: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], torch.Tensor]:
        import torch

        by_length = sorted(texts, key=len)
        found: dict[tuple[int, ...], torch.Tensor] = {}
        for _, group in groupby(by_length, key=len):
            same_length = list(group)
            for start in range(0, len(same_length), _BATCH):
                batch = same_length[start : start + _BATCH]
                with torch.no_grad():
                    logits = self._network(torch.tensor(batch), logits_to_keep=1).logits
                found |= dict(zip(batch, logits[:, -1]))
        return found


def _score(pair: TokenPair, clean: torch.Tensor, corrupted: torch.Tensor) -> Reading:
    return Reading(
        pair,
        float(clean[pair.answer_id] - clean[pair.foil_id]),
        float(corrupted[pair.foil_id] - corrupted[pair.answer_id]),
        int(clean.argmax()) == pair.answer_id,
    )


def summarise(readings: Iterable[Reading]) -> dict[str, Any]:
    """Accuracy and mean logit difference on both sides, over these rows."""
    rows = list(readings)

    def mean(of: Callable[[Reading], float]) -> float:
        return round(sum(map(of, rows)) / len(rows), _DIGITS)

    return {
        "n": len(rows),
        "accuracy_clean": mean(lambda row: row.clean > 0),
        "accuracy_corrupted": mean(lambda row: row.corrupted > 0),
        "logit_difference_clean": mean(lambda row: row.clean),
        "logit_difference_corrupted": mean(lambda row: row.corrupted),
        "top_token_share": mean(lambda row: row.is_top),
    }


def describe_set(prompts: PromptSet, readings: list[Reading]) -> dict[str, Any]:
    """One set's entry in cards.json: the whole, then by template, by group and by half."""

    def split(by: Callable[[Prompt], str]) -> dict[str, Any]:
        names = dict.fromkeys(by(row.pair.prompt) for row in readings)
        return {name: summarise(row for row in readings if by(row.pair.prompt) == name) for name in names}

    templates = split(lambda prompt: prompt.template)
    for name, card in templates.items():
        card["tokens"] = sorted({len(row.pair.clean_ids) for row in readings if row.pair.prompt.template == name})
    return {
        "sha256": prompts.sha256,
        "seed": SEED,
        **summarise(readings),
        "n_templates": len(templates),
        "tokens": sorted({tokens for card in templates.values() for tokens in card["tokens"]}),
        "templates": templates,
        "groups": split(lambda prompt: prompt.group),
        "halves": split(lambda prompt: "exploratory" if is_exploratory(prompt) else "confirmatory"),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Everything in cards.json."""
    model = Model(folder)
    identity = identify_model(folder, dtype="float32", attention="eager").to_json()
    sets = {}
    for task in TASKS:
        prompts = load_prompts(HERE / f"{task}.jsonl")
        sets[task] = describe_set(prompts, model.read(prompts))
    return {"model": {key: identity[key] for key in _IDENTITY}, "sets": sets}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a model folder in Hugging Face format")
    cards = measure(parser.parse_args().model)
    (HERE / "cards.json").write_text(json.dumps(cards, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(write_readme(cards), encoding="utf-8")
    for task, card in cards["sets"].items():
        print(
            f"{task}: {card['n']} rows, accuracy {card['accuracy_clean']:.3f}, {card['logit_difference_clean']:+.2f} logits"
        )
