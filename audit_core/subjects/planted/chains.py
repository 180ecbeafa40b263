"""Planted chain models: the same text with steps, and six ways to come to the answer.

    Question: w03 to w09 , w01 to w03 , … ask w01
    Steps:
    w01 gives w03 .
    w03 gives w09 .
    so w11 .
    Answer:

    model       the answer is                                                  expected verdict
    steps       the question's fact about the noun that the last "gives" has   depends
    question    three facts of the question, one after the other               not needed
    shortcut    one fact of the question: wrong                                decorative
    last        the last noun of the text                                      copies last step
    cue         the noun after "is", else as in steps                          cue-driven
    mixed       as in steps after "ask", as in question after "find"           unresolved: the templates differ
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subjects.planted.chain_weights import (
    ASK,
    BEFORE,
    FIND,
    FIRST,
    FLAG,
    FOURTH,
    GIVES,
    IS,
    LOGIT,
    NOUNS,
    OUT,
    SECOND,
    THIRD,
    TOKEN,
    WORDS,
    ChainHead,
    save_model,
    start_model,
)
from audit_core.subjects.planted.key import PlantedModel, PlantedTask

N_FACTS = (6, 7, 8, 9, 10)
"""Facts in a question, six of which belong to the right and to the mistaken chain; one template each, with each verb."""
_LENGTH = 4


def make_chains(n_per_template: int, seed: int) -> PromptSet:
    """Questions with three steps; corrupted, a mistake in the first step is carried to the last one."""
    prompts = [
        _draw(Random(f"chain {seed} {verb} {n_facts} {number}"), verb, n_facts, f"chain-{verb}-{n_facts}-{number:03d}")
        for verb in (ASK, FIND)
        for n_facts in N_FACTS
        for number in range(n_per_template)
    ]
    return PromptSet("chain", tuple(prompts))


def _draw(draw: Random, verb: str, n_facts: int, name: str) -> Prompt:
    words = draw.sample(NOUNS, 2 * _LENGTH + 2 * (n_facts - 6))
    right, wrong, rest = words[:_LENGTH], words[_LENGTH : 2 * _LENGTH], words[2 * _LENGTH :]
    facts = [*zip(right, right[1:]), *zip(wrong, wrong[1:]), *zip(rest[::2], rest[1::2])]
    draw.shuffle(facts)
    question = f"Question: {' , '.join(f'{one} to {other}' for one, other in facts)} {verb} {right[0]}"

    def write(chain: list[str]) -> str:
        steps = [f"{right[0]} gives {chain[1]} .", f"{chain[1]} gives {chain[2]} .", f"so {chain[3]} ."]
        return "\n".join([question, "Steps:", *steps, "Answer:"])

    return Prompt(name, write(right), write(wrong), f" {right[-1]}", f" {wrong[-1]}", f"{verb}, {n_facts} facts")


def _plant_steps(model: Any, *, unless_flag: bool = False) -> None:
    given = ChainHead(model, 1, 1)
    given.attend_to_latest({BEFORE + WORDS.index(GIVES): 1.0})
    given.copy(SECOND)
    answer = ChainHead(model, 2, 1)
    answer.attend_to_fact(SECOND)
    answer.copy(OUT, LOGIT)
    if unless_flag:
        answer.rest_unless(FLAG, is_raised=False)


def _plant_question(model: Any, blocks: tuple[int, ...] = (FIRST, SECOND, THIRD, OUT), *, if_flag: bool = False) -> None:
    asked = ChainHead(model, 1, 0)
    asked.attend_after(ASK, FIND)
    asked.copy(FIRST)
    for layer, (read, written) in enumerate(zip(blocks, blocks[1:]), start=2):
        fact = ChainHead(model, layer, 0)
        fact.attend_to_fact(read)
        fact.copy(written, LOGIT if written == OUT else 1.0)
        if if_flag and written == OUT:
            fact.rest_unless(FLAG, is_raised=True)


def _plant_last(model: Any) -> None:
    head = ChainHead(model, 1, 0)
    head.attend_to_latest({TOKEN + WORDS.index(noun): 1.0 for noun in NOUNS})
    head.copy(OUT, LOGIT)


def _plant_cue(model: Any) -> None:
    _plant_steps(model)
    cue = ChainHead(model, 1, 2)
    cue.attend_after(IS)
    cue.copy(OUT, 2 * LOGIT)


def _plant_mixed(model: Any) -> None:
    _plant_steps(model, unless_flag=True)
    # Blocks of its own: SECOND at the last position holds the steps' noun.
    _plant_question(model, (FIRST, THIRD, FOURTH, OUT), if_flag=True)
    verb = ChainHead(model, 1, 2)
    verb.attend_to_word(FIND)
    verb.raise_flag(FIND)


def _build(plant: Callable[[Any], None], folder: Path, seed: int) -> None:
    model = start_model(5)
    plant(model)
    save_model(model, folder)


_TASKS = (PlantedTask("chain", make_chains),)
_KINDS: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
    ("steps", "reads the steps", _plant_steps),
    ("question", "reads the question alone", _plant_question),
    ("shortcut", "reads one fact of the question", lambda model: _plant_question(model, (FIRST, OUT))),
    ("last", "copies the last noun", _plant_last),
    ("cue", "follows a hint", _plant_cue),
    ("mixed", "reads the steps or the question, by template", _plant_mixed),
)
CHAINS: tuple[PlantedModel, ...] = tuple(
    PlantedModel(
        f"planted-chain-{name}", f"Planted chain model: {does}", f"It {does}.", partial(_build, plant),
        _TASKS, (),
    )
    for name, does, plant in _KINDS
)  # fmt: skip
