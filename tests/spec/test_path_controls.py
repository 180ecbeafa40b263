"""Path patching shows that it is alive: each control has a fault here that it alone reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
import torch
from toy.prompts import tokenise_letters
from transformer_lens.hook_points import HookPoint

from audit_core.audits.paths import PathsAudit, PathsRequest, PathsResult, list_requested
from audit_core.component import Component, Kind, head, mlp, parse_components
from audit_core.connection import parse_connection
from audit_core.engine.paths import find_shape, run_connections
from audit_core.engine.senders import Senders
from audit_core.engine.sites import SiteEdit
from audit_core.errors import ComponentRefused, ControlFailed, InterventionRefused, Refused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
PARTS = parse_components("L0.H1 L0.MLP L1.H0 L2.H3 L2.MLP")


class Deaf:
    """A hook point whose hooks run, and whose returned value nobody takes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def add_hook(self, hook: Any) -> None:
        def run(value: Any, hook_point: Any = None, **_: Any) -> None:
            hook(value, hook_point)

        self.inner.add_hook(lambda value, hook: run(value, hook))

    def remove_hooks(self) -> None:
        self.inner.remove_hooks()


def ask(subject: TransformerSubject, **how: Any) -> PathsRequest:
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 9, 9])
    return PathsRequest(prompts, prompts, PARTS, **how)


def run(subject: TransformerSubject, request: PathsRequest) -> PathsResult:
    return PathsAudit().run(subject, request, means=None, on_progress=lambda done, total: None)


def swap_point(
    subject: TransformerSubject, monkeypatch: pytest.MonkeyPatch, kind: Kind, layer: int, make: Callable[[Any], Any]
) -> None:
    model = subject.runner.model
    points = MappingProxyType({**model.points, (kind, layer): make(model.points[kind, layer])})
    monkeypatch.setattr(subject.runner, "model", replace(model, points=points))


def test_without_a_fault_every_control_passes(load_family: Load) -> None:
    result = run(load_family("llama"), ask(load_family("llama"), split=True))
    assert result.controls.identity_max <= result.controls.tolerance
    assert result.controls.noise_min > 100 * result.controls.tolerance
    assert result.controls.edits == len(result.connections) * result.n


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.HEAD, Kind.MLP])
def test_a_hook_that_does_not_fire_is_reported(kind: Kind, load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_family("llama")
    swap_point(subject, monkeypatch, kind, 2, lambda inner: HookPoint())
    with pytest.raises(ControlFailed, match="did not fire|not applied"):
        run(subject, ask(subject, split=True))


@pytest.mark.parametrize("kind", [Kind.QUERY, Kind.KEY, Kind.VALUE])
def test_an_input_whose_replacement_is_not_used_is_reported(
    kind: Kind, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every connection through it would have an effect of zero."""
    subject = load_family("llama")
    swap_point(subject, monkeypatch, kind, 1, Deaf)
    with pytest.raises(ControlFailed, match=f"{kind} input of every head of layer 1"):
        run(subject, ask(subject, split=True))


@pytest.mark.parametrize(("kind", "layer"), [(Kind.HEAD, 1), (Kind.MLP, 2)])
def test_an_output_whose_replacement_is_not_used_is_reported(
    kind: Kind, layer: int, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("llama")
    swap_point(subject, monkeypatch, kind, layer, Deaf)
    with pytest.raises(ControlFailed, match="this hook does not work"):
        run(subject, ask(subject))


def test_an_output_put_to_another_head_is_reported(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Putting back what was there would then change the other head."""
    subject = load_family("llama")
    taken: list[int] = []

    def confuse(bundle: Any) -> int:
        taken.append(1)
        return int(bundle[0].receiver.index + len(taken)) % 4

    monkeypatch.setattr("audit_core.engine.path_wave._index", confuse)
    with pytest.raises(ControlFailed, match="contributions by themselves"):
        run(subject, ask(subject))


def test_noise_that_goes_nowhere_is_reported(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_family("llama")
    right = Senders.change_stream

    def lose(self: Senders, connections: Any, stream: torch.Tensor) -> torch.Tensor:
        return 0 * stream if self.replacement is Replacement.NOISE else right(self, connections, stream)

    put = Senders.replace_head

    def forget(self: Senders, sender: Component, outputs: torch.Tensor) -> None:
        if self.replacement is not Replacement.NOISE:
            put(self, sender, outputs)

    monkeypatch.setattr(Senders, "change_stream", lose)
    monkeypatch.setattr(Senders, "replace_head", forget)
    with pytest.raises(ControlFailed, match="changed no logit"):
        run(subject, ask(subject))


@pytest.mark.parametrize("lost", [Kind.HEAD, Kind.MLP, Kind.RESID])
def test_a_sender_whose_writing_is_lost_is_reported(
    lost: Kind, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection from it would have an effect of zero; the sum of all contributions lacks its share."""
    subject, right = load_family("llama"), Senders._change

    def lose(self: Senders, edit: SiteEdit, now: torch.Tensor) -> torch.Tensor:
        return right(self, edit, now) * (0 if edit.kind is lost and edit.layer == 0 else 1)

    monkeypatch.setattr(Senders, "_change", lose)
    with pytest.raises(ControlFailed, match="All contributions"):
        run(subject, ask(subject))


def test_an_mlp_that_is_never_called_is_reported(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_family("llama")
    monkeypatch.setattr(
        type(subject.bridge.blocks[0].mlp), "register_forward_pre_hook", lambda *_, **__: torch.nn.Identity()
    )
    monkeypatch.setattr(torch.nn.Identity, "remove", lambda self: None, raising=False)
    with pytest.raises(ControlFailed, match="input of the MLP"):
        run(subject, ask(subject))


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_a_model_that_normalises_what_its_parts_write_is_refused(family: str, load_family: Load) -> None:
    """There no share of the residual stream is any one component's."""
    subject = load_family(family)
    with pytest.raises(Refused, match="does not add the sum"):
        run(subject, ask(subject))


@pytest.mark.parametrize("family", ["granite", "bloom"])
def test_a_model_that_runs_only_as_a_whole_is_refused(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6])
    with pytest.raises(Refused, match="only as a whole|accessible"):
        find_shape(subject)
    with pytest.raises(Refused, match="only as a whole|accessible"):
        run_connections(subject, prompts, [(parse_connection("input>output"),)])


def test_beside_each_other_a_head_does_not_reach_the_mlp_of_its_layer(load_family: Load) -> None:
    parallel, sequential = load_family("gpt_neox"), load_family("gpt2")
    assert find_shape(parallel)
    assert not find_shape(sequential)
    connection = parse_connection("L1.H0>L1.MLP")
    prompts = tokenise_letters(parallel.tokenizer, [6])
    with pytest.raises(InterventionRefused, match="read the same"):
        run_connections(parallel, prompts, [(connection,)])
    run_connections(sequential, prompts, [(connection,)])
    assert connection not in list_requested(parallel, ask(parallel))


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"components": (head(0, 1),)}, ComponentRefused),
        ({"components": (head(0, 1), head(9, 0))}, ComponentRefused),
        ({"components": (head(0, 1, -1), mlp(1))}, ComponentRefused),
        ({"replacement": Replacement.SCALE}, Refused),
        ({"metric": "answer_probability"}, Refused),
    ],
)
def test_what_cannot_be_asked_is_refused(how: dict[str, Any], error: type[Refused], load_family: Load) -> None:
    subject = load_family("gpt2")
    with pytest.raises(error):
        run(subject, replace(ask(subject), **how))


def test_more_than_memory_holds_is_refused(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_family("gpt2")
    monkeypatch.setattr("audit_core.audits.paths.MAX_CONNECTIONS", 10)
    with pytest.raises(ComponentRefused, match="connections"):
        run(subject, ask(subject))


def test_senders_of_two_receivers_are_not_replaced_together(load_family: Load) -> None:
    subject = load_family("gpt2")
    prompts: TokenisedPrompts = tokenise_letters(subject.tokenizer, [6])
    bundle = (parse_connection("L0.H0>L1.H0"), parse_connection("L0.H0>L1.H1"))
    with pytest.raises(InterventionRefused, match="one receiver"):
        run_connections(subject, prompts, [bundle])
    with pytest.raises(InterventionRefused):
        run_connections(subject, prompts, [])
