"""Claims on features: verdicts on a planted dictionary, what a plan pins, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core import open_subject
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.calibration.report import quote_calibration
from audit_core.claim import Claim, Role, Universe
from audit_core.component import parse_components
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.planted import MATCHED, write_planted
from audit_core.effect import get_metric, measure_effect
from audit_core.errors import ClaimRefused, ComponentRefused, InterventionRefused, ModelRefused, NotMeasured
from audit_core.features import attach_dictionary
from audit_core.intervention import Edit, Intervention, Replacement, intervene
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet
from audit_core.registry import get_plugin
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog, make_key
from audit_core.store.claims.register import Register
from audit_core.subject_family import find_planted

NAME = "planted-strict+planted-strict"
ROOT = Path(__file__).resolve().parents[2]
ME = Actor("anna", "test")


@cache
def strict() -> Any:
    return open_subject(NAME)


@cache
def votes() -> PromptSet:
    model = find_planted("planted-strict")
    assert model is not None
    return model.find_task("vote").make(8, 0)


def claim_on(features: str, role: Role = Role.NECESSARY) -> Claim:
    return Claim(
        features, parse_components(features), Universe.FEATURES, role, delta=0.1 if role is Role.NECESSARY else 0.8
    )


@cache
def judge(features: str, subject: Any = None, role: Role = Role.NECESSARY) -> ClaimTestResult:
    subject, claim = subject or strict(), claim_on(features, role)
    request = ClaimTestRequest(tokenise(votes(), strict().tokenizer), claim)
    means = subject.capture_means(request.prompts, kinds=request.kinds)
    found: ClaimTestResult = get_plugin("audits", "claim_test").run(
        subject, request, means=means, on_progress=lambda *_: None
    )
    return found


def test_the_feature_that_the_answer_is_read_from_is_supported_and_its_decoy_is_negligible() -> None:
    """The lead is 3.2 · √2 logits where the feature is active, on half of the prompts, and 0 where it is not."""
    used, decoy = judge("L1.F0"), judge("L1.F1")
    assert (used.state, decoy.state) == ("supported", "negligible")
    assert used.null is not None
    # The planted ones that fire with the last letter, and the decoy, which fires more strongly.
    assert used.null.design.startswith(f"{MATCHED + 1} random sets")
    assert "at least half as often and half as strongly, from the same dictionary" in used.null.design
    assert used.null.p == pytest.approx(1 / (MATCHED + 2))
    assert used.families["zero"].value == pytest.approx(used.families["mean"].value, abs=0.1)
    assert all(abs(one.value) < 1e-3 for one in decoy.families.values())
    assert used.repair is not None
    assert used.repair.n_later == 7, "the heads and the MLP of its own layer read a feature too"


def test_the_members_of_a_set_are_named_and_a_set_without_matched_ones_is_open() -> None:
    both = judge("L1.F0 L1.F1")
    assert (both.state, both.reason) == ("inconclusive", "no_null")
    assert {one.component: one.part for one in both.members} == {"L1.F0": "carries", "L1.F1": "idle"}


def test_all_features_alone_keep_what_the_dictionary_rebuilds() -> None:
    """The used feature is half of the answer: it is active where the majority is A; what says B is not in the dictionary."""
    alone = judge("L1.F0", role=Role.SUFFICIENT).families["resample"]
    assert alone.value == pytest.approx(judge("L1.F0").families["resample"].value, abs=0.1)


def test_no_error_rate_of_other_components_is_quoted_beside_a_feature() -> None:
    assert quote_calibration(["L1.F0"]) == "The error rate of this rule on features of a dictionary was not measured."
    assert quote_calibration(["L1.H0"]) != quote_calibration(["L1.F0"])


def test_edits_of_another_dictionary_run_beside_the_one_that_the_model_has() -> None:
    """Their hook is the stream of their own layer, where the model's dictionary has no feature."""
    rows = tokenise(votes(), strict().tokenizer).take([0, 1])
    elsewhere = replace(write_planted(), layer=0)
    run = Intervention((elsewhere.edit(0, Replacement.SET, factor=50.0),))
    found = measure_effect(strict(), rows, [run], get_metric("logit_difference"), seed=0)
    assert abs(found.support).max() > 1
    assert strict().patterns(rows.pairs[0], intervene(parse_components("L1.F0"), Replacement.ZERO)).shape[0] > 1


def test_a_feature_that_never_fires_is_a_finding_and_no_zero() -> None:
    silent = replace(write_planted(), threshold=np.full(2 + MATCHED, 1e6, np.float32))
    with pytest.raises(NotMeasured, match="active on 0 of") as found:
        judge("L1.F0", strict().with_dictionary(silent, "silent"))
    assert found.value.reason == "not_active"


@pytest.mark.usefixtures("short_draws")
def test_a_plan_pins_the_dictionary_and_its_pack_is_verified_by_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    policy = load_shipped_policy("default")
    register = Register(tmp_path)
    plan = freeze_claim(register, strict(), claim_on("L1.F0"), votes(), policy, owner="anna", model=NAME)
    assert plan.questions == (), "the usual further checks are about circuits"
    with pytest.raises(ClaimRefused, match="not made of features"):
        freeze_claim(
            register, strict(), claim_on("L1.F1"), votes(), policy, owner="anna", model=NAME, questions=("curve",)
        )
    other = strict().with_dictionary(draw_other(), "another")
    assert {one.identity.weights_sha256 for one in (strict(), other)} == {plan.pins.weights_sha256}
    with pytest.raises(ClaimRefused, match="frozen with other inputs: model was"):
        run_confirmatory(register, plan.claim_id, lambda _: Auditor(other, RunLog(tmp_path)), actor=ME)
    done = run_confirmatory(register, plan.claim_id, lambda _: Auditor(strict(), RunLog(tmp_path)), actor=ME)
    assert done.result.verdict.state == "supported"
    pack = tmp_path / "feature.evidence.zip"
    export_pack(tmp_path, [plan.claim_id], pack, key=make_key(tmp_path, "anna"), issue=ExportOptions("anna"))
    checked = subprocess.run(
        [sys.executable, str(ROOT / "verify_pack.py"), str(pack)], capture_output=True, text=True, cwd=tmp_path
    )
    # Without a trust file the signer stays unknown, which is what 3 says.
    assert checked.returncode == 3, checked.stdout + checked.stderr
    assert "attempts, preregistration and verdict recomputed: equal" in checked.stdout
    assert "INTEGRITY_VERIFIED" in checked.stdout


def draw_other() -> Dictionary:
    return replace(write_planted(), threshold=np.full(2 + MATCHED, 0.6, np.float32))


def test_a_feature_without_its_dictionary_is_refused_with_what_to_open() -> None:
    plain = open_subject("planted-strict")
    with pytest.raises(ClaimRefused, match=r"--model planted-strict\+planted-strict \(SHA-256 "):
        freeze_claim(
            Register(Path("unused")), plain, claim_on("L1.F0"), votes(), load_shipped_policy("default"), owner="anna",
            model="planted-strict", questions=(),
        )  # fmt: skip
    with pytest.raises(ModelRefused, match="not of planted-strict"):
        attach_dictionary(plain, "default-layer-12")
    rows = tokenise(votes(), plain.tokenizer).take([0])
    part, far = parse_components("L1.F0 L0.F0")[::-1]
    refused = [
        (plain, intervene([part], Replacement.ZERO), InterventionRefused, "opened without a dictionary"),
        (strict(), intervene([far], Replacement.ZERO), ComponentRefused, "features of layer 1"),
        (strict(), intervene([part], Replacement.MEAN), InterventionRefused, "No mean of L1.F0"),
        (
            strict(),
            Intervention((Edit(part, Replacement.ZERO), Edit(parse_components("L1.F1")[0], Replacement.IDENTITY))),
            InterventionRefused,
            "one replacement for the features of a layer",
        ),
    ]  # fmt: skip
    for subject, asked, error, text in refused:
        with pytest.raises(error, match=text):
            subject.run(rows, [asked])
