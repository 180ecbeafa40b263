"""Secrets and private names: the environment goes in by an allow-list, and no rendering shows a field nobody meant to show."""

from __future__ import annotations

from typing import Any

import pytest
from toy.pdf_text import read_pages
from toy.sample_pack import MODEL, ROOT_DIGEST, RUNS, environment, sample_documents

from audit_core.errors import Refused
from audit_core.evidence.environment import (
    ALLOWED,
    Accelerator,
    Origin,
    describe_environment,
    keep_allowed,
    list_packages,
    require_allowed,
)
from audit_core.evidence.ml_bom import dump_model_bom, dump_package_bom
from audit_core.evidence.model_card import dump_model_card
from audit_core.evidence.report.export import export_html
from audit_core.evidence.report.html import render_html
from audit_core.evidence.report.pdf import render_pdf
from audit_core.evidence.ro_crate import dump_crate

CANARIES = {
    "HF_TOKEN": "hf_canarytokencanarytoken", "HOME": "/home/canary-home", "USER": "canary-user", "LOGNAME": "canary-user",
    "EMAIL": "canary@mail.invalid", "HOSTNAME": "canary-host",
}  # fmt: skip


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    return CANARIES


def salted(secrets: dict[str, str]) -> dict[str, Any]:
    """The sample with secrets in fields that no schema has, as an old or careless writer might have left them."""
    documents = sample_documents()
    documents["pack.json"] |= secrets
    documents["pack.json"]["producer"] |= secrets
    documents["prereg/prereg.json"] |= secrets
    documents["verdict/verdict.json"] |= secrets
    documents["policy/policy.resolved.json"] |= secrets
    documents["environment/env.json"] |= secrets
    documents[f"models/{MODEL}/identity.json"] |= secrets | {"folder": secrets["HOME"]}
    for run_id in RUNS.values():
        manifest = documents[f"runs/{run_id}/manifest.json"]
        manifest |= secrets | {"config": {"resolved_config": secrets}}
        for part in ("model", "environment", "determinism", "prompts"):
            manifest[part] |= secrets
        documents[f"runs/{run_id}/result.json"] |= {"secrets": secrets}
        for row in documents[f"runs/{run_id}/metrics.json"]:
            row |= secrets
    for claim in documents["claims/claims.json"]:
        claim |= secrets
        claim["scope"] |= secrets
        claim["evidence"] = [dict(secrets)]
    for entry in documents["log/entries.jsonl"]:
        entry["payload"] |= secrets
    return documents


def test_no_rendering_shows_a_secret(secrets: dict[str, str]) -> None:
    documents = salted(secrets)
    renderings = {
        "html": render_html(documents, root_digest=ROOT_DIGEST).decode(),
        "pdf": "\n".join(read_pages(render_pdf(documents, root_digest=ROOT_DIGEST))),
        "crate": dump_crate(documents).decode(),
        "model bom": dump_model_bom(documents, model_id=MODEL).decode(),
        "package bom": dump_package_bom(documents).decode(),
        "card": dump_model_card(documents, model_id=MODEL).decode(),
        "export": export_html(
            {"state": "supported", "identity": documents[f"models/{MODEL}/identity.json"]}, evidence={}
        ).decode(),
    }
    found = [(name, key) for name, text in renderings.items() for key, value in secrets.items() if value in text]
    assert found == []
    assert all(len(text) > 500 for text in renderings.values())


def test_this_machine_is_described_by_the_fields_of_the_list_and_no_secret_is_among_them(
    secrets: dict[str, str],
) -> None:
    facts = describe_environment(Accelerator(), Origin(git_commit="a" * 40, git_dirty=False))
    assert set(facts) == set(ALLOWED)
    assert facts["git_commit"] == "a" * 40
    assert facts["python"]
    assert facts["numpy"]
    assert not [value for value in secrets.values() if value in str(facts)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HF_TOKEN", "hf_x"), ("cpu_model", "/home/someone"), ("cpu_model", "someone@mail.invalid"), ("git_commit", "ghp_token"), ("os", "a\nb"),
        ("n_cpu", "two"), ("n_cpu", True), ("lock_sha256", "secret"), ("torch", "https://host/x"), ("driver", "x" * 41),
    ],
)  # fmt: skip
def test_a_fact_off_the_list_or_of_another_form_stays_out_and_is_refused_to_its_writer(key: str, value: Any) -> None:
    facts = environment() | {key: value}
    assert keep_allowed(facts).get(key) != value or key not in keep_allowed(facts)
    with pytest.raises(Refused) as refused:
        require_allowed(facts)
    assert str(value) not in str(refused.value)


def test_the_sample_and_a_common_processor_pass() -> None:
    facts = environment() | {"cpu_model": "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz"}
    assert require_allowed(facts) == facts


def test_packages_are_names_and_versions() -> None:
    found = list_packages()
    assert ("jinja2", "3.1.6") in found
    assert found == sorted(found)
    assert not [pair for pair in found if "/" in "".join(pair)]
