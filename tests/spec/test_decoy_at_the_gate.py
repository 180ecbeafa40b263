"""Heads that do nothing, from claim to signed pack to gate: the claim that they are needed is not met; see docs/reference/threats.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy.planted import make_induction

from audit_core.claim import Claim
from audit_core.cli import main
from audit_core.cli.keys import describe_trust
from audit_core.component import Component, head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.data_folder import DATA
from audit_core.governance.policy import parse_policy
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog, make_key
from audit_core.store.claims.register import Register
from audit_core.subjects.transformer import TransformerSubject

pytestmark = pytest.mark.usefixtures("short_draws")

POLICY = (DATA / "policy/default.toml").read_bytes().replace(b"min_n = 200", b"min_n = 20")
"""A half holds 22 prompts here; with 200 asked, nothing could ever be met."""
DECOYS, COPYING = (head(0, 2), head(1, 1), head(1, 2)), (head(1, 0),)


@pytest.mark.parametrize(("parts", "wanted"), [(DECOYS, "DOES_NOT_MEET"), (COPYING, "MEETS")])
def test_a_claim_about_planted_decoys_does_not_pass_the_gate(
    planted: TransformerSubject, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    parts: tuple[Component, ...], wanted: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    prompts, register = make_induction(40, change="query", n_templates=6), Register(tmp_path)
    claim, policy = Claim("the heads are needed", parts), parse_policy(POLICY, "small.toml")
    plan = freeze_claim(register, planted, claim, prompts, policy, owner="anna", model="planted", questions=())
    run_confirmatory(
        register, plan.claim_id, lambda name: Auditor(planted, RunLog(tmp_path)), actor=Actor("anna", "test")
    )
    export_pack(
        tmp_path,
        [plan.claim_id],
        tmp_path / "p.zip",
        key=make_key(tmp_path, "anna"),
        issue=ExportOptions("anna", "Example"),
    )
    (tmp_path / "trust.toml").write_text(describe_trust(tmp_path, [("anna", "preparer")]))
    (tmp_path / "policy.toml").write_bytes(POLICY)
    names = {"--trust": "trust.toml", "--policy": "policy.toml"}
    options = [word for option, name in names.items() for word in (option, str(tmp_path / name))]
    capsys.readouterr()
    code = main(["gate", str(tmp_path / "p.zip"), *options, "--json"])
    reported = json.loads(capsys.readouterr().out)
    assert code != 0
    assert reported["overall"] != "MEETS"
    assert [row["result"] for row in reported["criteria"] if row["id"] == "necessity"] == [wanted]
