"""The audit of steering: a known direction steers and a random one does not, nothing added changes nothing, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from toy.steering import DOSE, ask_votes, list_votes, read_votes, write_votes
from transformer_lens.hook_points import HookPoint

from audit_core import open_subject
from audit_core.activations import Sampling
from audit_core.component import Kind
from audit_core.data_folder import load_texts
from audit_core.dictionaries.planted import DECOY, USED, write_planted
from audit_core.engine import steer
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.prompts.answers import Tokens
from audit_core.recorded import load_recorded
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import adjust_by_holm
from audit_core.stats.shares import p_above, paired_difference
from audit_core.steering import (
    Concept,
    Difference,
    Method,
    SteeringResult,
    SteeringVerdict,
    draw_random,
    find_directions,
    judge,
    read_concepts,
    read_shipped,
)
from audit_core.steering.concepts import encode_text
from audit_core.steering.conditions import Condition, Outcomes, Writer
from audit_core.steering.ranking import rank_directions
from audit_core.steering.results import STEERED
from audit_core.steering.trial import Group, Measured, Tried
from audit_core.steering.verdicts import choose_strength, find_largest_p, is_raised

AUDIT: Any = get_plugin("audits", "steering")
STEP = 12.0
"""Length of a vector that turns the planted vote."""


@cache
def strict() -> Any:
    return open_subject("planted-strict")


@cache
def rows() -> list[Tokens]:
    return [encode_text(strict().tokenizer, text) for text in list_votes("B", 6)]


def run(request: Any) -> SteeringResult:
    found = AUDIT.run(strict(), request, means=None, on_progress=lambda done, total: None)
    assert isinstance(found, SteeringResult)
    return found


@cache
def votes() -> SteeringResult:
    return run(ask_votes(strict()))


def write(vector: Any, *, n_tokens: int = 1, temperature: float = 0.0, draws: Sequence[int] = range(6)) -> Any:
    steps = None if vector is None else np.tile(np.asarray(vector, np.float32), (len(rows()), 1))
    sampling = Sampling(n_tokens, temperature, 0, tuple(draws))
    return strict().write_steered(rows(), 1, steps, sampling, [[1, 2]])


# A planted direction


def test_a_direction_that_is_known_to_carry_the_answer_steers_and_random_ones_of_its_length_do_not() -> None:
    found = {row.method: row for row in votes().rows if row.concept == "answer A"}
    feature = found[Method.FEATURE]
    assert feature.what == f"L1.F{USED}"
    assert feature.gain is not None
    assert (feature.gain.value, found[Method.NONE].score.value) == (1, 0)
    random = found[Method.RANDOM]
    assert random.strength == feature.strength
    assert random.score.value < 0.1
    beside = next(one for one in votes().differences if one.method is Method.FEATURE and one.baseline is Method.RANDOM)
    # Three verdicts: none of 3 / 0.05 − 1 random directions scores as much, so that the corrected p-value can be 0.05.
    assert (beside.p_random, beside.n_random, votes().n_ranked_on) == (1 / 60, 59, 20)
    assert beside.p is not None
    assert feature.p_adjusted == pytest.approx(3 / 60)
    others = [row for row in found.values() if row.verdict is not None and row is not feature]
    assert all(row.p is not None and row.p_adjusted is not None and row.p <= row.p_adjusted for row in others)


def test_a_direction_that_nothing_reads_does_not_steer() -> None:
    dictionary = write_planted()
    b, a = (strict().tokenizer.encode(letter)[0] for letter in "BA")
    assert set(write(None).ids[:, 0]) == {b}
    assert set(write(STEP * dictionary.decoder[USED]).ids[:, 0]) == {a}
    assert set(write(STEP * dictionary.decoder[DECOY]).ids[:, 0]) == {b}
    assert all(set(write(STEP * one.vector).ids[:, 0]) == {b} for one in draw_random(192, 5, seed=1))


def test_difference_of_means_and_probe_point_from_the_texts_without_to_those_with_the_concept() -> None:
    (concept,) = read_votes().concepts
    found = find_directions(strict(), concept, 1, None)
    assert [one.method for one in found] == [Method.DIFFMEAN, Method.PROBE]
    assert found[0].vector @ write_planted().decoder[USED] > 0.5
    assert found[1].vector @ write_planted().decoder[USED] > 0
    assert all(np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-5) for one in found)


def test_prompts_that_strengths_were_chosen_on_are_not_measured_again() -> None:
    found = votes()
    assert (found.n_chosen_on, found.n) == (12, 24)
    assert all(row.score.n == 24 for row in found.rows if row.method is not Method.RANDOM)
    assert all(row.score.n == 12 for row in found.doses if row.method is not Method.RANDOM)
    assert {row.method for row in found.rows if row.verdict is not None} == set(STEERED)
    assert (found.level, found.n_verdicts) == (1 - 0.05 / 3, 3)


def test_an_equal_seed_gives_equal_numbers_and_another_one_other_random_directions() -> None:
    few = {"prompts": 6, "draws": "1", "temperature": "1"}
    first, again, other = (run(ask_votes(strict(), seed=seed, **few)) for seed in (3, 3, 4))  # type: ignore[arg-type]
    assert first == again
    assert [row.mass for row in first.rows if row.method is Method.RANDOM] != [
        row.mass for row in other.rows if row.method is Method.RANDOM
    ]


# The instrument


def test_a_vector_of_zeros_changes_no_token_and_no_bit_of_a_logit() -> None:
    for temperature in (0.0, 1.0):
        without, nothing = (write(vector, n_tokens=4, temperature=temperature) for vector in (None, np.zeros(192)))
        assert (without.ids == nothing.ids).all()
        assert (without.first == nothing.first).all()
    shift = strict().measure_shift(rows()[0], [rows()[0]], 1, np.zeros((1, 192), np.float32))
    assert (shift.kl[0], shift.largest[0]) == (0, 0)
    assert votes().controls.identity_max == 0


def write_literally(row: Tokens, vector: Any, n_tokens: int) -> tuple[list[int], Any]:
    """One whole pass a token, with the vector added to every position after the first."""
    model, ids = strict().runner.model, list(row)
    added = torch.zeros(1, len(row) + n_tokens, 192)
    added[:, 1:] = torch.as_tensor(vector, dtype=torch.float32)
    for _ in range(n_tokens):
        point = model.find_point(Kind.RESID, 1)
        point.add_hook(lambda value, hook: value + added[:, : value.shape[1]])
        with torch.inference_mode():
            logits = model.bridge(torch.tensor([ids]))[0, -1]
        point.remove_hooks()
        ids.append(int(logits.argmax()))
    return ids[len(row) :], logits


def test_what_is_written_with_cached_keys_is_what_whole_passes_write() -> None:
    for vector in (STEP * write_planted().decoder[USED], 300 * draw_random(192, 1, seed=0)[0].vector):
        found = write(vector, n_tokens=5)
        assert [ids.tolist() for ids in found.ids] == [write_literally(row, vector, 5)[0] for row in rows()]
        assert found.apart < strict().tolerance


def test_equal_noise_gives_equal_texts_and_other_noise_others() -> None:
    same = write(None, n_tokens=4, temperature=2.0, draws=[7] * 6)
    again = write(None, n_tokens=4, temperature=2.0, draws=[7] * 6)
    apart = write(None, n_tokens=4, temperature=2.0, draws=range(6))
    assert (same.ids == again.ids).all()
    assert (same.ids != apart.ids).any()


@contextmanager
def dead(*_: Any, **__: Any) -> Iterator[None]:
    """An edit that is set nowhere."""
    yield


def test_a_dead_hook_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steer, "_added", dead)
    with pytest.raises(ControlFailed, match="this hook does not work"):
        run(ask_votes(strict(), prompts=6, draws="1"))


def test_a_vector_that_is_missing_from_the_written_tokens_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = steer._added
    only_first = lambda *args, is_start: whole(*args, is_start=is_start) if is_start else dead()  # noqa: E731
    monkeypatch.setattr(steer, "_added", only_first)
    with pytest.raises(ControlFailed, match="differs from one pass"):
        run(ask_votes(strict(), prompts=6, draws="1", n_tokens="3", strengths="0.01"))


def test_a_cancelled_run_leaves_no_hook() -> None:
    before = write(STEP * write_planted().decoder[USED], n_tokens=2)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AUDIT.run(strict(), ask_votes(strict(), prompts=6, draws="1"), means=None, on_progress=stop)
    assert not strict().runner.model.find_point(Kind.RESID, 1).has_hooks()
    after = write(STEP * write_planted().decoder[USED], n_tokens=2)
    assert (before.first == after.first).all()


# The verdict


def estimate(value: float, half: float = 0.1, unit: str = "x") -> Estimate:
    return Estimate(value, value - half, value + half, 30, unit, 0.95)


def beside(difference: float, ratio: float = 1.0, half: float = 0.05, p: float = 0.001) -> list[Difference]:
    """A feature that differs from each baseline by as much."""
    return [
        Difference(
            concept="c", method=Method.FEATURE, baseline=baseline, difference=estimate(difference, half),
            ratio=estimate(ratio, 0.05), p=p, p_random=p if baseline is Method.RANDOM else None,
        )
        for baseline in (Method.PROMPTING, Method.DIFFMEAN, Method.RANDOM)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("n", "raised", "differences", "p", "wanted"),
    [
        (30, True, beside(0.3), 0.05, SteeringVerdict.BETTER),
        (30, True, beside(0.3), 0.051, SteeringVerdict.INCONCLUSIVE),
        (30, True, beside(0.3, ratio=1.5), 0.05, SteeringVerdict.WORSE_FLUENCY),
        (30, True, beside(0.3, ratio=1.1), 0.05, SteeringVerdict.INCONCLUSIVE),
        (30, True, beside(0.02), 1.0, SteeringVerdict.NOT_BETTER),
        (30, True, [*beside(0.3)[:2], *beside(-0.3)[2:]], 1.0, SteeringVerdict.NOT_BETTER),
        (30, True, [*beside(-0.3)[:1], *beside(0.3)[1:]], 1.0, SteeringVerdict.NOT_BETTER),
        (30, True, beside(0.1, half=0.2, p=0.2), 0.2, SteeringVerdict.INCONCLUSIVE),
        (19, True, beside(0.3), 0.01, SteeringVerdict.INCONCLUSIVE),
        (30, False, beside(0.02), 1.0, SteeringVerdict.INCONCLUSIVE),
    ],
)
def test_a_direction_is_better_only_above_every_baseline_at_prompting_s_fluency(
    n: int, raised: bool, differences: list[Difference], p: float, wanted: SteeringVerdict
) -> None:
    found, why = judge(n, raised, differences, p)
    assert found is wanted
    assert bool(why) is (wanted is not SteeringVerdict.BETTER)


def test_the_p_value_of_a_verdict_is_that_of_its_weakest_baseline_and_is_corrected_for_all_verdicts() -> None:
    found = [*beside(0.3)[:1], *beside(0.3, p=0.04)[1:]]
    assert find_largest_p(found) == 0.04
    assert find_largest_p([*beside(0.3)[:2], replace(beside(0.3)[2], p_random=0.05)]) == 0.05
    assert find_largest_p([replace(found[0], p=None)]) == 1, "what was not measured is no small p-value"
    assert adjust_by_holm([0.02, 0.01, 0.9]).tolist() == pytest.approx([0.04, 0.03, 0.9])
    _, why = judge(30, True, found, 0.12)
    assert "above each baseline alone" in why
    assert "0.12" in why


def test_a_p_value_and_its_interval_agree_and_a_gain_found_among_many_tries_is_no_positive_control() -> None:
    for pairs in ([1.0] * 3 + [0.0] * 27, [1.0] * 6 + [0.0] * 24, [1.0] * 7 + [-1.0] * 3 + [0.0] * 20, [-1.0] * 30):
        interval = paired_difference(pairs, "x")
        assert interval.low is not None
        assert (p_above(pairs) <= 0.05) is (interval.low > 0)
    assert p_above([-1.0] * 30) == p_above([1.0]) == 1
    weak = [1.0] * 6 + [0.0] * 24
    assert is_raised([weak])
    assert not is_raised([weak, *[[0.0] * 30] * 4])


def outcome(score: float, loss: float, mass: float = 0.0, n: int = 4) -> Outcomes:
    one = np.ones((1, n))
    return Outcomes(("",) * n, score * one, mass * one, loss * one[0], 0 * one[0])


def test_the_chosen_strength_is_the_weakest_of_the_best_among_the_fluent_ones() -> None:
    unedited = outcome(0, 2)
    grades = [outcome(0.25, 2.1), outcome(0.5, 2.5), outcome(0.5, 2.6), outcome(1, 2.01 + log(3))]
    assert choose_strength(grades, unedited, 0) == 1
    assert choose_strength([grades[3], replace(grades[3])], unedited, 0) == 0, "none is fluent: the weakest"
    assert choose_strength([outcome(0, 2), outcome(0, 2, mass=0.1)], unedited, 0) == 1, (
        "equal scores: the log-probability"
    )


@pytest.mark.parametrize(("rivals", "p", "sizes"), [((3, 7), 3 / 10, [9]), ((), 1 / 20, [9, 10])])
def test_more_random_directions_are_drawn_only_for_a_direction_that_none_of_the_first_reaches(
    rivals: tuple[int, ...], p: float, sizes: list[int]
) -> None:
    """Of nine random directions two score as much as DiffMean, or none; one verdict needs nineteen."""
    asked: list[int] = []

    class Rigged(Writer):
        def count_holds(self, conditions: Sequence[Condition], prompts: Any) -> tuple[Any, float]:
            asked.append(len(conditions))
            holds = np.zeros((len(conditions), 1, len(prompts)))
            holds[list(rivals)] = 1
            return holds, 0.0

    request = ask_votes(strict())
    writer = Rigged(strict(), 1, 1.0, request.task.concepts, 1, 0.0, 0, 10, lambda work: None)
    methods = (Method.NONE, Method.PROMPTING, Method.DIFFMEAN, Method.RANDOM)
    groups = [Group(None if one is Method.RANDOM else 0, one, (at,)) for at, one in enumerate(methods) if at]
    outcomes = {at: outcome(float(at == 2), 2, n=24) for at in range(4)}
    tried = Tried(tuple(Condition(one, "", 1.0) for one in methods), tuple(groups), outcomes, 0.0)
    found = rank_directions(writer, request.prompts.take(range(24)), tried, Measured(outcomes, {}, 0.0), 9)
    assert (found.ranks[0, Method.DIFFMEAN].p, asked) == (p, sizes)


def test_equal_differences_have_an_interval_too() -> None:
    found = paired_difference([1.0] * 24, "x")
    assert found.value == found.high == 1
    assert found.low is not None
    assert 0.7 < found.low < 0.9
    nothing = paired_difference([0.0] * 24, "x")
    assert nothing.low == pytest.approx(-((1 / 26 * 1 / 26) ** 0.5) * 2.0687, abs=1e-3)
    assert paired_difference([1.0], "x").low is None


def test_the_interval_of_a_paired_difference_covers_it() -> None:
    draw, hits = np.random.default_rng(0), 0
    for _ in range(400):
        pairs = draw.choice([1.0, 0.0, -1.0], size=24, p=[0.4, 0.5, 0.1])
        found = paired_difference(pairs.tolist(), "x")
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.3 <= found.high
    assert hits / 400 > 0.93


# The file


def test_a_continuation_needs_whole_and_different_words() -> None:
    concept = Concept("n", "n", "", ("two", "été"), 2, "", (), ())
    assert concept.is_in("Two days in an été.")
    assert not concept.is_in("two, two and two")
    assert not concept.is_in("twofold étés")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"[concepts.a]", b"[concepts.a", "is no TOML file"),
        (b"prompts =", b"promts =", "'promts' in the file"),
        (b"words = [\"A\"]", b"words = [\"A B\"]", "'A B' among the words"),
        (b"words = [\"A\"]", b"words = []", "no list 'words'"),
        (b"words = [\"A\"]", b"words = [\"A\"]\nat_least = 2", "at_least = 2"),
        (b"instruction = \"B\"", b"instruction = 3", "no title, rule, instruction"),
        (b"title =", b"extra = 1\ntitle =", "'extra' in a"),
        (b"without =", b"without = []\nx =", "'x' in a"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_with_what_is_wanted(old: bytes, new: bytes, message: str) -> None:
    assert old in write_votes()
    with pytest.raises(Refused, match=message) as refused:
        AUDIT.ask_file(strict(), write_votes().replace(old, new, 1), "own.toml", {})
    assert refused.value.wanted
    assert refused.value.remedy


@pytest.mark.parametrize(
    "more",
    [
        {"strengths": "0"}, {"strengths": "a"}, {"strengths": "1 2 3 4 5 6 7"}, {"n_tokens": "0"}, {"draws": "0"}, {"layer": "9"},
        {"temperature": "3"}, {"temperature": "nan"},
    ],
)  # fmt: skip
def test_a_request_out_of_its_bounds_is_refused_before_any_work(more: dict[str, str]) -> None:
    with pytest.raises(Refused):
        AUDIT.count_work(strict(), ask_votes(strict(), **more))


def test_a_prompt_without_room_for_an_instruction_is_refused() -> None:
    with pytest.raises(Refused, match="No prompt for"):
        AUDIT.count_work(strict(), ask_votes(strict(), n_tokens="60"))


def test_a_concept_whose_words_the_model_lacks_is_not_measured() -> None:
    with pytest.raises(NotMeasured, match="no word of answer A is a single token"):
        run(ask_votes(strict(), prompts=6, words="zebra"))


def test_another_file_another_strength_or_another_dictionary_is_another_question() -> None:
    asked = ask_votes(strict())
    others = [
        ask_votes(strict(), words="B"), ask_votes(strict(), strengths="0.001"), replace(asked, dictionary=""),
        AUDIT.ask_file(strict(), write_votes().replace(b"answer A", b"answer a"), "votes.toml", DOSE),
    ]  # fmt: skip
    assert all(one.describe() != asked.describe() for one in others)


# What ships


def test_the_shipped_concepts_can_be_read_and_no_prompt_or_unrelated_text_holds_one() -> None:
    task, prompts = read_concepts(read_shipped(), "concepts.toml", only=(), others=load_texts())
    assert len(task.concepts) >= 2
    for concept in task.concepts:
        share = np.mean([concept.is_in(text) for text in concept.texts])
        assert share > 0.8, concept.key
        assert not any(concept.is_in(text) for text in (*prompts, *concept.others)), concept.key
    with pytest.raises(Refused, match="No concept 'x'"):
        read_concepts(read_shipped(), "concepts.toml", only=("x",), others=())


def test_the_record_is_of_the_shipped_file_or_of_its_first_form_with_37_prompts() -> None:
    (record,) = load_recorded("steering")
    task, prompts = read_concepts(read_shipped(), "concepts.toml", only=(), others=())
    assert len(prompts) == 100
    assert record.is_of("default")
    first = "d92622bd6f513edcdb66ebc1035db6333fb644e94169b2b745848f9a99cdde2f"
    found = (record.version, record.result.file_sha256, record.result.n + record.result.n_chosen_on)
    assert found in ((1, first, 37), (2, task.sha256, 100))
    if record.version == 2:
        judged = [row for row in record.result.rows if row.verdict is not None]
        assert all(row.p is not None and row.p_adjusted is not None and row.p <= row.p_adjusted for row in judged)
        assert all(row.p_adjusted <= 0.05 for row in judged if row.verdict is SteeringVerdict.BETTER)
    assert record.result.controls.identity_max == 0
    rows = [row for row in record.result.rows if row.verdict is not None]
    assert len(rows) == len(STEERED) * len(task.concepts)
    prompted = [row.gain for row in record.result.rows if row.method is Method.PROMPTING]
    assert any(one.low > 0 for one in prompted), "the positive control of every null: prompting raises a score"


def test_a_hook_that_does_not_fire_stops_the_run(load_planted: Callable[[str], Any]) -> None:
    runner = load_planted("planted-strict").runner
    dead = replace(runner.model, points={**runner.model.points, (Kind.RESID, 1): HookPoint()})
    steps = np.ones((1, runner.geometry.d_model), np.float32)
    rows = [(0, 5, 6, 7)]
    assert steer.measure_shift(runner.model, rows[0], rows, 1, steps, runner.turn).largest[0] > 0
    with pytest.raises(ControlFailed, match="fired 0 times"):
        steer.measure_shift(dead, rows[0], rows, 1, steps, runner.turn)
