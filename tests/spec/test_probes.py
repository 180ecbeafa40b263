"""Probes: a decodable label that is not used, one that is, controls that fail, the algebra of the erasure, and files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import minimize
from toy.probe_texts import write_votes

from audit_core import open_subject
from audit_core.component import resid
from audit_core.effect import measure_effect
from audit_core.errors import Cancelled, InterventionRefused, PromptRefused, Refused
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.probes import DELTA, ProbesRequest, ProbesResult, ProbeVerdict, measure_probes, read_shipped
from audit_core.probes.erasure import Activity, shrink
from audit_core.probes.linear import (
    check_held_out,
    deal_folds,
    deal_words,
    draw_labels,
    fit_probe,
    measure_code,
)
from audit_core.probes.reading import ask_labelled
from audit_core.probes.verdicts import Decoded, Intervened, judge_site
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.subject import no_progress

pytestmark = pytest.mark.usefixtures("short_draws")


@cache
def strict() -> Any:
    return open_subject("planted-strict")


@cache
def ask(label: str, subject: Any = None) -> ProbesRequest:
    made: ProbesRequest = get_plugin("audits", "probes").ask_file(
        subject or strict(), write_votes(label), f"{label}.csv", {"layers": "1"}
    )
    return made


@cache
def measure(label: str) -> ProbesResult:
    return measure_probes(strict(), ask(label), no_progress)


def find_last(found: ProbesResult) -> Any:
    """Before the last layer, at the answer position."""
    return next(site for site in found.sites if site.position == "last")


def test_a_label_that_only_a_decoy_copies_is_decodable_and_not_used() -> None:
    site = find_last(measure("last"))
    assert site.verdict == ProbeVerdict.UNUSED
    assert site.accuracy.value == 1
    assert site.erased_accuracy == pytest.approx(measure("last").chance, abs=0.02)
    assert site.erased.value == pytest.approx(0, abs=0.02)
    assert site.swapped.value == pytest.approx(0, abs=0.02)
    # Positive control: other subspaces of this very site carry the answer.
    assert site.erased_random > 0.3


def test_a_label_that_decides_the_answer_is_found_by_erasure_and_by_swap() -> None:
    """Erased, both answers are as likely: the lead is lost once. Swapped, the answers change places: it is lost twice."""
    site = find_last(measure("majority"))
    assert site.verdict == ProbeVerdict.USED
    assert site.erased.value == pytest.approx(1, abs=0.15)
    assert site.swapped.value == pytest.approx(2, abs=0.2)
    assert site.erased.value > site.erased_random
    assert site.swapped.value > site.swapped_random


def test_random_labels_are_neither_decodable_nor_used() -> None:
    for site in measure("random").sites:
        assert site.verdict in (ProbeVerdict.ABSENT, ProbeVerdict.UNRESOLVED)
        assert not site.accuracy.low > measure("random").chance + DELTA


def test_on_shuffled_weights_no_label_is_called_used() -> None:
    shuffled = strict().randomised(0, seed=0)
    found = measure_probes(shuffled, ask("majority", shuffled), no_progress)
    assert ProbeVerdict.USED not in {site.verdict for site in found.sites}
    assert found.no_use


def test_a_labels_own_value_changes_nothing_and_its_edits_were_applied() -> None:
    found = measure("majority")
    assert found.self_swap <= strict().tolerance
    assert found.controls is not None
    assert found.controls.identity_max <= found.controls.tolerance < found.controls.noise_min


def test_without_answers_the_use_is_not_measured() -> None:
    rows = [line.split(",") for line in write_votes("last").decode().splitlines()]
    raw = "\n".join(",".join((row[0], row[1], row[4])) for row in rows).encode()
    request = get_plugin("audits", "probes").ask_file(strict(), raw, "mine.csv", {"layers": "1"})
    found = measure_probes(strict(), request, no_progress)
    assert found.controls is None
    assert all(site.erased is None and site.verdict == ProbeVerdict.UNRESOLVED for site in found.sites)
    assert "names no answers" in found.finding


def test_a_cancelled_audit_stops() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        measure_probes(strict(), ask("last"), stop)


# The algebra


def draw_activity(n: int = 80, d: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = draw.random(n) < 0.5
    return draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) + y[:, None] * draw.normal(size=d) + 5, y


def erase_literally(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """LEACE as its theorem is written: whiten, project the cross-covariance out, unwhiten."""
    n, d = x.shape
    centred = x - x.mean(0)
    alpha, floor = shrink(np.linalg.eigvalsh(centred.T @ centred / n), d, n)
    covariance = alpha * centred.T @ centred / n + floor * np.eye(d)
    whiten = np.linalg.inv(sqrtm(covariance).real)
    cross = whiten @ centred.T @ (y - y.mean())[:, None] / n
    along = cross @ np.linalg.pinv(cross)
    return x - centred @ (np.linalg.inv(whiten) @ along @ whiten).T


def test_the_erasure_is_leace_as_its_theorem_is_written() -> None:
    x, y = draw_activity()
    fast = Activity(x).fit_label(y)
    np.testing.assert_allclose(fast.erase(x), erase_literally(x, y), atol=1e-8)
    assert fast.reads @ fast.writes == pytest.approx(1)
    assert np.linalg.norm(fast.writes) == pytest.approx(1)


def test_shrinkage_is_the_published_formula() -> None:
    """Bodnar, Gupta and Parolya: α = 1 − |S|²_tr |Σ0|² / n / (|S|² |Σ0|² − ⟨S, Σ0⟩²), β = (1 − α) ⟨S, Σ0⟩ / |Σ0|²."""
    x, _ = draw_activity()
    sample = np.cov(x.T, bias=True)
    even = np.eye(30) * np.trace(sample) / 30
    inner, norm = np.trace(sample @ even), (even**2).sum()
    alpha = 1 - np.trace(sample) ** 2 * norm / 80 / ((sample**2).sum() * norm - inner**2)
    found = shrink(np.linalg.eigvalsh(sample), 30, 80)
    assert found == pytest.approx((alpha, (1 - alpha) * inner / norm * np.trace(sample) / 30))


def test_after_the_erasure_both_labels_have_one_mean_and_no_probe_does_better_than_a_constant() -> None:
    x, y = draw_activity()
    erased = Activity(x).fit_label(y).erase(x)
    np.testing.assert_allclose(erased[y].mean(0), erased[~y].mean(0), atol=1e-9)
    assert np.abs(x[y].mean(0) - x[~y].mean(0)).max() > 0.5, "there was something to erase"
    assert np.trace(np.cov(erased.T)) <= np.trace(np.cov(x.T))


def test_a_random_subspace_has_rank_one_and_leaves_the_label() -> None:
    x, y = draw_activity()
    random = Activity(x).draw_direction(np.random.default_rng(1))
    moved = random.erase(x)
    assert np.linalg.matrix_rank(moved - x, tol=1e-8) == 1
    assert np.abs(moved[y].mean(0) - moved[~y].mean(0)).max() > 0.3


def test_a_probe_is_the_logistic_regression_of_every_feature() -> None:
    """In the span of the texts as in the whole space; by a minimiser that is given all features and no gradient."""
    x, y = draw_activity(n=40, d=3)
    features = (x - x.mean(0)) / x.std(0)

    def loss(theta: np.ndarray) -> float:
        margin = np.where(y, 1, -1) * (features @ theta[:-1] + theta[-1])
        return float(np.logaddexp(0, -margin).sum() + theta[:-1] @ theta[:-1] / 2)

    slow = minimize(loss, np.zeros(4), tol=1e-10).x
    np.testing.assert_allclose(fit_probe(x, y).score(x), features @ slow[:-1] + slow[-1], atol=2e-3)


def test_control_labels_are_memorised_from_known_words_and_not_from_others() -> None:
    """Every word is a random vector: a probe that has seen it knows its random label, in any template."""
    draw = np.random.default_rng(0)
    words = [f"w{at % 12}" for at in range(120)]
    templates = [f"t{at // 12}" for at in range(120)]
    vectors = {word: draw.normal(size=40) for word in sorted(set(words))}
    x = np.array([vectors[word] for word in words]) + 0.1 * draw.normal(size=(120, 40))
    labels, folds = draw_labels(words, seed=3), deal_folds(templates, 4, seed=0)
    assert len({(word, label) for word, label in zip(words, labels)}) == 12
    assert labels.mean() == 0.5
    assert check_held_out(x, labels, folds, None).mean() > 0.95
    assert check_held_out(x, labels, folds, deal_words(words, seed=0)).mean() < 0.8
    assert deal_words(["a", "b"], seed=0) is None


def test_no_text_is_tested_by_a_probe_that_saw_its_template_or_its_word() -> None:
    """A feature for each template and each word gives the label away to a probe that saw them, and to no other."""
    words, templates = [f"w{at % 9}" for at in range(81)], [f"t{at // 9}" for at in range(81)]
    coin = np.random.default_rng(2)
    by_template, by_word = (dict(zip(sorted(set(names)), coin.random(9) < 0.5)) for names in (templates, words))
    for names, sides in ((templates, by_template), (words, by_word)):
        y = np.array([sides[name] for name in names])
        x = np.array([[name == one for one in sorted(set(names))] for name in names], float)
        right = check_held_out(x, y, deal_folds(templates, 4, seed=0), deal_words(words, seed=0))
        assert right.mean() < 0.75


def test_a_code_is_short_for_a_clear_label_and_not_for_a_random_one() -> None:
    x, y = draw_activity(n=96, d=10)
    templates = [f"t{at % 12}" for at in range(96)]
    clear = np.column_stack([np.where(y, 3.0, -3.0), x])
    coin = np.random.default_rng(5).random(96) < 0.5
    assert measure_code(clear, y, templates, seed=0) > 3
    assert measure_code(x, coin, templates, seed=0) < 1.1


# Edits of the engine


def test_set_and_an_oblique_projection_do_what_they_say() -> None:
    """Setting the read coordinate twice is setting it once; the rest of the activation stays. Read back from the model."""
    subject, prompts = strict(), ask("majority").prompts
    draw = np.random.default_rng(0)
    writes = draw.normal(size=192)
    writes /= np.linalg.norm(writes)
    reads = writes + 0.2 * draw.normal(size=192)
    reads /= reads @ writes
    pairs = prompts.take(range(2))

    def run(replacement: Replacement, factor: float = 1.0, other: tuple[float, ...] | None = None) -> Any:
        edit = Edit(resid(1, -1), replacement, factor, tuple(writes), other or tuple(reads))
        return measure_effect(subject, pairs, [Intervention((edit,))], LOGIT_DIFFERENCE, seed=0)

    x = subject.read_residuals([pair.clean_ids for pair in pairs.pairs], [-1, -1], [1])[0].astype(float)
    same = run(Replacement.SET, float(reads @ x[0]))
    assert same.support[0, 0] == pytest.approx(0, abs=1e-3), "the value that it has already"
    assert abs(run(Replacement.SET, float(reads @ x[0]) + 30).support[0, 0]) > 0.01
    assert run(Replacement.IDENTITY).support[0] == pytest.approx(0, abs=subject.tolerance)
    straight = run(Replacement.SET, 3.0, tuple(writes)).support
    assert straight != pytest.approx(run(Replacement.SET, 3.0).support), "what is read matters"


def test_residuals_are_read_where_they_are_edited() -> None:
    """Replacing what enters the layer along each direction by what was read changes nothing."""
    subject, prompts = strict(), ask("majority").prompts.take(range(3))
    at = [-1, 3, 5]
    rows = subject.read_residuals([pair.clean_ids for pair in prompts.pairs], at, [0, 1])
    assert rows.shape == (2, 3, 192)
    unit = np.zeros(192)
    unit[140] = 1
    for row, place in enumerate(at):
        edit = Edit(resid(1, place), Replacement.SET, float(rows[1, row, 140]), tuple(unit))
        one = measure_effect(subject, prompts.take([row]), [Intervention((edit,))], LOGIT_DIFFERENCE, seed=0)
        assert abs(one.support).max() <= subject.tolerance


@pytest.mark.parametrize(
    ("replacement", "direction", "reads"),
    [
        (Replacement.SET, None, None),
        (Replacement.SET, None, (1.0, 0.0)),
        (Replacement.SET, (1.0, 0.0), (1.0,)),
        (Replacement.SET, (1.0, 0.0), (0.5, 1.0)),
        (Replacement.ADD, (1.0, 0.0), (1.0, 1.0)),
    ],
)
def test_a_vector_that_is_read_belongs_to_its_direction(replacement: Any, direction: Any, reads: Any) -> None:
    with pytest.raises(InterventionRefused):
        Edit(resid(0), replacement, 1.0, direction, reads)
    assert Edit(resid(0), Replacement.SET, 1.0, (1.0, 0.0), (1.0, 2.0)).reads == (1.0, 2.0)


# Verdicts


def make(value: float, low: float, high: float, n: int = 40, templates: int = 10) -> Estimate:
    return Estimate(value, low, high, n, "of the lead", 0.95, templates)


GOOD = Decoded(make(0.9, 0.85, 0.95), 0.5)
BIG = Intervened("erased", make(0.8, 0.6, 1.0), make(0.8, 0.6, 1.0), 0.1)
NONE = Intervened("swapped", make(0.0, -0.02, 0.02), make(0.01, 0.0, 0.03), 0.1)


@pytest.mark.parametrize(
    ("decoded", "edits", "after", "verdict", "words"),
    [
        (GOOD, (BIG, BIG), 0.5, ProbeVerdict.USED, ""),
        (GOOD, (NONE, NONE), 0.5, ProbeVerdict.UNUSED, ""),
        (GOOD, (NONE, NONE), 0.9, ProbeVerdict.UNRESOLVED, "left the label decodable"),
        (GOOD, (BIG, NONE), 0.5, ProbeVerdict.UNRESOLVED, "not as clearly when it is swapped"),
        (GOOD, (), None, ProbeVerdict.UNRESOLVED, "no lead"),
        (GOOD, (Intervened("erased", BIG.lost, BIG.moved, 0.9),) * 2, 0.5, ProbeVerdict.UNRESOLVED, "a random subspace"),
        (
            GOOD, (Intervened("erased", make(0.0, -0.02, 0.02), make(0.3, 0.2, 0.4), 0.1),) * 2, 0.5,
            ProbeVerdict.UNRESOLVED, "interval of the change",
        ),
        (Decoded(make(0.5, 0.45, 0.55), 0.5), (BIG, BIG), 0.5, ProbeVerdict.ABSENT, ""),
        (Decoded(make(0.7, 0.55, 0.85), 0.5), (BIG, BIG), 0.5, ProbeVerdict.UNRESOLVED, "includes 0.60"),
        (Decoded(make(0.9, 0.85, 0.95, templates=4), 0.5), (BIG, BIG), 0.5, ProbeVerdict.UNRESOLVED, "fewer than"),
    ],
)  # fmt: skip
def test_a_verdict_needs_both_axes_and_both_edits(
    decoded: Decoded, edits: Any, after: float | None, verdict: ProbeVerdict, words: str
) -> None:
    found, why = judge_site(decoded, edits, after, "no lead")
    assert found is verdict
    assert words in why
    assert bool(why) == (found is ProbeVerdict.UNRESOLVED)


# Files


def read(raw: bytes) -> Any:
    return ask_labelled(raw, "mine.csv", strict().tokenizer, most=100)


def test_each_text_is_paired_with_the_nearest_one_of_the_other_label() -> None:
    prompts, source = read(b"text,label,answer\nA A B =,x,A\nA B B =,y,B\nB B B =,y,B\nA A =,x,A\n")
    assert [(pair.prompt.clean, pair.prompt.corrupted) for pair in prompts.pairs][:2] == [
        ("A A B =", "A B B ="), ("A B B =", "A A B ="),
    ]  # fmt: skip
    assert prompts.pairs[0].prompt.foil == " B", "without a foil, the answer of the other text"
    assert source.left_out == (("no text of the other label with its template and number of tokens", 1),)
    assert source.n_in_file == 4


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"text\nA B =\n", "no column label"),
        (b"text,label\nA =,x\nB =,y\nA B =,z\n", "has 3 labels"),
        (b"text,label\nA =,x\nB =,x\n", "has 1 labels"),
        (b"text,label\n,x\n", "no row can be used"),
        (b"text,label\n" + b"A " * 1100 + b",x\n", "more than 2,000 characters"),
        (b"text,label,answer\nA =,x,A\nB =,y,\n", "some texts have an answer"),
        (b"text,label\nA A =,x\nB =,y\n", "number of tokens"),
        (b"\xff\xfe", "not CSV"),
        (b"text,label\n" + b"A =,x\n" * 5001, "more than 5,000 rows"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(raw: bytes, words: str) -> None:
    with pytest.raises(Refused) as refused:
        read(raw)
    assert words in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize("changes", [{"layers": 0}, {"texts": 0}, {"draws": 18}, {"draws": 2000}])
def test_numbers_outside_their_bounds_are_refused(changes: dict[str, int]) -> None:
    request = ProbesRequest(ask("last").prompts, **{"layers": 1, **changes}, source=ask("last").source)
    with pytest.raises(Refused):
        measure_probes(strict(), request, no_progress)


def test_a_prompt_set_with_more_than_two_answers_is_refused(load_planted: Callable[[str], Any]) -> None:
    from toy.planted import make_induction

    from audit_core.prompts.alignment import tokenise

    subject = load_planted("planted-strict")
    with pytest.raises(PromptRefused, match="labels"):
        measure_probes(
            subject, ProbesRequest(tokenise(make_induction(8, change="context"), subject.tokenizer)), no_progress
        )


def test_the_shipped_texts_have_both_labels_in_every_template() -> None:
    rows = [line.split(",") for line in read_shipped().decode().splitlines()[1:]]
    assert len(rows) == 96
    for template in {row[4] for row in rows}:
        labels = [row[1] for row in rows if row[4] == template]
        assert labels.count("singular") == labels.count("plural")
    with pytest.raises(Refused):
        read_shipped("../secret.csv")
