"""Edits of experts against the model's own modules, in two kinds of routers: renormalised weights, and weights left as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from agreement.literal import LiteralRunner, find_experts, write
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, parse_component
from audit_core.engine import experts
from audit_core.engine.experts import find_mixtures
from audit_core.engine.mixture_check import check_mixtures
from audit_core.errors import ControlFailed, InterventionRefused
from audit_core.intervention import CLEAN_RUN, ROUTING, Edit, Intervention, Replacement, intervene
from audit_core.judging.loads import count_slots
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
FAMILIES = ("mixtral", "olmoe")
CHOICES = (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)


def read(subject: TransformerSubject, prompts: Any, *asked: Intervention) -> np.ndarray:
    """All logits; shape (intervention, prompt, vocabulary)."""
    means = subject.capture_means(prompts, kinds=[Kind.EXPERT])
    found = subject.run(prompts, asked, means=means, vocabulary=True).vocabulary
    assert found is not None
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_each_expert_under_each_replacement_is_what_a_loop_over_tokens_gives(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6] * 3)
    asked = [
        intervene([part], replacement) for part in subject.components(Kind.EXPERT)[::2] for replacement in CHOICES
    ] + [intervene([Component(1, Kind.EXPERT, 0), Component(1, Kind.EXPERT, 3, -1)], Replacement.ZERO)]
    slow = LiteralRunner(subject.bridge, prompts).run(prompts, asked)
    np.testing.assert_allclose(read(subject, prompts, *asked), slow, rtol=0, atol=1e-4 * np.abs(slow).max())
    moved = np.abs(slow - read(subject, prompts, CLEAN_RUN)).max((1, 2))
    assert (moved > 1e-2).mean() > 0.8, "an edit of an expert that no token reaches does nothing, all others do"


def route_without(experts: list[int], renormalises: bool) -> Callable[[Any, Any, Any], Any]:
    """What the router's definition gives without some experts."""

    def hook(router: Any, args: Any, _output: Any) -> Any:
        scores = args[0].reshape(-1, router.weight.shape[1]) @ router.weight.T
        scores[:, experts] = -torch.inf
        weights, index = scores.softmax(-1).topk(router.top_k)
        return scores, weights / weights.sum(-1, keepdim=True) if renormalises else weights, index

    return hook


@pytest.mark.parametrize("family", FAMILIES)
def test_a_masked_router_is_the_router_that_never_had_the_expert(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6] * 3)
    masked = intervene([parse_component("L1.E0"), parse_component("L1.E2")], Replacement.ROUTER_MASK)
    found = read(subject, prompts, masked)[0]
    router = next(m for m in subject.bridge.blocks[1].modules() if type(m).__name__.endswith("TopKRouter"))
    handle = router.register_forward_hook(route_without([0, 2], family == "mixtral"))
    try:
        with torch.inference_mode():
            slow = subject.bridge(torch.tensor([pair.clean_ids for pair in prompts.pairs]))[:, -1].numpy()
    finally:
        handle.remove()
    np.testing.assert_allclose(found, slow, rtol=0, atol=1e-4 * np.abs(slow).max())
    assert np.abs(found - read(subject, prompts, CLEAN_RUN)[0]).max() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_changes_nothing_for_tokens_sent_elsewhere(family: str, load_family: Load) -> None:
    """At the last position only the chosen experts matter there; the others' edits are exactly nothing."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6])
    last = subject.geometry.n_layers - 1
    (routing,) = subject.read_routing(prompts)
    chosen = set(routing.index[-1, -1].tolist())
    parts = [Component(last, Kind.EXPERT, expert, -1) for expert in range(subject.geometry.n_experts)]
    clean, *edited = read(subject, prompts, CLEAN_RUN, *(intervene([p], Replacement.ZERO) for p in parts))
    for part, logits in zip(parts, edited, strict=True):
        moved = np.abs(logits - clean).max()
        assert moved > 1e-2 if part.index in chosen else moved < 1e-5, str(part)


def test_tokens_sent_are_counted_over_all_choices(load_family: Load) -> None:
    subject = load_family("mixtral")
    prompts = tokenise_letters(subject.tokenizer, [6, 9])
    slots = count_slots(subject, prompts)
    n_tokens = sum(len(pair.clean_ids) for pair in prompts.pairs)
    for layer in range(subject.geometry.n_layers):
        assert sum(n for part, n in slots.items() if part.layer == layer) == 2 * n_tokens


def test_what_would_do_nothing_is_refused_by_name(load_family: Load) -> None:
    assert not load_family("mixtral").mixture.scores_are_read
    with pytest.raises(InterventionRefused, match="scores of L1.ROUTER"):
        Edit(parse_component("L1.ROUTER"), Replacement.ZERO)
    with pytest.raises(InterventionRefused, match=r"L1\.H0 → router_mask"):
        Edit(parse_component("L1.H0"), ROUTING[0])
    with pytest.raises(InterventionRefused, match="beside another edit"):
        Intervention((Edit(parse_component("L1.E0"), ROUTING[0]), Edit(parse_component("L1.E1"), Replacement.ZERO)))


def test_the_size_of_a_change_is_that_of_the_outputs(load_family: Load) -> None:
    """Zeroing an expert changes the outputs by its weighted output: the root mean square over the tokens sent to it."""
    subject = load_family("mixtral")
    prompts = tokenise_letters(subject.tokenizer, [6] * 3)
    part = parse_component("L1.E2")
    (found,) = subject.activation_change_rms(prompts, [part], Replacement.ZERO)
    module = find_experts(subject.bridge)[1]
    runner = LiteralRunner(subject.bridge)
    with torch.inference_mode():
        sizes = [
            float((share * write(module, token, 2)).norm())
            for pair in prompts.pairs
            for token, chosen, shares in zip(*runner.sent_to(pair.clean_ids)[1], strict=True)
            for expert, share in zip(chosen.tolist(), shares, strict=True)
            if expert == 2
        ]
    assert found == pytest.approx(np.sqrt(np.mean(np.square(sizes))), rel=1e-4)
    (mean,) = subject.activation_change_rms(
        prompts, [part], Replacement.MEAN, means=subject.capture_means(prompts, kinds=[Kind.EXPERT])
    )
    assert mean > 0


def test_a_mask_that_does_not_reach_the_router_gives_no_number(
    load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("mixtral")
    prompts = tokenise_letters(subject.tokenizer, [6])
    monkeypatch.setattr(
        experts._MaskScores,
        "__torch_function__",
        lambda self, func, types, args=(), kwargs=None: func(*args, **(kwargs or {})),
    )
    with pytest.raises(ControlFailed, match="masked expert"):
        read(subject, prompts, intervene([parse_component("L1.E0")], ROUTING[0]))


@pytest.mark.parametrize("error", [TypeError("two arguments"), ControlFailed("another contract")])
def test_mixture_layers_of_another_kind_are_left_out_with_a_reason(
    error: Exception, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("mixtral")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("audit_core.engine.mixture_check._check", fail)
    report = check_mixtures(subject.runner.model, find_mixtures(subject.bridge), {}, torch.tensor([[1, 2]]))
    assert str(error) in report.why_not
