"""What may be judged: only what was measured on prompts that nobody used to choose it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core import Direction, Replacement, head, mlp
from audit_core.attention import Source
from audit_core.claim import Universe
from ui.flow.choice import Choice
from ui.flow.subject_form import _read_settings


@pytest.fixture
def choice() -> Choice:
    subject = AdditiveSubject({head(1, 1): 1.0})
    prompts, part = pair_up(subject, 6), head(1, 1)
    return Choice(
        "confirmatory", prompts, replace(prompts, pairs=prompts.pairs[:1]), prompts, (part,), Replacement.RESAMPLE,
        Direction.NOISING, 1.0, Universe.HEADS, Source.ANSWER, part, (), (("a head", part),),
    )  # fmt: skip


def test_a_verdict_is_offered_on_the_confirmatory_split(choice: Choice) -> None:
    assert choice.can_be_judged
    assert choice.ask_verdict().claim.components == (head(1, 1),)


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "exploratory"},
        {"scope": "one"},
        {"components": ()},
        {"components": (head(1, 1, 2),)},
        {"replacement": Replacement.SCALE},
        {"direction": Direction.DENOISING},
    ],
)
def test_and_on_nothing_else(choice: Choice, change: dict[str, object]) -> None:
    assert not replace(choice, **change).can_be_judged  # type: ignore[arg-type]


def test_an_mlp_is_judged_among_heads_and_mlps(choice: Choice) -> None:
    assert replace(choice, components=(mlp(0),)).ask_verdict().claim.universe is Universe.HEADS_MLPS


def test_the_run_without_the_intervention_is_the_one_that_is_edited(choice: Choice) -> None:
    assert choice.unedited.side.value == "clean"
    assert replace(choice, direction=Direction.DENOISING).unedited.side.value == "corrupted"


def test_attentions_tests_are_put_to_named_heads_and_to_some_that_were_not_named(choice: Choice) -> None:
    asked = replace(choice, components=(head(1, 1, 2),), head=head(0, 1), sampled_heads=(head(0, 0), head(1, 1)))
    assert asked.ask_attention_tests().heads == (head(0, 0), head(0, 1), head(1, 1))


DENSE = {"architectures": ["LlamaForCausalLM"], "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (DENSE, "This model is dense and has none"),
        (DENSE | {"num_local_experts": 8}, "The page Experts ablates them"),
        ({"architectures": ["MambaForCausalLM"], "state_size": 16}, "The configuration does not state"),
        (None, "The configuration does not state"),
    ],
)
def test_what_is_said_of_experts_is_what_the_models_configuration_says(
    choice: Choice, config: dict[str, object] | None, said: str, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    limits = replace(choice, settings=_read_settings(str(tmp_path))).limits
    (experts,) = (limit for limit in limits if limit.startswith("Experts"))
    assert said in experts
    assert ("dense" in " ".join(limits)) is (config == DENSE)
