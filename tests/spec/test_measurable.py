"""A prompt that lacks a mean is set aside, named, and left out of all that is compared in its run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy.planted import make_induction
from toy.withheld import freeze, pack_claim, read_pack

from audit_core.audits.ablation import AblationRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.change.effect_diff import EffectQuestion, measure_effect_diff
from audit_core.circuits import OtherTask
from audit_core.claim import Claim
from audit_core.cli import main
from audit_core.cli.keys import describe_trust
from audit_core.component import head
from audit_core.confirm import run_confirmatory
from audit_core.errors import InterventionRefused
from audit_core.evidence.keys import make_key
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.measurable import keep_measurable, set_aside
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, is_exploratory
from audit_core.run import Actor, Auditor, identify_run
from audit_core.store import RunLog, audit_home
from audit_core.store.claims.register import Register
from audit_core.subjects.transformer import TransformerSubject

pytestmark = pytest.mark.usefixtures("short_draws")

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("anna", "test")
MEAN = Replacement.MEAN


def lengthen(prompt: Prompt, name: str = "odd", word: str = "w20") -> Prompt:
    return replace(prompt, id=name, clean=f"{word} {prompt.clean}", corrupted=f"{word} {prompt.corrupted}")


def make_odd(n: int = 6) -> PromptSet:
    """So many prompts of one length, and one whose length no other has."""
    rows = make_induction(n, change="query", n_templates=3).prompts
    return PromptSet("odd", (lengthen(rows[0]), *rows))


@pytest.fixture
def odd(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_odd(), planted.tokenizer)


@pytest.fixture
def auditor(planted: TransformerSubject) -> Auditor:
    return Auditor(planted, RunLog(audit_home()))


REQUESTS: dict[str, tuple[str, Callable[[TokenisedPrompts], Any]]] = {
    "sweep": ("sweep", lambda p: SweepRequest(p, p, replacement=MEAN)),
    "ablation": ("ablation", lambda p: AblationRequest(p, p, (head(1, 0),), MEAN)),
    "claim test": ("claim_test", lambda p: ClaimTestRequest(p, Claim("needed", (head(1, 0),)))),
    "paths": ("paths", lambda p: PathsRequest(p, p, (head(0, 0), head(1, 0)), replacement=MEAN)),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_prompt_of_another_length_is_set_aside_and_the_others_are_measured(
    kind: str, odd: TokenisedPrompts, auditor: Auditor
) -> None:
    audit, ask = REQUESTS[kind]
    found = auditor.run(audit, ask(odd), actor=ME)
    alone = auditor.run(audit, ask(odd.take(range(1, 7))), actor=ME)
    assert found.result.clean.n == 6
    assert found.result == alone.result
    assert found.notices == (
        "1 prompt is set aside and 6 measured, as a mean needs two prompts of a length (and template): 'odd' (13 tokens).",
    )
    assert alone.notices == ()
    assert identify_run(auditor.subject.identity, ask(odd))["n_prompts"] == 6


def test_the_run_log_names_what_was_set_aside(odd: TokenisedPrompts, auditor: Auditor) -> None:
    auditor.run("sweep", SweepRequest(odd, odd, replacement=MEAN), actor=ME)
    auditor.run("sweep", SweepRequest(odd, odd), actor=ME)
    asked = [json.loads(record.request) for record in auditor.log.list_runs()]
    named = [request["set_aside"] for request in asked if "set_aside" in request]
    assert named == [[["odd", "t0", "as a mean needs two prompts of a length (and template)"]]]


def test_an_equal_request_is_found_again_and_says_what_was_set_aside(odd: TokenisedPrompts, auditor: Auditor) -> None:
    request = SweepRequest(odd, odd, replacement=MEAN)
    first = auditor.run("sweep", request, actor=ME)
    again = auditor.find_earlier("sweep", request)
    assert again is not None
    assert (again.is_reused, again.result.n, again.notices) == (True, 6, first.notices)


def test_nothing_is_set_aside_where_no_mean_is_asked_for(odd: TokenisedPrompts) -> None:
    request = SweepRequest(odd, odd, replacement=Replacement.ZERO)
    assert set_aside(request) is request


def test_a_mean_within_the_template_needs_two_prompts_of_it(planted: TransformerSubject) -> None:
    rows = make_induction(5, change="query", n_templates=2).prompts
    prompts = tokenise(PromptSet("p", (*rows[:4], replace(rows[4], template="alone"))), planted.tokenizer)
    assert len(keep_measurable(prompts, prompts, (MEAN,))) == 5
    kept = keep_measurable(prompts, prompts, (Replacement.MEAN_TEMPLATE,))
    assert [one.prompt for one in kept.set_aside] == ["p4"]


def test_two_prompts_of_a_length_stay(planted: TransformerSubject) -> None:
    rows = make_induction(6, change="query").prompts
    prompts = tokenise(PromptSet("p", (*rows, lengthen(rows[0], "o1"), lengthen(rows[1], "o2"))), planted.tokenizer)
    assert keep_measurable(prompts, prompts, (MEAN,)) is prompts


def test_where_no_prompt_has_a_mean_the_run_is_refused(planted: TransformerSubject, auditor: Auditor) -> None:
    rows = make_induction(2, change="query").prompts
    prompts = tokenise(PromptSet("p", (rows[0], lengthen(rows[1]))), planted.tokenizer)
    with pytest.raises(InterventionRefused, match="at least two reference prompts"):
        auditor.run("sweep", SweepRequest(prompts, prompts, replacement=MEAN), actor=ME)


def test_a_reference_of_other_prompts_decides_and_stays(odd: TokenisedPrompts, planted: TransformerSubject) -> None:
    reference = tokenise(make_induction(3, change="context", seed=5), planted.tokenizer)
    found = set_aside(SweepRequest(odd, reference, replacement=MEAN))
    assert found.reference is reference
    assert [pair.prompt.id for pair in found.prompts.pairs] == [f"p{at}" for at in range(6)]


def test_searches_and_other_tasks_set_their_own_aside(odd: TokenisedPrompts) -> None:
    parts, more = odd.take(range(1, 7)), {"replacement": MEAN}
    assert len(RivalRequest(parts, parts, (head(1, 0),), explored=odd, **more).search.prompts) == 6  # type: ignore[arg-type]
    assert len(set_aside(StabilityRequest(odd, odd, "exact", replacement=MEAN)).prompts) == 6
    from audit_core.audits.specificity import _ask_each

    other = SpecificityRequest(parts, parts, (head(1, 0),), others=(OtherTask(odd),), **more)  # type: ignore[arg-type]
    assert len(_ask_each(other)[1].prompts) == 6


def test_two_models_are_compared_on_the_same_prompts(auditor: Auditor) -> None:
    question = EffectQuestion(make_odd(), replacement=MEAN)
    found = measure_effect_diff(auditor, auditor, question, actor=ME)
    assert found.n == 6


def test_a_vote_of_another_length_is_set_aside_by_the_command_and_said(
    planted: TransformerSubject, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit_core.cli.session.open_subject", lambda *_, **__: planted)
    rows = [*make_induction(6, change="query", n_templates=3).prompts]
    rows += [lengthen(rows[0]), replace(rows[1], id="again", template="u")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row.to_row()) + "\n" for row in rows))
    assert (
        main(["sweep", "--model", "toy", "--prompts", str(path), "--half", "all", "--ablation", "mean", "--json"]) == 0
    )
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["n"] == document["identity"]["n_prompts"] == 6
    assert [notice.split(":")[0] for notice in document["notices"]] == [
        "1 prompt says the same as an earlier one and counts once",
        "1 prompt is set aside and 6 measured, as a mean needs two prompts of a length (and template)",
    ]
    assert err.count("Notice: ") == 2
    assert all(f"Notice: {notice}" in err for notice in document["notices"])


def test_one_distinct_prompt_or_template_carries_no_verdict(planted: TransformerSubject, auditor: Auditor) -> None:
    claim = Claim("needed", (head(1, 0),))
    rows = make_induction(24, change="query").prompts
    one = [replace(rows[0], id=f"r{at}", template=f"t{at % 6}") for at in range(24)]
    with pytest.raises(InterventionRefused, match="No mean"):
        auditor.run(
            "claim_test", ClaimTestRequest(tokenise(PromptSet("p", tuple(one)), planted.tokenizer), claim), actor=ME
        )
    # One text, a word that nobody asks about exchanged in each, every prompt a template of its own.
    words = rows[0].clean.split()
    asked = {*rows[0].answer.split(), *rows[0].foil.split(), words[-1], rows[0].corrupted.split()[-1]}
    filler = next(word for word in words if word not in asked)
    free = [f"w{at:02d}" for at in range(1, 21) if f"w{at:02d}" not in words]
    fillers = [(one, other) for one in free for other in free if one < other][:24]
    several = [
        replace(
            rows[0],
            id=f"r{at}",
            template=f"t{at}",
            clean=f"{more} {rows[0].clean.replace(filler, word)}",
            corrupted=f"{more} {rows[0].corrupted.replace(filler, word)}",
        )
        for at, (word, more) in enumerate(fillers)
    ]
    prompts = tokenise(PromptSet("p", tuple(several)), planted.tokenizer)
    assert len(prompts) == 24
    found = auditor.run("claim_test", ClaimTestRequest(prompts, claim), actor=ME)
    assert (found.result.state, found.result.reason) == ("inconclusive", "low_power")
    assert found.result.clean.templates in (1, None)
    assert found.result.clean.low is None
    assert found.notices == ("24 templates are named; their texts share 1 skeleton; intervals are taken over 1.",)


def test_a_pack_names_a_prompt_that_was_set_aside_and_verifies_open_and_withheld(
    planted: TransformerSubject, own_home: Path
) -> None:
    rows = make_induction(60, change="query", n_templates=6).prompts
    # One whose length no other of the half has; which half it is in, its text decides.
    longer = next(one for row in rows if not is_exploratory(one := lengthen(row)))
    prompts = PromptSet("toy", (*rows, longer))
    actor = Actor("anna", "test")
    name = freeze(own_home, planted, prompts)
    found = run_confirmatory(Register(own_home), name, lambda _: Auditor(planted, RunLog(own_home)), actor=actor)
    assert "'odd' (13 tokens)" in found.notices[-1]
    make_key(own_home, "anna")
    (own_home / "trust.toml").write_text(describe_trust(own_home, [("anna", "preparer")]))
    for withheld in (False, True):
        path = own_home / f"{withheld}.zip"
        pack_claim(own_home, path.name, withhold_prompts=withheld)
        (items,) = (
            data
            for member, data in read_pack(path).items()
            if member.startswith("runs/") and member.endswith("items.jsonl")
        )
        left_out = [row for row in map(json.loads, items.splitlines()) if row["excluded_reason"] is not None]
        assert [row["excluded_reason"] for row in left_out] == [
            "as a mean needs two prompts of a length (and template)"
        ]
        assert left_out[0]["item_id"] == ("item-0061" if withheld else "odd")
        assert left_out[0]["clean"] is None
        trust = ["--trust", str(own_home / "trust.toml"), "--json"]
        command = [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(path), *trust]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
