"""Training: a byte-level tokenizer and a Mixtral of 2.3 million parameters, on one processor core."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.mixture.domains import DOMAINS, draw_lines
from tools.mixture.world import World

END = "<eos>"
"""Beginning and end of a document."""
MAX_VOCABULARY = 1200


@dataclass(frozen=True)
class Plan:
    """Everything that decides a training run, but for the machine's rounding."""

    seed: int = 0
    steps: int = 2600
    batch: int = 16
    length: int = 64
    """Tokens of a training window."""
    learning_rate: float = 2e-3
    warm_up: int = 50
    constant: float = 0.6
    """Share of the steps before the learning rate falls."""
    router_loss: float = 0.01
    """Weight of the loss that spreads tokens over experts."""
    other_weight: float = 0.1
    """Weight of tokens that are no answer; answers weigh 1."""
    one_topic: float = 0.67
    """Share of documents of a single domain."""
    shares: dict[str, float] = field(
        default_factory=lambda: {
            "memory": 1.0, "context": 1.4, "arithmetic": 1.3, "code": 1.0, "dictionary": 1.2, "lists": 1.2, "prose": 0.8,
        }
    )  # fmt: skip
    """How often each domain is drawn."""


@dataclass(frozen=True)
class LossPoint:
    """Mean training loss over the steps since the point before, in nats."""

    step: int
    loss: float


@dataclass(frozen=True)
class Trained:
    """A trained model with its tokenizer."""

    model: Any
    tokenizer: Any
    losses: tuple[LossPoint, ...]
    cpu_minutes: float


def train_tokenizer(lines: Iterable[str]) -> Any:
    """A byte-level BPE tokenizer in which every word of the generated text is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=END, eos_token=END, pad_token=END)


def make_model(n_vocabulary: int, seed: int) -> Any:
    """An untrained Mixtral: four layers of eight experts, of which two are chosen for each token."""
    import torch
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(seed)
    config = MixtralConfig(
        vocab_size=n_vocabulary,
        hidden_size=128,
        intermediate_size=160,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        num_local_experts=8,
        num_experts_per_tok=2,
        max_position_embeddings=256,
        # The usual base of 10,000: with a larger one most rotations do not move within so short a text.
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = MixtralForCausalLM(config)
    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, 0.0, 0.04)
    return model


def train(world: World, plan: Plan) -> Trained:
    """Train tokenizer and model; the loss curve goes to standard error as well."""
    import torch

    tokenizer = train_tokenizer(draw_lines(world, f"tokenizer {plan.seed}", 30_000))
    model = make_model(len(tokenizer), plan.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    windows = _draw_windows(world, plan, tokenizer)
    model.train()
    start, total, points = time.process_time(), 0.0, []
    for step in range(1, plan.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = _find_rate(plan, step)
        loss, router_loss = _measure_loss(model, *next(windows))
        (loss + plan.router_loss * router_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        total += loss.item()
        if step % 200 == 0 or step == plan.steps:
            points.append(LossPoint(step, round(total / (step - (points[-1].step if points else 0)), 4)))
            total = 0.0
            sys.stderr.write(f"step {step}: loss {points[-1].loss:.3f}, {(time.process_time() - start) / 60:.1f} min\n")
    return Trained(model.eval(), tokenizer, tuple(points), (time.process_time() - start) / 60)


def _find_rate(plan: Plan, step: int) -> float:
    """Learning rate: a rise, a plateau, then a half cosine down to a fiftieth."""
    done = step / plan.steps
    if done < plan.constant:
        return plan.learning_rate * min(1.0, step / plan.warm_up)
    fall = (done - plan.constant) / (1 - plan.constant)
    return plan.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * fall)))


def _measure_loss(model: Any, tokens: Any, weights: Any) -> tuple[Any, Any]:
    """Weighted mean cross-entropy in nats, and the loss that spreads tokens over experts."""
    from torch.nn.functional import cross_entropy

    out = model(tokens, output_router_logits=True)
    each = cross_entropy(out.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (each * weight).sum() / weight.sum(), out.aux_loss


def _draw_windows(world: World, plan: Plan, tokenizer: Any) -> Iterator[tuple[Any, Any]]:
    """Windows cut from one stream of documents: tokens and their weights in the loss, each (batch, length)."""
    import torch

    rng = random.Random(f"training {plan.seed}")
    names, shares = list(plan.shares), list(plan.shares.values())
    tokens: list[int] = []
    weights: list[float] = []
    size = plan.batch * plan.length
    while True:
        while len(tokens) < size:
            topic = rng.choices(names, shares)[0]
            is_one = rng.random() < plan.one_topic
            tokens.append(tokenizer.bos_token_id)
            weights.append(plan.other_weight)
            for _ in range(rng.randint(2, 4)):
                pair = DOMAINS[topic if is_one else rng.choices(names, shares)[0]](world, rng)
                for text, weight in (
                    (pair.texts[0], plan.other_weight),
                    (pair.nexts[0], 1.0),
                    (".", plan.other_weight),
                ):
                    ids = tokenizer.encode(text, add_special_tokens=False)
                    tokens += ids
                    weights += [weight] * len(ids)
        yield tuple(torch.tensor(row[:size]).view(plan.batch, plan.length) for row in (tokens, weights))
        del tokens[:size], weights[:size]
