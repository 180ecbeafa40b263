"""Everything that a model on another device gives has the bits of the CPU, and nothing that it uses was left there.

There is no GPU here: `toy.second_device` refuses mixed tensors and unasked copies as one does, with the CPU's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from agreement.test_feature_edits import SETTINGS, draw_dictionary_of
from toy import second_device as second
from toy.models import build_random, load
from toy.prompts import tokenise_letters
from toy.second_device import DEVICE, SecondDeviceTensor, second_device

from audit_core.activations import Sampling
from audit_core.attributions.relevance import Rules
from audit_core.component import Component, Kind
from audit_core.connection import list_connections
from audit_core.engine import device_check, gradients, layered
from audit_core.engine.last_position import LastPosition
from audit_core.engine.path_gradients import integrate_adaptively, integrate_gradients
from audit_core.engine.paths import check_contributions, check_reactions, run_connections
from audit_core.engine.pattern_gradients import read_attention_records
from audit_core.errors import ModelRefused, NotMeasured, Refused
from audit_core.estimator import EstimateRequest
from audit_core.explanations.gradients import differentiate_embeddings
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.subject import no_progress
from audit_core.subjects import transformer

KINDS = (Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.PATTERN, Kind.EDGE, Kind.HEAD, Kind.NEURON, Kind.MLP)
WAYS = (
    Replacement.RESAMPLE,
    Replacement.ZERO,
    Replacement.NOISE,
    Replacement.MEAN,
    Replacement.MEAN_TEMPLATE,
    Replacement.SCALE,
)
NEEDS_DIRECTION = (Replacement.ADD, Replacement.SET)
Both = tuple[Any, Any]


@pytest.fixture(scope="module")
def open_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Both]]:
    """A family on the CPU, and opened on the second device with all that is checked there."""
    known: dict[str, Both] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "require_device", lambda _: None)
        patch.setattr(device_check, "name_device", lambda _: "second device")
        patch.setattr(device_check, "measure_free", lambda _: 1 << 30)

        def find(family: str) -> Both:
            if family not in known:
                folder = build_random(family, tmp_path_factory.mktemp(family))
                on_cpu = load(folder)
                with second_device():
                    there = transformer.load_transformer(folder, DEVICE.type)
                # Products of the same shapes: others round in another way.
                assert there.runner.chunk_room is not None
                there.runner.chunk_room = None
                known[family] = on_cpu, there
            return known[family]

        yield find


def ask(subject: Any) -> TokenisedPrompts:
    return tokenise_letters(subject.tokenizer, (5, 5, 7, 7), n_templates=1)


def list_edits(subject: Any) -> list[Intervention]:
    """Every kind with every replacement; layers, positions and runs by turns."""
    asked, sides = [CLEAN_RUN, CORRUPTED_RUN], tuple(PromptSide)
    for number, kind in enumerate(KINDS):
        ways = (*WAYS, Replacement.UNIFORM, Replacement.PERMUTED) if kind is Kind.PATTERN else WAYS
        for turn, way in enumerate(ways, number):
            at, key = (-1, 1) if kind is Kind.EDGE else ((None, -1)[turn % 2], None)
            part = Component(turn % 3, kind, 0, at, key)
            asked.append(Intervention((Edit(part, way, 2.0),), sides[turn // 2 % 2]))
    unit = tuple(float(x) for x in np.eye(subject.geometry.d_model)[3])
    for way in (Replacement.ADD, Replacement.SET, Replacement.RESAMPLE):
        asked.append(Intervention((Edit(Component(1, Kind.RESID, 0), way, 1.5, unit),), PromptSide.CLEAN))
    # Two heads that are no neighbours, for an index that is no slice.
    return [*asked, intervene([Component(1, Kind.HEAD, 0), Component(1, Kind.HEAD, 2)], Replacement.MEAN)]


def run_edits(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    kinds = [kind for kind in KINDS if kind is not Kind.PATTERN]
    means = replace(subject.capture_means(prompts, kinds=kinds), ranges=subject.capture_ranges(prompts))
    asked = [
        *list_edits(subject),
        Intervention((Edit(Component(1, Kind.MLP, 0), Replacement.IN_RANGE),), PromptSide.CLEAN),
    ]
    found = subject.run(prompts, asked, means=means, vocabulary=True, seed=3)
    few = subject.run(prompts, asked, means=means, seed=3)
    kept = [values for by_kind in means.activations.values() for values in by_kind.values()]
    return [found.vocabulary, found.norms, few.answer, few.foil, np.array(found.edits_applied), means.ranges, *kept]


def read_patterns(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    edit = intervene([Component(1, Kind.HEAD, 0)], Replacement.ZERO)
    pair, of_one = (
        prompts.pairs[0],
        [subject.pattern_of(prompts.pairs[0], one, Component(1, Kind.HEAD, 0)) for one in (edit, CLEAN_RUN)],
    )
    return [subject.patterns(pair, edit), *of_one, *subject.attention_to_last(prompts)]


def read_streams(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    rows = [pair.clean_ids for pair in prompts.pairs]
    change = subject.measure_losses(rows, 1, lambda tokens: tokens * np.float32(1.5))
    tokens = [values for one in subject.read_tokens(rows, 1) for values in vars(one).values()]
    streams = [subject.read_residuals(rows, [-1] * len(rows), (0, 2)), *subject.read_stream(rows, 1), *tokens]
    return [
        *streams,
        change,
        subject.measure_losses(rows, 1, None),
        subject.read_inputs(rows),
        subject.read_unembedding(),
    ]


def steer_texts(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    rows = [pair.clean_ids for pair in prompts.pairs if len(pair.clean_ids) == len(prompts.pairs[0].clean_ids)]
    steps = np.random.default_rng(0).normal(size=(len(rows), subject.geometry.d_model)).astype(np.float32)
    found = []
    for temperature in (0.0, 0.7):
        sampling = Sampling(3, temperature, 5, tuple(range(len(rows))))
        written = subject.write_steered(rows, 1, steps, sampling, [[1, 2], [3]])
        found += [written.ids, written.first]
    shift = subject.measure_shift(rows[0], rows, 1, steps)
    return [*found, shift.kl, shift.largest]


def differentiate(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    runner, found = subject.runner, []
    kinds = (Kind.RESID, Kind.QUERY, Kind.PATTERN, Kind.HEAD, Kind.NEURON, Kind.MLP)
    for batch in gradients.batch_prompts(runner, prompts):
        rows = gradients.embed(runner, batch.list_ids(PromptSide.CLEAN))
        one = gradients.measure_gradients(
            runner, rows, batch.answers, batch.foils, kinds, batch.calls, dropped=[1] * len(rows)
        )
        found += [value.cpu().numpy() for kept in (one.activations, one.gradients) for value in kept.values()]
    for _, estimator in sorted(list_plugins("estimators").items()):
        request = EstimateRequest(prompts, Kind.HEAD, Replacement.RESAMPLE, PromptSide.CLEAN)
        found.append(estimator.estimate(subject, request, on_progress=no_progress).support)
    task: Any = SimpleNamespace(subject=subject, prompts=prompts, on_progress=no_progress)
    found += [values for one in differentiate_embeddings(task) for values in vars(one).values()]
    found += [
        values
        for _, one in read_attention_records(subject, prompts, with_gradients=True)
        for values in vars(one).values()
    ]
    rules = Rules(runner)
    if not rules.why_not:
        with runner.lock, rules.apply():
            one = gradients.measure_gradients(runner, rows, batch.answers, batch.foils, (Kind.RESID,), batch.calls)
        found.append(one.gradients[Kind.RESID, 0].cpu().numpy())
    pair, start = prompts.pairs[0], differentiate_embeddings(task)[0].embedding * np.float32(0.9)
    paths = [
        integrate_gradients(subject, pair, start, steps=4, most=8),
        *integrate_adaptively(subject, [pair], [start]),
    ]
    return [*found, *(one.relevance for one in paths if not isinstance(one, NotMeasured))]


def read_lenses(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    found = subject.read_lenses(prompts)
    last = LastPosition(subject.runner, prompts.pairs)
    states = last.read(1)
    return [
        found.stream,
        found.heads,
        found.mlps,
        found.rest,
        states,
        last.finish(states * 2, 1),
        last.differentiate(1),
    ]


def follow_paths(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    parts = [
        Component(0, Kind.HEAD, 1),
        Component(1, Kind.HEAD, 2),
        Component(1, Kind.MLP, 0),
        Component(2, Kind.MLP, 0),
    ]
    bundles = [(one,) for one in list_connections(parts, split=True, is_parallel=False)]
    check_reactions(subject, prompts, bundles, seed=0)
    check_contributions(subject, prompts)
    found = []
    for way in (Replacement.RESAMPLE, Replacement.NOISE):
        logits = run_connections(subject, prompts, bundles, replacement=way, seed=1)
        found += [logits.answer, logits.foil]
    return [*found, np.array(subject.activation_change_rms(prompts, parts, Replacement.RESAMPLE))]


def run_layer_by_layer(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    """As prompts whose unedited runs are too large to keep."""
    means = subject.capture_means(prompts, kinds=[Kind.HEAD, Kind.MLP])
    asked = [intervene([Component(1, kind, 0)], way) for kind in (Kind.HEAD, Kind.MLP) for way in WAYS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layered, "KEPT_BYTES", 0)
        found = subject.run(prompts, asked, means=means, seed=3)
    return [found.answer, found.foil]


def edit_features(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    dictionary = draw_dictionary_of(subject, [pair.clean_ids for pair in prompts.pairs])
    named = subject.with_dictionary(dictionary, "drawn")
    means = named.capture_means(prompts, kinds=[Kind.FEATURE])
    part = named.components(Kind.FEATURE)[2]
    asked = [
        Intervention((Edit(part, way, factor),), PromptSide.CLEAN)
        for way, factor in SETTINGS
        if way not in NEEDS_DIRECTION
    ]
    found = named.run(prompts, [*asked, intervene([part], Replacement.MEAN)], means=means, seed=3)
    return [found.answer, found.foil, means.features]


DIFFERENTIATED = (differentiate, read_lenses)
READINGS = (
    run_edits,
    run_layer_by_layer,
    edit_features,
    read_patterns,
    read_streams,
    steer_texts,
    differentiate,
    read_lenses,
    follow_paths,
)


def compare(both: Both, read: Callable[[Any, TokenisedPrompts], list[Any]]) -> None:
    on_cpu, there = both
    prompts = ask(on_cpu)
    wanted = read(on_cpu, prompts)
    with second_device():
        found = read(there, prompts)
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        # Without gradients the same bits. PyTorch differentiates SiLU of a wrapped tensor by another formula.
        within = 1e-5 * max(0.1, float(np.abs(other).max())) if read in DIFFERENTIATED else 0
        assert one is not None
        np.testing.assert_allclose(one, other, rtol=0, atol=within)


@pytest.mark.parametrize(("family", "read"), [*(("llama", read) for read in READINGS), ("gpt2", run_edits)])
def test_another_device_gives_the_bits_of_the_cpu(open_both: Callable[[str], Both], family: str, read: Any) -> None:
    assert all(isinstance(one, SecondDeviceTensor) for one in open_both(family)[1].bridge.parameters())
    compare(open_both(family), read)


def test_what_is_left_on_the_cpu_is_refused(open_both: Callable[[str], Both], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake that the device is there to find, planted: else equal bits would say nothing of where tensors are."""
    _, there = open_both("llama")
    prompts = ask(there)
    mean, noise = (
        intervene([Component(1, Kind.HEAD, 0), Component(1, Kind.HEAD, 2)], way)
        for way in (Replacement.MEAN, Replacement.NOISE)
    )
    with second_device():
        means = there.capture_means(prompts, kinds=[Kind.HEAD])
        for place, wrong, says in (
            ("audit_core.engine.sites.HookedModel.place_tokens", lambda _, rows: torch.tensor(rows), "same device"),
            ("audit_core.engine.means.from_numpy", lambda array, _: torch.from_numpy(array), "same device"),
            ("audit_core.engine.runner.to_numpy", lambda tensor: tensor.numpy(), "copy it to the CPU"),
            (
                "audit_core.engine.replacing.disturb",
                lambda part, generator: part + torch.randn(part.shape),
                "same device",
            ),
        ):
            there.runner.clear_captures()
            with monkeypatch.context() as patch, pytest.raises((RuntimeError, TypeError), match=says):
                patch.setattr(place, wrong)
                there.run(prompts, [CLEAN_RUN, mean, noise], means=means)
        there.run(prompts, [CLEAN_RUN, mean, noise], means=means)


@pytest.mark.parametrize(
    ("lost", "says"),
    [(13, r"different logits from the model itself \(off by 0\.0"), (10, "differ from those on the CPU by 0.00")],
)
def test_a_device_with_other_arithmetic_is_refused(
    open_both: Callable[[str], Both], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: int, says: str
) -> None:
    """TF32 loses 13 bits of a factor. Smaller differences pass the tolerance between libraries, and not that between devices."""
    folder = build_random("llama", tmp_path)

    def round_factors(func: Any, args: Any, kwargs: Any) -> Any:
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            args = tuple(SecondDeviceTensor(cut(x.inner)) if isinstance(x, SecondDeviceTensor) else x for x in args)
        return own(func, args, kwargs)

    def cut(x: torch.Tensor) -> torch.Tensor:
        return (x.contiguous().view(torch.int32) & -(1 << lost)).view(torch.float32)

    own = second.run
    monkeypatch.setattr(second, "run", round_factors)
    with second_device(), pytest.raises(ModelRefused, match=says):
        transformer.load_transformer(folder, DEVICE.type)


def test_shuffled_weights_compute_where_their_model_does(open_both: Callable[[str], Both]) -> None:
    on_cpu, there = open_both("llama")
    prompts = ask(on_cpu)
    wanted = on_cpu.randomised(1, seed=0)
    with second_device():
        found = there.randomised(1, seed=0)
        logits = found.run(prompts, [CLEAN_RUN]).answer
    assert found.identity.device == DEVICE.type
    assert all(isinstance(one, SecondDeviceTensor) for one in found.bridge.parameters())
    np.testing.assert_array_equal(logits, wanted.run(prompts, [CLEAN_RUN]).answer)


def test_the_jacobian_lens_is_refused_there(open_both: Callable[[str], Both]) -> None:
    _, there = open_both("llama")
    with pytest.raises(Refused, match="Jacobian lens of a model on lazy"):
        there.read_jacobian_lens(ask(there), ask(there))


def edit_experts(subject: Any, prompts: TokenisedPrompts) -> list[Any]:
    means = subject.capture_means(prompts, kinds=[Kind.EXPERT])
    part = Component(1, Kind.EXPERT, 1)
    asked = [intervene([part], way) for way in (*WAYS, Replacement.ROUTER_MASK, Replacement.REWEIGHTED)]
    unit = tuple(float(x) for x in np.eye(subject.geometry.d_model)[3])
    asked.append(Intervention((Edit(part, Replacement.ADD, 1.5, unit),), PromptSide.CLEAN))
    asked.append(intervene([part, Component(1, Kind.EXPERT, 2)], Replacement.FORCED))
    routed = [values for one in subject.read_routing(prompts) for values in (one.index, one.weights, one.norms)]
    return [subject.run(prompts, asked, means=means, vocabulary=True, seed=3).vocabulary, *routed]


def test_experts_give_the_bits_of_the_cpu(open_both: Callable[[str], Both]) -> None:
    compare(open_both("mixtral"), edit_experts)
