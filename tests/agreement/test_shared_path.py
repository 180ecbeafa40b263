"""The shared path of a mixture layer, and forced routes, against loops over tokens written from the families' definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from agreement.literal import find_experts, write
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, parse_component
from audit_core.engine import shared_path
from audit_core.errors import ControlFailed, InterventionRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
PINNED = ("qwen2_moe", "granitemoeshared", "glm4_moe")
"""A gate; a shared MLP beside the mixture; shared experts inside it."""
SITE = parse_component("L1.SHARED")


def read(subject: TransformerSubject, prompts: Any, *asked: Any) -> np.ndarray:
    means = subject.capture_means(prompts, kinds=[Kind.SHARED] if subject.components(Kind.SHARED) else [Kind.EXPERT])
    found = subject.run(prompts, asked, means=means, vocabulary=True).vocabulary
    assert found is not None
    return found


def own_block(subject: TransformerSubject, layer: int) -> Any:
    """The layer as `transformers` has it."""
    inner = subject.bridge.blocks[layer]
    return getattr(inner, "_original_component", inner)


def own(module: Any) -> Any:
    return getattr(module, "_original_component", module)


def add_shared(family: str, block: Any, token: torch.Tensor) -> torch.Tensor:
    """What the shared path adds for one token, from its weights."""
    if family == "granitemoeshared":
        shared = own(block.shared_mlp)
        gate, up = (shared.input_linear.weight @ token).chunk(2)
        return shared.output_linear.weight @ (gate * torch.sigmoid(gate) * up)
    mixture = own(block.mlp)
    shared = own(mixture.shared_expert if family == "qwen2_moe" else mixture.shared_experts)
    gate = shared.gate_proj.weight @ token
    value = shared.down_proj.weight @ (gate * torch.sigmoid(gate) * (shared.up_proj.weight @ token))
    if family == "qwen2_moe":
        value = value / (1 + torch.exp(-(own(mixture.shared_expert_gate).weight[0] @ token)))
    return value


def run_slowly(subject: TransformerSubject, ids: tuple[int, ...], edit: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Logits of one run whose experts' module of layer 1 writes the edited sum, less the shared path, which is added after it."""
    handle = find_experts(subject.bridge)[1].register_forward_hook(lambda _module, args, out: edit(args[0]) + out)
    try:
        with torch.inference_mode():
            return subject.bridge(torch.tensor([ids]))[0, -1].numpy()
    finally:
        handle.remove()


def keep_inputs(subject: TransformerSubject, ids: tuple[int, ...]) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    run_slowly(subject, ids, lambda inputs: (kept.append(inputs.clone()), torch.zeros_like(inputs))[1])
    return kept[0]


@pytest.mark.parametrize("family", PINNED)
def test_the_shared_path_under_each_replacement_is_what_a_loop_over_tokens_gives(
    family: str, load_family: Load
) -> None:
    subject = load_family(family)
    prompts, block = tokenise_letters(subject.tokenizer, [6] * 3), own_block(subject, 1)

    def adds(inputs: torch.Tensor) -> torch.Tensor:
        return torch.stack([add_shared(family, block, token) for token in inputs])

    with torch.inference_mode():
        sides = [keep_inputs(subject, ids) for p in prompts.pairs for ids in (p.clean_ids, p.corrupted_ids)]
        written = [adds(inputs) for inputs in sides]
        mean = torch.stack(written).mean(0)
    slow = []
    for at, pair in enumerate(prompts.pairs):
        clean, corrupted = written[2 * at], written[2 * at + 1]
        slow.append(
            [
                run_slowly(subject, pair.clean_ids, lambda inputs: -adds(inputs)),
                run_slowly(subject, pair.clean_ids, lambda inputs: mean - adds(inputs)),
                run_slowly(subject, pair.clean_ids, lambda inputs, put=corrupted: put - adds(inputs)),
                run_slowly(subject, pair.corrupted_ids, lambda inputs, put=clean: put - adds(inputs)),
            ]
        )
    asked = [intervene([SITE], r) for r in (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)]
    asked.append(intervene([SITE], Replacement.RESAMPLE, direction=Direction.DENOISING))
    found, expected = read(subject, prompts, *asked), np.array(slow).swapaxes(0, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    for edited, side in zip(found, (CLEAN_RUN, CLEAN_RUN, CLEAN_RUN, CORRUPTED_RUN), strict=True):
        assert np.abs(edited - read(subject, prompts, side)[0]).max() > 1e-2


def test_a_shared_path_that_does_not_add_up_is_not_offered(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that weighs its shared experts otherwise: here by a gate of one in the place of a sigmoid."""
    subject = load_family("qwen2_moe")
    paths = {layer: subject.runner.model.find_point(Kind.SHARED, layer) for layer in (0, 1, 2)}
    monkeypatch.setattr("audit_core.engine.shared_path.torch.sigmoid", torch.ones_like)
    with torch.inference_mode(), pytest.raises(ControlFailed, match="miss its output"):
        shared_path.check_shared_paths(subject.runner.model, paths, torch.tensor([[0, 5, 6, 7]]), most=1e-5)


def weigh(family: str, router: Any, token: torch.Tensor, experts: list[int]) -> torch.Tensor:
    """The router's own scores of some experts, by its own rule."""
    logits = router.weight @ token + (router.bias if family == "gpt_oss" else 0)
    if family in ("granitemoe", "gpt_oss"):
        return logits[experts].softmax(0)
    if family == "deepseek_v3":
        scores = logits.sigmoid()[experts]
        return scores / scores.sum() * router.routed_scaling_factor
    scores = logits.softmax(0)[experts]
    return scores / scores.sum() if family == "mixtral" else scores


@pytest.mark.parametrize("family", ("mixtral", "olmoe", "granitemoe", "gpt_oss", "deepseek_v3"))
def test_a_forced_route_is_what_a_loop_over_tokens_gives(family: str, load_family: Load) -> None:
    """Experts stated for every token, and others for two tokens only."""
    subject = load_family(family)
    prompts, experts = tokenise_letters(subject.tokenizer, [6] * 3), find_experts(subject.bridge)[1]
    router = next(m for m in subject.bridge.blocks[1].modules() if type(m).__name__.lower().endswith("topkrouter"))
    n_chosen = subject.runner.model.find_point(Kind.EXPERT, 1).n_chosen
    first, last, third = list(range(n_chosen)), list(range(4 - n_chosen, 4)), [0, *range(5 - n_chosen, 4)]

    def force(where: dict[int | None, list[int]]) -> Any:
        def hook(_module: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
            out = out.clone()
            for at, token in enumerate(args[0]):
                if chosen := where.get(at - len(out), where.get(None)):
                    weights = weigh(family, router, token, chosen)
                    out[at] = sum(w * write(experts, token, e) for w, e in zip(weights, chosen, strict=True))
            return out

        return hook

    expected = []
    for where in ({None: first}, {-1: last, -2: third}):
        handle = experts.register_forward_hook(force(where))
        try:
            with torch.inference_mode():
                # One prompt at a time, so that positions are those of its tokens.
                runs = [subject.bridge(torch.tensor([pair.clean_ids]))[0, -1].numpy() for pair in prompts.pairs]
        finally:
            handle.remove()
        expected.append(runs)
    at_all = intervene([Component(1, Kind.EXPERT, e) for e in first], Replacement.FORCED)
    parts = [Component(1, Kind.EXPERT, e, at) for at, chosen in ((-1, last), (-2, third)) for e in chosen]
    found = read(subject, prompts, at_all, intervene(parts, Replacement.FORCED))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found - read(subject, prompts, CLEAN_RUN)).max((1, 2)).min() > 1e-2


def test_a_forced_route_needs_as_many_experts_as_are_chosen_and_a_router_that_ranks_its_scores(
    load_family: Load,
) -> None:
    subject = load_family("mixtral")
    prompts = tokenise_letters(subject.tokenizer, [6])
    with pytest.raises(InterventionRefused, match="1 experts of layer 1 forced"):
        read(subject, prompts, intervene([parse_component("L1.E0")], Replacement.FORCED))
    mixer = load_family("phimoe")
    with pytest.raises(ControlFailed, match="one top-k"):
        read(mixer, prompts, intervene([Component(1, Kind.EXPERT, e) for e in (0, 1)], Replacement.FORCED))
