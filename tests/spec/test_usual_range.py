"""The check of ranges: effects that need neuron values which no unedited prompt gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audit_core.audits.claim_test import PLUGIN, ClaimTestRequest, ClaimTestResult
from audit_core.calibration.ranges import RangeSample, judge_range_samples, list_range_lines, summarise_ranges
from audit_core.calibration.tallies import describe_count
from audit_core.claim import Claim, Role
from audit_core.component import head, parse_components
from audit_core.effect import get_metric
from audit_core.errors import ControlFailed, InterventionRefused, NotMeasured
from audit_core.intervention import CLEAN_RUN, Edit, Intervention, Replacement
from audit_core.judging.trial import FAMILIES, plan_trial
from audit_core.judging.usual_range import list_readers, measure_in_range
from audit_core.judging.verdict import State, classify, judge
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]
METRIC = get_metric("logit_difference")


def make_prompts(subject: Any, name: str = "planted-unseen", n: int = 3) -> TokenisedPrompts:
    model = find_planted(name)
    assert model is not None
    return tokenise(model.find_task("query").make(n, 0), subject.tokenizer)


def keep_in_range(
    subject: Any, part: str, role: Role = Role.NECESSARY, name: str = "planted-unseen"
) -> dict[Replacement, np.ndarray]:
    prompts = make_prompts(subject, name)
    claim = Claim("x", parse_components(part), role=role, delta=0.8 if role is Role.SUFFICIENT else 0.1)
    plan = plan_trial(subject, claim, lambda: [1.0] * len(claim.components), seed=0)
    means = subject.capture_means(prompts)
    return dict(measure_in_range(subject, claim, prompts, plan, METRIC, means=means, seed=0))


def test_what_is_left_in_range_is_what_the_wiring_writes_on_every_text(load_planted: Load) -> None:
    """L1.H1 writes 2 logits by itself, and the MLP takes 10 where its name is missing; L1.H3 acts through the MLP always."""
    subject = load_planted("planted-unseen")
    clean = 20.0
    artefact, cause = (keep_in_range(subject, part) for part in ("L1.H1", "L1.H3"))
    assert clean - artefact[Replacement.ZERO].mean() == pytest.approx(2, abs=0.1)
    assert clean - artefact[Replacement.RESAMPLE].mean() == pytest.approx(4, abs=0.1)
    assert clean - cause[Replacement.ZERO].mean() == pytest.approx(7, abs=0.1)
    assert clean - cause[Replacement.RESAMPLE].mean() == pytest.approx(14, abs=0.1)


def test_ranges_and_runs_equal_plain_hooks(load_planted: Load) -> None:
    """Held against TransformerLens: values of all unedited runs, then one run with clamped neurons."""
    import torch

    subject = load_planted("planted-unseen")
    prompts = make_prompts(subject)
    site, values = "blocks.1.mlp.hook_post", []
    with torch.no_grad():
        for pair in prompts.pairs:
            for ids in (pair.clean_ids, pair.corrupted_ids):
                subject.bridge.run_with_hooks(
                    torch.tensor([ids]), fwd_hooks=[(site, lambda value, hook: values.append(value[0]))]
                )
        first, rest = torch.stack([v[0] for v in values]), torch.cat([v[1:] for v in values])
        found = subject.capture_ranges(prompts)
        for at, part in enumerate((first, rest)):
            np.testing.assert_allclose(found[0, 1, at], part.amin(0).numpy(), atol=1e-5)
            np.testing.assert_allclose(found[1, 1, at], part.amax(0).numpy(), atol=1e-5)

        def drop(value: torch.Tensor, hook: object) -> torch.Tensor:
            value = value.clone()
            value[:, :, 1] = 0
            return value

        def clamp(value: torch.Tensor, hook: object) -> torch.Tensor:
            later = value[:, 1:].clamp(rest.amin(0), rest.amax(0))
            return torch.cat([value[:, :1].clamp(first.amin(0), first.amax(0)), later], dim=1)

        pair = prompts.pairs[0]
        logits = subject.bridge.run_with_hooks(
            torch.tensor([pair.clean_ids]), fwd_hooks=[("blocks.1.attn.hook_z", drop), (site, clamp)]
        )[0, -1]
    answer, foil = (subject.tokenizer.encode(word)[0] for word in (pair.prompt.answer, pair.prompt.foil))
    measured = keep_in_range(subject, "L1.H1")[Replacement.ZERO][0]
    assert measured == pytest.approx(float(logits[answer] - logits[foil]), abs=1e-3)


def ask(load_planted: Load, part: str, **changes: Any) -> ClaimTestResult:
    subject = load_planted("planted-unseen")
    prompts = make_prompts(subject)
    claim = Claim("x", parse_components(part), **changes)
    return PLUGIN.run(
        subject, ClaimTestRequest(prompts, claim), means=subject.capture_means(prompts), on_progress=no_progress
    )


def test_the_audit_withholds_the_artefact_and_supports_a_cause_of_the_same_size(load_planted: Load) -> None:
    artefact, cause = ask(load_planted, "L1.H1"), ask(load_planted, "L1.H3")
    sizes = [found.families["resample"].value for found in (artefact, cause)]  # type: ignore[union-attr]
    assert sizes == pytest.approx([0.35, 0.35], abs=0.01)
    assert all(e is not None and e.low is not None and e.low > 0.1 for e in artefact.families.values())
    assert (artefact.state, artefact.reason) == ("inconclusive", "off_distribution")
    assert "no unedited prompt gives" in artefact.sentence
    assert artefact.holds_among == 0
    assert (cause.state, cause.reason) == ("supported", None)
    assert artefact.drift is not None
    assert cause.drift is not None
    assert artefact.drift.in_range["resample"].value == pytest.approx(0.10, abs=0.01)
    assert cause.drift.in_range["resample"].value == pytest.approx(0.35, abs=0.01)
    status = {one.name: one.status.value for one in artefact.identification}
    assert status["positivity"] == "doubtful"
    assert {one.name: one.status.value for one in cause.identification}["positivity"] == "checked"


def test_a_set_that_suffices_is_not_kept_in_range_and_says_so(load_planted: Load) -> None:
    with pytest.raises(NotMeasured, match="necessary components only"):
        keep_in_range(load_planted("planted-unseen"), "L1.H0", Role.SUFFICIENT)


def test_a_range_that_is_not_obeyed_gives_no_number(load_planted: Load) -> None:
    """A hook whose edit is lost, and a range that leaves out the clean run."""
    inner = load_planted("planted-unseen")

    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def capture_ranges(self, reference: TokenisedPrompts, **how: Any) -> Any:
            return inner.capture_ranges(reference)

        def run(self, prompts: TokenisedPrompts, interventions: Any, **how: Any) -> Any:
            kept = [
                i if all(e.replacement is not Replacement.IN_RANGE for e in i.edits) else CLEAN_RUN
                for i in interventions
            ]
            return inner.run(prompts, kept, **how)

    class Narrow(Deaf):
        def capture_ranges(self, reference: TokenisedPrompts, **how: Any) -> Any:
            low, high = inner.capture_ranges(reference)
            return np.stack([low + 1, high + 1])

        def run(self, *args: Any, **how: Any) -> Any:
            return inner.run(*args, **how)

    with pytest.raises(NotMeasured, match="move no logit"):
        keep_in_range(Deaf(), "L1.H1")
    with pytest.raises(ControlFailed, match="within its own range"):
        keep_in_range(Narrow(), "L1.H1")


def test_a_model_whose_mlps_write_nothing_has_nothing_to_keep(load_planted: Load) -> None:
    with pytest.raises(NotMeasured, match="move no logit"):
        keep_in_range(load_planted("planted-strict"), "L1.H0", name="planted-strict")


def test_readers_are_the_mlps_behind_the_first_component(load_planted: Load) -> None:
    subject = load_planted("planted-unseen")

    def read(parts: str) -> list[str]:
        return [str(mlp) for mlp in list_readers(subject, parse_components(parts))]

    assert read("L0.H0") == ["L0.MLP", "L1.MLP"]
    assert read("L1.H0") == ["L1.MLP"]
    assert read("L0.MLP") == ["L1.MLP"]
    assert read("L0.H0 L1.MLP") == ["L0.MLP"]
    assert read("L1.MLP") == []


def test_only_mlps_have_ranges_and_only_captured_ones(load_planted: Load) -> None:
    subject = load_planted("planted-unseen")
    prompts = make_prompts(subject)
    (mlp,) = parse_components("L1.MLP")
    with pytest.raises(InterventionRefused, match="those of its neurons"):
        Edit(head(1, 1), Replacement.IN_RANGE)
    with pytest.raises(InterventionRefused, match="ranges of unedited runs"):
        subject.run(prompts, [Intervention((Edit(mlp, Replacement.IN_RANGE),))])


def test_the_first_token_has_a_range_of_its_own() -> None:
    """One neuron, at most 1 at the first token and from 5 to 6 elsewhere; a run that starts later has no first token."""
    import torch

    from audit_core.component import Kind
    from audit_core.engine.hooks import Sources
    from audit_core.engine.hooks import keep_in_range as clamp
    from audit_core.engine.sites import SiteEdit

    ranges = torch.tensor([[[[0.0], [5.0]]], [[[1.0], [6.0]]]])
    edit = SiteEdit(0, Kind.NEURON, Replacement.IN_RANGE, 1.0, (), None, None)
    values = torch.tensor([[[9.0], [9.0], [2.0]]])
    sources = Sources({}, {}, ranges)
    assert clamp(values, edit, sources, 0).flatten().tolist() == [1.0, 6.0, 5.0]
    assert clamp(values, edit, sources, 3).flatten().tolist() == [6.0, 6.0, 5.0]


def interval(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 60, "fraction", 0.95, 12)


@pytest.mark.parametrize(
    "whole, left, state, reason",
    [
        ((0.3, 0.5), (0.3, 0.5), State.SUPPORTED, None),
        ((0.3, 0.5), (0.22, 0.26), State.SUPPORTED, None),
        ((0.3, 0.5), (0.15, 0.2), State.INCONCLUSIVE, "off_distribution"),
        ((0.3, 0.5), (0.05, 0.45), State.SUPPORTED, None),
        ((0.3, 0.5), (0.05, 0.3), State.INCONCLUSIVE, "off_distribution"),
        ((0.3, 0.5), (-0.05, 0.05), State.INCONCLUSIVE, "off_distribution"),
        ((0.3, 0.5), (-0.5, -0.3), State.INCONCLUSIVE, "off_distribution"),
        ((-0.5, -0.3), (-0.5, -0.3), State.REVERSED, None),
        ((-0.5, -0.3), (-0.05, 0.05), State.INCONCLUSIVE, "off_distribution"),
        ((-0.05, 0.05), (0.3, 0.5), State.NEGLIGIBLE, None),
    ],
)
def test_what_is_left_is_judged_as_another_family(
    whole: tuple[float, float], left: tuple[float, float], state: State, reason: str | None
) -> None:
    claim = Claim("x", (head(1, 2),))
    families = dict.fromkeys(FAMILIES, interval(*whole))
    states = {family: classify(e, claim.delta) for family, e in families.items()}
    found = judge(
        claim, families, states, narrow=interval(*whole), p_null=0.005, alpha=claim.alpha,
        in_range=(classify(interval(*left), claim.delta), interval(*left)),
    )  # fmt: skip
    assert (found.state, found.reason) == (state, reason)


def make_sample(planted: str, before: str, after: str, seed: int = 0) -> RangeSample:
    return RangeSample("m", "L1.H1", "query", planted, seed, before, after)


def test_shares_are_counted_by_hand() -> None:
    """Of two artefacts one is decided before and none after; of two causes one is lost."""
    found = summarise_ranges(
        [
            make_sample("artefact", "supported", "inconclusive"),
            make_sample("artefact", "inconclusive", "inconclusive", 1),
            replace(make_sample("cause", "supported", "supported"), components="L1.H3"),
            replace(make_sample("cause", "supported", "inconclusive", 1), components="L1.H3"),
        ]
    )
    shares = (found.artefacts_before, found.artefacts_after, found.causes_before, found.causes_after)
    assert [describe_count(one) for one in shares] == ["1 of 2", "0 of 2", "2 of 2", "1 of 2"]
    assert any("50.0 %" in line for line in list_range_lines(found))
    with pytest.raises(NotMeasured):
        summarise_ranges([make_sample("artefact", "supported", "inconclusive")])


def test_planted_samples_are_judged_as_keyed_without_and_with_the_check(load_planted: Load) -> None:
    model = find_planted("planted-unseen")
    assert model is not None
    claim = next(c for c in model.claims if c.in_range is not None)
    found = list(judge_range_samples(load_planted("planted-unseen"), model, claim, seed=0, samples=2))
    assert {(s.before, s.after) for s in found} == {(claim.expected.value, claim.in_range)}
