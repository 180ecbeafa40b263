"""Prompts of hundreds of tokens on the pages: a job instead of a page without an answer, and figures of two screens at most."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core import CLEAN_RUN, Direction, PromptSet, Replacement, intervene, parse_components, tokenise
from audit_core.engine import memory
from audit_core.prompts import Prompt
from audit_core.store import note_opened
from tests.pages.test_dead_hook_on_the_page import texts, wait_for
from tests.pages.test_live_audit_page import open_page
from ui.flow import actions, services
from ui.flow.model_pool import ModelPool
from ui.parts.long_prompts import MOST_BLOCKS, MOST_ROWS, describe_rows, pick_rows, pool_pattern
from ui.parts.token_figures import pattern, token_bars

N = 400
"""Tokens of the long prompts, with the first of the model."""


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Random weights with room for long prompts: the limit is in the configuration alone."""
    from toy.models import build_random, load

    folder = build_random("llama", tmp_path_factory.mktemp("long"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    return load(folder)


def write_long() -> PromptSet:
    from toy.models import LETTERS

    draw = np.random.default_rng(0)
    prompts = []
    for at in range(4):
        words = [LETTERS[i] for i in draw.integers(0, 9, N - 1)]
        other = [*words[: N // 2], "z", *words[N // 2 + 1 :]]
        prompts.append(Prompt(f"{at}", " ".join(words), " ".join(other), " a", " b", f"t{at}"))
    return PromptSet("long", tuple(prompts), "")


def test_of_a_long_prompt_the_largest_of_each_list_are_drawn_in_its_order() -> None:
    looks, does = np.zeros(N), np.zeros(N)
    looks[[7, 300]], does[[3, 399]] = (0.5, 0.4), (-2.0, 1.0)
    drawn = pick_rows(looks.tolist(), does.tolist())
    assert {3, 7, 300, 399} <= set(drawn)
    assert list(drawn) == sorted(drawn)
    assert len(drawn) <= MOST_ROWS
    figure = token_bars(does.tolist(), ["<b>"] * N, unit="logits", is_effect=True, rows=drawn)
    assert figure.layout.height < 1600
    assert dict(zip(figure.data[0].y, figure.data[0].x, strict=True))["3 '&lt;b&gt;'"] == -2
    assert f"{len(drawn)} of {N} tokens" in describe_rows(N, drawn, "effect")
    assert pick_rows(looks[:MOST_ROWS].tolist()) == tuple(range(MOST_ROWS)), "a short prompt is drawn whole"
    assert not describe_rows(MOST_ROWS, range(MOST_ROWS), "effect")


@pytest.mark.parametrize("n", [MOST_BLOCKS, 1001])
def test_a_map_of_blocks_has_every_peak(n: int) -> None:
    weights = np.zeros((n, n), np.float32)
    weights[n - 1, n - 1], weights[n // 2, 1] = 0.75, 0.5
    cells, size = pool_pattern(weights)
    assert len(cells) <= MOST_BLOCKS
    assert (cells[(n - 1) // size, (n - 1) // size], cells[n // 2 // size, 0 if size > 1 else 1]) == (0.75, 0.5)
    assert np.count_nonzero(cells) == 2
    figure = pattern(weights, ["a"] * n)
    assert figure.layout.height <= 150 + 18 * MOST_ROWS
    assert len(set(figure.data[0].x)) == len(cells), "labels of a category axis that are equal would be one column"


def test_a_long_prompt_is_answered_by_jobs_that_begin_when_asked_and_equal_the_answer_at_once(
    home: Path, long_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: long_model)
    # A pool of its own: later tests of this process want the planted model by this name.
    monkeypatch.setattr(services, "POOL", ModelPool())
    note_opened(home, "planted-strict")
    key = actions.keep_own(write_long())
    pair, of_the_head = tokenise(write_long(), long_model.tokenizer).pairs[0], parse_components("L1.H0")[0]
    hows = (CLEAN_RUN, intervene([of_the_head], Replacement.RESAMPLE, direction=Direction.NOISING))
    wanted = [long_model.patterns(pair, how)[1, 0] for how in hows]
    # Patterns of all heads do not fit from here on, as above 527 tokens of the default model.
    monkeypatch.setattr(memory, "PATTERN_BYTES", 1)
    link = {"model": "planted-strict", "set": key, "scope": "one", "prompt": "0", "c": "L1.H0"}
    # Every run of so small a model is quick: here a moment is no time at all, so that each is a long one.
    monkeypatch.setattr("ui.flow.answers.AT_ONCE_WORK", 0)
    monkeypatch.setattr("ui.flow.answers.AT_ONCE_S", 0.0)
    monkeypatch.setattr("ui.flow.answers.UNASKED_S", -1.0)
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(
        "ui.live.show.pattern", lambda weights, tokens: (drawn.append(weights), pattern(weights, tokens))[1]
    )
    test = open_page(tab="Attention pattern", **link)
    wait_for(test, lambda t: any(b.key == "start-job-ablation" for b in t.button))
    assert not test.exception
    assert {"start-job-ablation", "start-job-attention", "start-job-sweep"} <= {b.key for b in test.button}
    assert not [s for s in test.markdown if s.value.startswith("**Replacing")], "nothing began unasked"
    options = test.selectbox(key="prompt").options
    assert max(map(len, options)) < 200, "the list of prompts names them by their ends"
    test.button(key="start-job-ablation").click().run()
    wait_for(test, lambda t: "Replacing L1" in texts(t))
    # The pattern of so long a prompt is a job of its own; both runs are drawn, of the head in focus.
    wait_for(test, lambda t: "under the intervention" in texts(t))
    assert "in blocks of 3 tokens" in texts(test).replace("\\", "")
    for weights, want in zip(drawn[-2:], wanted, strict=True):
        np.testing.assert_array_equal(weights, want)
    # The same where a machine is so fast that it is no job.
    monkeypatch.setattr("ui.flow.answers.AT_ONCE_WORK", 10**12)
    monkeypatch.setattr("ui.flow.answers.AT_ONCE_S", 1e9)
    drawn.clear()
    at_once = open_page(tab="Attention pattern", **link)
    wait_for(at_once, lambda t: len(drawn) >= 2)
    for weights, want in zip(drawn[-2:], wanted, strict=True):
        np.testing.assert_array_equal(weights, want)
