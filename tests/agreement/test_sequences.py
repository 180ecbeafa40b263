"""Answers of several tokens and sets of answers, held against sums over whole forward passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from scipy.special import log_softmax, logsumexp

from audit_core.audits.sweep import SweepRequest
from audit_core.component import Kind, head, mlp
from audit_core.effect import get_metric, measure_effect
from audit_core.engine.beginnings import merge_beginnings
from audit_core.errors import PromptRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.prompts.sequences import list_places
from audit_core.request import count_places
from audit_core.run import Auditor
from audit_core.store import RunLog, audit_home

SEQUENCES = [("a b", "a c", "d"), ("e", "f g h", "a d")]
"""Right answers and foils: shared beginnings, different lengths, and a first token that both sides have."""
ASKED = (
    CLEAN_RUN,
    CORRUPTED_RUN,
    intervene([head(0, 1), mlp(2)], Replacement.RESAMPLE),
    intervene([head(1, 2)], Replacement.ZERO),
    intervene([head(1, 2)], Replacement.RESAMPLE, direction=Direction.DENOISING),
)


@pytest.fixture(scope="module")
def subject(load_family: Callable[[str], Any]) -> Any:
    return load_family("llama")


def make(subject: Any, answers: tuple[str, ...], foils: tuple[str, ...], n: int = 3) -> TokenisedPrompts:
    texts = [("k l m n", "k o m n"), ("p q r s t", "p q u s t"), ("v w x y", "v z x y")][:n]
    rows = [
        Prompt(f"p{i}", clean, corrupted, f" {answers[0]}", f" {foils[0]}", "t", more_answers=tuple(f" {a}" for a in answers[1:]),
               more_foils=tuple(f" {f}" for f in foils[1:]))
        for i, (clean, corrupted) in enumerate(texts)
    ]  # fmt: skip
    return tokenise(PromptSet("sequences", tuple(rows)), subject.tokenizer)


def log_probability(runner: LiteralRunner, pair: TokenPair, answer: tuple[int, ...]) -> np.ndarray:
    """Σ log p(token | prompt, tokens before it), one forward pass a token and run; shape (run,)."""
    total = 0.0
    for n, token in enumerate(answer):
        longer = replace(pair, clean_ids=pair.clean_ids + answer[:n], corrupted_ids=pair.corrupted_ids + answer[:n])
        logits = runner.run(TokenisedPrompts("one", (longer,), ""), ASKED)[:, 0]
        total = total + log_softmax(logits.astype(float), axis=-1)[:, token]
    return total


@pytest.mark.parametrize("answers, foils", product(SEQUENCES[:1], SEQUENCES[1:]))
def test_the_sequence_metric_is_the_log_odds_of_whole_answers(
    subject: Any, answers: tuple[str, ...], foils: tuple[str, ...]
) -> None:
    """Both ways of the contrast at once: `a b`, `a c` or `d` against `e`, `f g h` or `a d`."""
    prompts = make(subject, answers, foils)
    found = measure_effect(subject, prompts, ASKED[2:], get_metric("sequence_log_probability"), seed=0)
    runner = LiteralRunner(subject.bridge)
    for at, pair in enumerate(prompts.pairs):
        right, wrong = (
            logsumexp([log_probability(runner, pair, s) for s in side], axis=0)
            for side in (pair.contrast.answers, pair.contrast.foils)
        )
        measured = np.array([found.clean[at], found.corrupted[at], *found.patched[:, at]])
        np.testing.assert_allclose(measured, right - wrong, atol=2e-5)
    assert np.ptp(found.patched, axis=0).min() > 1e-3, "the interventions change something"


def test_of_single_tokens_it_is_the_logit_difference(subject: Any) -> None:
    prompts = make(subject, ("a",), ("b",))
    both = [
        measure_effect(subject, prompts, ASKED[2:], get_metric(name), seed=0)
        for name in ("sequence_log_probability", "logit_difference")
    ]
    np.testing.assert_allclose(both[0].patched, both[1].patched, atol=1e-5)


def test_sets_at_one_position_are_log_odds_of_sets_on_every_way_of_reading(subject: Any) -> None:
    prompts = make(subject, ("a", "b", "c"), ("d", "e"))
    found = measure_effect(subject, prompts, ASKED[2:], get_metric("logit_difference"), seed=0)
    whole = LiteralRunner(subject.bridge).run(prompts, ASKED).astype(float)
    ids = prompts.pairs[0].contrast
    wanted = logsumexp(whole[..., list(ids.answer_ids)], axis=-1) - logsumexp(whole[..., list(ids.foil_ids)], axis=-1)
    np.testing.assert_allclose([found.clean, found.corrupted, *found.patched], wanted, atol=2e-5)
    chances = np.exp(log_softmax(whole, axis=-1))
    probability = measure_effect(subject, prompts, ASKED[2:], get_metric("answer_probability"), seed=0)
    wanted = chances[..., list(ids.answer_ids)].sum(-1) - chances[..., list(ids.foil_ids)].sum(-1)
    np.testing.assert_allclose([probability.clean, probability.corrupted, *probability.patched], wanted, atol=1e-6)


def test_a_set_larger_than_anothers_prompts_set_adds_nothing_to_it(subject: Any) -> None:
    """Sets of different sizes in one batch: what fills up the smaller must not count."""
    one, many = make(subject, ("a",), ("d",), 1), make(subject, ("a", "b", "c"), ("d", "e"), 3)
    mixed = replace(many, pairs=(one.pairs[0], *many.pairs[1:]))
    apart = measure_effect(subject, one, (), get_metric("logit_difference"), seed=0).clean
    assert measure_effect(subject, mixed, (), get_metric("logit_difference"), seed=0).clean[0] == pytest.approx(
        apart[0], abs=1e-5
    )


def test_a_metric_of_one_position_refuses_what_no_position_distinguishes(subject: Any) -> None:
    prompts = make(subject, ("a b",), ("a c", "d"))
    with pytest.raises(PromptRefused, match="no token at one position separates answers from foils: 'p0'"):
        measure_effect(subject, prompts, ASKED[2:], get_metric("logit_difference"), seed=0)
    found = measure_effect(subject, prompts, ASKED[2:], get_metric("sequence_log_probability"), seed=0)
    assert np.isfinite(found.patched).all()


@pytest.mark.parametrize("replacement", [Replacement.MEAN, Replacement.RESAMPLE, Replacement.ZERO])
def test_a_sweep_reads_sequences_under_every_replacement(subject: Any, replacement: Replacement) -> None:
    """Means are taken at the places where answers go on, too."""
    rows = make(subject, ("a b",), ("c",), 3).pairs
    prompts = TokenisedPrompts("three", (rows[0], rows[2]), "0" * 64)
    request = SweepRequest(
        prompts, prompts, Kind.HEAD, replacement, Direction.NOISING, metric="sequence_log_probability"
    )
    result = Auditor(subject, RunLog(audit_home())).run("sweep", request, actor=_actor()).result
    assert len(result.cells) == 12
    assert result.unit == "nats"


def _actor() -> Any:
    from audit_core.run import Actor

    return Actor("test", "test")


def test_the_predicted_work_counts_every_answer_and_with_means_every_place(subject: Any) -> None:
    prompts = make(subject, ("a b c", "d e"), ("f g",))
    one, every, means = (
        SweepRequest(prompts, prompts, Kind.HEAD, replacement, metric=name)
        for name, replacement in (
            ("logit_difference", Replacement.ZERO),
            ("sequence_log_probability", Replacement.ZERO),
            ("sequence_log_probability", Replacement.MEAN),
        )
    )
    # After nothing, a, a b, d and f: the longest of each answer holds the others.
    assert [count_places(request) for request in (one, every, means)] == [1, 3, 5]
    assert len(list_places(prompts).prompts) == 5 * len(prompts)
    assert len(merge_beginnings(list_places(prompts).prompts, ASKED).prompts) == 3 * len(prompts)
    auditor = Auditor(subject, RunLog(audit_home()))
    work = [auditor.count_work("sweep", request) for request in (one, every)]
    assert work[1] == pytest.approx(work[0] * 3, abs=1)
