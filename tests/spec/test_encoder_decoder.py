"""Encoder–decoders: opened or refused by name, and judged by the wiring of a planted one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from toy.encoder_decoders import build_random, draw_prompts, load_random
from toy.planted import make_induction

from audit_core.audits.ablation import AblationRequest
from audit_core.audits.both_sides import PLUGIN as BOTH_SIDES
from audit_core.audits.both_sides import BothSidesRequest, BothSidesResult
from audit_core.audits.source_tokens import PLUGIN as SOURCE_TOKENS
from audit_core.audits.source_tokens import SourceTokensRequest, SourceTokensResult, _Reading
from audit_core.component import Kind, parse_components
from audit_core.errors import CapabilityRefused, ComponentRefused, ModelRefused
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.run import Actor, Auditor, open_subject
from audit_core.source_tokens import SourceToken, borrow_tokens
from audit_core.store import RunLog
from audit_core.subjects.encoder_decoder import EncoderDecoderSubject, load_encoder_decoder
from audit_core.subjects.planted.encoder_decoder import build_encoder_decoder, make_source_lookup

SEEDS = (0, 1, 2)
Case = tuple[EncoderDecoderSubject, TokenisedPrompts]


@pytest.fixture(scope="module", params=SEEDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("planted")
    build_encoder_decoder(folder, request.param)
    subject = load_encoder_decoder(folder)
    return subject, tokenise(make_source_lookup(4, request.param), subject.tokenizer)


def ask_tokens(case: Case, token: SourceToken) -> SourceTokensResult:
    subject, prompts = case
    request = SourceTokensRequest(prompts, prompts, token)
    means = subject.capture_means(prompts, kinds=request.kinds)
    found: SourceTokensResult = SOURCE_TOKENS.run(subject, request, means=means, on_progress=lambda *_: None)
    return found


def ask_heads(case: Case, names: str) -> BothSidesResult:
    subject, prompts = case
    request = BothSidesRequest(prompts, prompts, components=parse_components(names))
    means = subject.capture_means(prompts, kinds=request.kinds)
    found: BothSidesResult = BOTH_SIDES.run(subject, request, means=means, on_progress=lambda *_: None)
    return found


def test_the_most_consulted_token_is_negligible_and_the_one_that_is_never_looked_at_supported(case: Case) -> None:
    looked, relied = (ask_tokens(case, token) for token in (SourceToken.CONSULTED, SourceToken.CHANGED))
    assert looked.consulted.value > 3 * relied.consulted.value
    assert (looked.state, relied.state) == ("negligible", "supported")
    assert relied.null is not None
    assert relied.null.p == pytest.approx(1 / 200)
    assert "relies on" in relied.finding
    assert "relies on" not in looked.finding


def test_hiding_the_place_from_which_the_answer_is_taken_costs_it_though_its_own_token_does_not_decide(
    case: Case,
) -> None:
    """What stands at a place of the encoder's output is not its token."""
    mark = ask_tokens(case, SourceToken.NEXT)
    assert mark.hidden is not None
    assert mark.hidden.value > 0.8
    assert abs(mark.relied["mean"].value) < 0.05
    assert "same token" in mark.not_measured["resample"]
    changed = ask_tokens(case, SourceToken.CHANGED)
    assert changed.hidden is not None
    assert abs(changed.hidden.value) < 0.05


def test_a_neutral_token_costs_the_answer_where_it_replaces_the_deciding_word_and_nothing_at_the_decoy(
    case: Case,
) -> None:
    """In logits of one prompt: an embedding of zeros moved every token's bar by more than the whole answer."""
    found = ask_tokens(case, SourceToken.CONSULTED)
    lost = {row.token[0]: row.replaced["zero"].value for row in found.tokens}
    answer = found.clean.value
    assert lost["s"] > 0.8 * answer
    assert abs(lost["d"]) < 0.1 * answer
    assert abs(lost["c"]) < 0.1 * answer
    relied = ask_tokens(case, SourceToken.CHANGED).relied
    assert all(0.8 < one.value < 1.2 for one in relied.values())


@pytest.mark.parametrize(
    ("head", "state"),
    [("L0.XH1", "supported"), ("L0.EH1", "supported"), ("L0.XH0", "negligible"), ("L0.XH2", "negligible"), ("L0.EH0", "negligible")],
)  # fmt: skip
def test_a_decoy_that_attends_is_negligible_and_a_carrier_on_either_side_supported(
    case: Case, head: str, state: str
) -> None:
    found = ask_heads(case, head)
    assert (found.judged, found.state) == ((head,), state)
    row = next(row for row in found.heads if row.component == head)
    assert row.reading == state


def test_heads_without_any_effect_together_get_no_verdict(case: Case) -> None:
    found = ask_heads(case, "L1.DH0")
    assert (found.state, found.reason) == ("inconclusive", "control_failed")
    with pytest.raises(ComponentRefused, match="heads of one kind"):
        ask_heads(case, "L0.XH1 L0.EH1")


def test_a_borrowed_token_differs_and_comes_from_the_same_place_of_the_template(case: Case) -> None:
    subject, prompts = case
    for pair in borrow_tokens(prompts, subject, seed=0).pairs:
        same = [other for other in prompts.pairs if other.prompt.template == pair.prompt.template]
        for at, (own, other) in enumerate(zip(pair.clean_ids, pair.corrupted_ids, strict=True)):
            known = {one.clean_ids[at] for one in same}
            assert other in known
            assert (other != own) == (len(known) > 1 and at < subject.find_source(pair))


@pytest.mark.parametrize(
    "audit", [name for name in list_plugins("audits") if name not in ("source_tokens", "both_sides")]
)
def test_every_other_audit_is_refused_on_an_encoder_decoder(audit: str, case: Case) -> None:
    plugin = list_plugins("audits")[audit]
    assert plugin.explain_missing(case[0])


def test_what_is_refused_by_name_is_not_measured_through_the_log(case: Case, tmp_path: Path) -> None:
    subject, prompts = case
    request = AblationRequest(prompts, prompts, parse_components("L0.XH1"), Replacement.ZERO)
    with pytest.raises(CapabilityRefused, match="no accessible head"):
        Auditor(subject, RunLog(tmp_path)).run("ablation", request, actor=Actor("me", "s"))


@pytest.mark.parametrize("audit", [SOURCE_TOKENS, BOTH_SIDES], ids=lambda audit: audit.name)
def test_the_audits_of_a_source_are_refused_on_a_decoder_only_model(audit: Any, planted: Any) -> None:
    prompts = tokenise(make_induction(8, change="context", n_templates=2), planted.tokenizer)
    assert "no cross-attention" in audit.explain_missing(planted)
    with pytest.raises(CapabilityRefused, match="no cross-attention"):
        audit.run(planted, audit.request(prompts, prompts), means=None, on_progress=lambda *_: None)


def test_an_encoder_decoder_of_another_kind_is_refused_by_its_name(tmp_path: Path) -> None:
    import json

    build_random(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bart"}))
    with pytest.raises(ModelRefused, match="bart.*no hooks for"):
        open_subject(str(tmp_path))


def test_a_folder_with_an_encoder_and_a_decoder_opens_as_one(tmp_path: Path) -> None:
    subject = open_subject(str(build_random(tmp_path)))
    assert not subject.components(Kind.HEAD)
    assert [len(subject.components(kind)) for kind in (Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)] == [
        8,
        12,
        12,
    ]


def test_the_time_of_a_run_is_predicted_from_tokens_made_up_for_source_and_target(tmp_path: Path) -> None:
    subject = load_random(tmp_path)
    auditor = Auditor(subject, RunLog(tmp_path / "log"))
    auditor.calibrate()
    predicted = auditor._pace.predict_s("source_tokens", 1_000_000)
    assert predicted is not None
    assert predicted > 0


def test_attention_is_read_as_the_softmax_of_the_answer_positions_scores(tmp_path: Path) -> None:
    subject = load_random(tmp_path)
    prompts = draw_prompts(subject, 4)
    for pair, rows in zip(prompts.pairs, subject.read_cross_attention(prompts), strict=True):
        assert rows.shape == (3, 4, subject.find_source(pair))
        assert rows.sum(-1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("changed", "n_sets"), [([(0, 1), (0, 1)], 1), ([(0, 1, 2), (0, 1)], 2), ([range(9)] * 4, 199), ([(0,), (0, 1)], 0)]
)
def test_the_null_counts_the_draws_that_exist_and_not_those_that_were_repeated(changed: Any, n_sets: int) -> None:
    """Two prompts whose source has one other token each allow one draw, of which 199 repeats earn no p of 1/200."""
    rows = [np.arange(len(slots), dtype=float) for slots in changed]
    reading = SimpleNamespace(
        request=SimpleNamespace(seed=0), effects=SimpleNamespace(without={Replacement.RESAMPLE: rows}),
        changed=changed, places=[0] * len(rows),
    )  # fmt: skip
    drawn, _, found = _Reading.draw_null(cast(Any, reading), Replacement.RESAMPLE)
    assert found == n_sets
    assert len(drawn) == (199 if n_sets else 0)
    assert not (drawn == 0).any(), "the judged token is never drawn"
