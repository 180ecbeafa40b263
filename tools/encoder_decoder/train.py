"""Training: a byte-level tokenizer and a T5 of 2.3 million parameters, on one processor core."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.encoder_decoder.tasks import ARROW, TASKS, draw_bare_notes, draw_lines
from tools.mixture.train import LossPoint, train_tokenizer
from tools.mixture.world import World

DRAWS = {**TASKS, "bare": draw_bare_notes}
"""What is drawn in training: the tasks, and bare notes."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides a training run, but for the machine's rounding."""

    seed: int = 0
    steps: int = 3000
    batch: int = 32
    learning_rate: float = 1e-3
    warm_up: int = 100
    constant: float = 0.5
    """Share of the steps before the learning rate falls."""
    other_weight: float = 0.05
    """Weight of target words that the source does not decide; the others weigh 1."""
    note_weight: float = 1.0
    """Weight of the loss on the encoder's output at a city: whose city it is. Without it *lookup* stays at one in three: what binds
    a city to its person, and what finds it by the person, help only together, so that neither is learned first."""
    note_until: float = 0.6
    """Share of the steps after which that loss is left out: from then on the model is trained on answers alone."""
    shares: dict[str, float] = field(
        default_factory=lambda: {"lookup": 3.0, "bare": 1.0, "copy": 1.0, "translate": 1.0}
    )
    """How often each of `DRAWS` is drawn. Without bare notes *lookup* stayed at one in three for 2,160 steps."""


@dataclass(frozen=True)
class Trained:
    """A trained model with its tokenizer."""

    model: Any
    tokenizer: Any
    losses: tuple[LossPoint, ...]
    cpu_minutes: float
    n_tokens: int
    """Tokens trained on: those of the sources, and those of the targets that have a loss."""


def make_model(n_vocabulary: int, start: int, seed: int) -> Any:
    """An untrained T5: three layers of encoder and of decoder with four heads each.

    Args:
        start: the token that begins every target.
    """
    import torch
    from transformers import AutoConfig, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        "t5",
        vocab_size=n_vocabulary,
        d_model=160,
        d_kv=40,
        d_ff=640,
        num_layers=3,
        num_decoder_layers=3,
        num_heads=4,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=64,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        decoder_start_token_id=start,
        pad_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    return T5ForConditionalGeneration(config)


def train(world: World, plan: Plan) -> Trained:
    """Train tokenizer and model; the loss curve goes to standard error as well."""
    import torch

    tokenizer = train_tokenizer(draw_lines(world, f"tokenizer {plan.seed}", 30_000))
    tokenizer.bos_token = None
    start = tokenizer.encode(f"x {ARROW}", add_special_tokens=False)[-1]
    model = make_model(len(tokenizer), start, plan.seed)
    # T5 scales its queries by their initial weights instead of the scores, so their steps must be as much smaller.
    slow = [weights for name, weights in model.named_parameters() if name.endswith(".q.weight")]
    fast = [weights for name, weights in model.named_parameters() if not name.endswith(".q.weight")]
    groups = [{"params": fast}, {"params": slow, "lr": plan.learning_rate * model.config.d_kv**-0.5}]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, [lambda step: _find_rate(plan, step)] * 2)
    batches = _draw_batches(world, plan, tokenizer, start)
    model.train()
    began, total, points = time.process_time(), 0.0, []
    n_tokens = 0
    for step in range(1, plan.steps + 1):
        batch = next(batches)
        answers, notes = _measure_losses(model, batch)
        with_notes = step <= plan.note_until * plan.steps
        (answers + plan.note_weight * notes if with_notes else answers).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rates.step()
        optimiser.zero_grad(set_to_none=True)
        n_tokens += int((batch.sources != 0).sum() + (batch.weights > 0).sum())
        total += answers.item()
        if step % 200 == 0 or step == plan.steps:
            points.append(LossPoint(step, round(total / (step - (points[-1].step if points else 0)), 4)))
            total = 0.0
            sys.stderr.write(f"step {step}: loss {points[-1].loss:.3f}, {(time.process_time() - began) / 60:.1f} min\n")
    return Trained(model.eval(), tokenizer, tuple(points), (time.process_time() - began) / 60, n_tokens)


def _find_rate(plan: Plan, step: int) -> float:
    """Share of the highest learning rate: a rise, a plateau, then a half cosine down to a fiftieth."""
    done = step / plan.steps
    if done < plan.constant:
        return min(1.0, (step + 1) / plan.warm_up)
    fall = (done - plan.constant) / (1 - plan.constant)
    return 0.02 + 0.49 * (1 + math.cos(math.pi * fall))


@dataclass(frozen=True)
class _Batch:
    """Texts as tokens; all tensors are padded with 0."""

    sources: Any
    """(batch, source)."""
    targets: Any
    """(batch, target), with the arrow."""
    weights: Any
    """(batch, target - 1): those of all target tokens but the arrow."""
    notes: list[tuple[int, int, int]]
    """Row, place of a city in the source, token of its person."""


def _measure_losses(model: Any, batch: _Batch) -> tuple[Any, Any]:
    """Weighted mean cross-entropy in nats over the targets; mean over persons read from the encoder's output at their cities."""
    import torch
    from torch.nn.functional import cross_entropy

    out = model(
        input_ids=batch.sources, attention_mask=(batch.sources != 0).long(), decoder_input_ids=batch.targets[:, :-1]
    )
    each = cross_entropy(out.logits.flatten(0, 1), batch.targets[:, 1:].flatten(), reduction="none")
    answers = (each * batch.weights.flatten()).sum() / batch.weights.sum()
    if not batch.notes:
        return answers, torch.zeros(())
    rows, places, people = (torch.tensor(column) for column in zip(*batch.notes, strict=True))
    # Read as the decoder's output is, so that a person has the same direction in both.
    read = model.lm_head(out.encoder_last_hidden_state[rows, places] * model.config.d_model**-0.5)
    return answers, cross_entropy(read, people)


def _draw_batches(world: World, plan: Plan, tokenizer: Any, start: int) -> Iterator[_Batch]:
    import torch

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False) if text else []

    rng = random.Random(f"training {plan.seed}")
    names, shares = list(plan.shares), list(plan.shares.values())
    while True:
        rows, notes = ([], [], []), []
        for at, name in enumerate(rng.choices(names, shares, k=plan.batch)):
            drawn = DRAWS[name](world, rng)
            source = encode(drawn.pair.texts[0].partition(f" {ARROW}")[0])
            begin, rest = map(encode, drawn.target)
            rows[0].append(source)
            rows[1].append([start, *begin, *rest])
            rows[2].append([plan.other_weight] * len(begin) + [1.0] * len(rest))
            notes.extend((at, source.index(*encode(city)), *encode(person)) for city, person in drawn.notes)
        padded = [torch.tensor([row + [0] * (max(map(len, kind)) - len(row)) for row in kind]) for kind in rows]
        yield _Batch(*padded, notes)
