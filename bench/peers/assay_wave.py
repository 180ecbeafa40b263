"""Assay's own engine: `Subject.run`, all heads as rows of one wave; the kept unedited runs are dropped before each sweep."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from serve import Task, serve

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def load(task: Task) -> Callable[[], list[float]]:
    import torch

    from audit_core import Direction, Kind, PromptSet, Replacement, intervene, load_prompt_set, open_subject, tokenise

    subject = open_subject(task.folder)
    torch.set_num_threads(task.threads)
    prompts = tokenise(PromptSet("bench", load_prompt_set("indirect_object").prompts[:1]), subject.tokenizer)
    (pair,) = prompts.pairs
    if (pair.clean_ids, pair.corrupted_ids) != (tuple(task.clean), tuple(task.corrupted)):
        raise SystemExit("The pair is not the one that the others were given.")
    edits = [
        intervene([head], Replacement.RESAMPLE, direction=Direction.DENOISING) for head in subject.components(Kind.HEAD)
    ]

    def sweep() -> list[float]:
        subject.runner.clear_captures()
        logits = subject.run(prompts, edits)
        return [float(value) for value in (logits.answer - logits.foil)[:, 0]]

    return sweep


if __name__ == "__main__":
    serve(load, ("torch", "transformers", "transformer_lens"))
