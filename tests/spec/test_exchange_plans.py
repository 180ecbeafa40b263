"""Plans as PRML manifests: the same digests both ways; what was changed, is foreign or hostile is refused by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy.register import PINS, freeze_by_hand

from audit_core import cli
from audit_core.claim import Claim, Role, Universe, load_claim
from audit_core.component import head, parse_components
from audit_core.errors import AuditError, ClaimRefused, IntegrityError, Refused
from audit_core.exchange.plain_yaml import read_plain_yaml
from audit_core.exchange.plans import export_plan, import_plan, name_sidecar
from audit_core.exchange.prml import read_manifest, write_manifest
from audit_core.preregistration import ChangeKind, Preregistration, PriorAccess
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.claims.register import Register

FROZEN_AT = "2026-11-30T02:16:06.569126Z"
AWKWARD = "it's “needed”: # yes, 10 % — ∖é, - no, 1:30 and ~"


@pytest.fixture
def home(own_home: Path) -> Path:
    own_home.mkdir(exist_ok=True)
    return own_home


def make_plan(name: str = AWKWARD, **changed: Any) -> Preregistration:
    claim = Claim(name, (head(1, 0), head(2, 3)), role=Role.SUFFICIENT, delta=0.8)
    return Preregistration(
        "P-C-0001", "C-0001", 1, claim, "anna", FROZEN_AT, FROZEN_AT, PINS, ("minimality",), PriorAccess.NOTHING_RUN, 7, **changed
    )  # fmt: skip


def amend(home: Path, claim_id: str, delta: float) -> None:
    Register(home).amend(
        claim_id, lambda plan: replace(plan, claim=replace(plan.claim, delta=delta)), by="anna", reason="too small",
        kind=ChangeKind.OTHER, sought=Sought(("2" * 64,), ()),
    )  # fmt: skip


def edit(manifest: bytes, **changed: Any) -> bytes:
    """The manifest with other values, written by another YAML library's defaults: any layout has the same digest."""
    return yaml.safe_dump(yaml.safe_load(manifest) | changed).encode()


def test_a_plan_comes_back_with_the_digest_of_the_register() -> None:
    plan = make_plan()
    found = read_manifest(write_manifest([plan]), name="m")
    assert found.plan_sha256 == plan.digest
    assert found.plan | {"digest": plan.digest} == plan.to_document()
    assert (found.claim, found.claim.sha256, found.claim_id) == (plan.claim, plan.claim.sha256, "C-0001")


def test_a_plan_on_features_of_a_dictionary_comes_back_with_its_digest() -> None:
    claim = Claim(
        "a feature carries the number", parse_components("L12.F431, L12.F657"), universe=Universe.FEATURES, delta=0.1
    )
    plan = replace(make_plan(), claim=claim, questions=())
    found = read_manifest(write_manifest([plan]), name="m")
    assert (found.plan_sha256, found.claim, found.claim.sha256) == (plan.digest, claim, claim.sha256)
    other = replace(claim, components=parse_components("L12.F431, L12.F658"))
    assert read_manifest(write_manifest([replace(plan, claim=other)]), name="m").plan_sha256 != plan.digest


def test_the_digest_is_the_one_that_the_reference_tool_of_the_format_prints() -> None:
    """Pinned: `falsify hash` (falsify 0.4.0 of PyPI, PRML v0.1) printed this digest for these bytes, and `verify` took them."""
    manifest = write_manifest([make_plan()])
    assert hashlib.sha256(manifest).hexdigest() == "99bf07492ab956b64253ad3c93234715c7c11cffe516e848e32fb2d50e428816"
    found = yaml.safe_load(manifest)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", found["claim_id"])
    assert int(found["claim_id"].replace("-", "")[:12], 16) == 1796004966569, (
        "the first 48 bits are the time of the freeze"
    )
    assert (found["metric"], found["comparator"], found["threshold"]) == (
        "sufficiency_share:logit_difference",
        ">",
        0.8,
    )


def test_both_inner_digests_are_those_of_sha256sum() -> None:
    plan = make_plan()
    arguments = yaml.safe_load(write_manifest([plan]))["metric_args"]
    assert hashlib.sha256(arguments["plan"].encode()).hexdigest() == arguments["plan_sha256"] == plan.digest
    assert hashlib.sha256(arguments["claim"].encode()).hexdigest() == arguments["claim_sha256"] == plan.claim.sha256


def test_another_layout_of_the_same_manifest_has_the_same_digest() -> None:
    manifest = write_manifest([make_plan()])
    other = json.dumps(yaml.safe_load(manifest)).encode()
    assert other != manifest
    assert read_manifest(other, name="m") == read_manifest(manifest, name="m")


@pytest.mark.parametrize(
    "field, value",
    [
        ("threshold", 0.5), ("comparator", ">="), ("metric", "accuracy"), ("seed", 8), ("created_at", "2026-11-29T00:00:00Z"),
        ("dataset", {"id": "toy prompts", "hash": "9" * 64}), ("model", {"id": "toy model"}), ("producer", {"id": "ben"}),
        ("notes", "none"), ("claim_id", "01a22a3c-ef2a-7411-94fe-bda4849eb7e5"), ("more", 1),
    ],
)  # fmt: skip
def test_one_changed_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(IntegrityError, match=rf"was changed: {field} is"):
        read_manifest(edit(write_manifest([make_plan()]), **{field: value}), name="m")


def test_a_claim_of_another_plan_is_refused() -> None:
    arguments = yaml.safe_load(write_manifest([make_plan()]))["metric_args"]
    other = yaml.safe_load(write_manifest([make_plan("another")]))["metric_args"]
    mixed = arguments | {name: other[name] for name in ("claim", "claim_sha256")}
    with pytest.raises(IntegrityError, match="the claim in it is not the one"):
        read_manifest(edit(write_manifest([make_plan()]), metric_args=mixed), name="m")


def test_a_plan_rewritten_as_a_whole_is_refused_by_the_digest_known_before(home: Path) -> None:
    """Consistent in itself, so only a digest from elsewhere can tell."""
    claim_id = freeze_by_hand(home)
    frozen = export_plan(home, claim_id)
    digest = hashlib.sha256(frozen).hexdigest()
    plan = Register(home).find(claim_id).plan
    forged = write_manifest([replace(plan, claim=replace(plan.claim, delta=0.01))])
    for known in ({"expected": digest}, {"expected": "", "sidecar": digest}):
        with pytest.raises(IntegrityError, match="was changed: found the digest"):
            import_plan(home, forged, name="m", **known)
    with pytest.raises(IntegrityError, match=f"is not a plan of {claim_id}"):
        import_plan(home, forged, name="m", expected="", claim_id=claim_id)
    with pytest.raises(Refused, match="Nothing to compare"):
        import_plan(home, forged, name="m", expected="")
    found = import_plan(home, frozen, name="m", expected="", claim_id=claim_id)
    assert (found.compared_with, found.registered) == ("this register", claim_id)


def test_every_version_names_the_digest_of_the_one_before(home: Path) -> None:
    claim_id = freeze_by_hand(home)
    first = export_plan(home, claim_id)
    amend(home, claim_id, 0.2)
    assert export_plan(home, claim_id, 1) == first
    second = read_manifest(export_plan(home, claim_id), name="m")
    assert second.prior_sha256 == hashlib.sha256(first).hexdigest()
    # The same second plan after another first one is another manifest, and not this register's.
    plans = Register(home).find(claim_id).plans
    detached = write_manifest([plans[1]])
    with pytest.raises(IntegrityError, match="is not a plan of"):
        import_plan(home, detached, name="m", expected="", claim_id=claim_id)
    with pytest.raises(ClaimRefused, match="has no version 3"):
        export_plan(home, claim_id, 3)


FOREIGN = {
    "version": "prml/0.1", "claim_id": "01900000-0000-7000-8000-000000000000", "created_at": "2026-05-01T12:00:00Z",
    "metric": "accuracy", "comparator": ">=", "threshold": 0.85, "dataset": {"id": "imagenet", "hash": "e" * 64}, "seed": 42,
    "producer": {"id": "example.org"},
}  # fmt: skip


@pytest.mark.parametrize(
    "changed, message",
    [
        ({}, "the manifest of 'example.org' about 'accuracy', without a plan"),
        ({"metric_args": {"tolerance": 0.1}}, "without a plan"),
        ({"version": "prml/0.2"}, "version 'prml/0.2'"),
        ({"threshold": True}, "threshold 'True'"),
        ({"metric_args": {"plan": "{", "claim": "{}"}}, "metric_args.plan of m cannot be read"),
        ({"metric_args": {"plan": "[" * 5000, "claim": "{}"}}, "metric_args.plan of m cannot be read"),
        (
            {"metric_args": {"plan": '{"schema": "assay/prereg/1"}', "claim": "{}"}},
            "metric_args.plan of m cannot be read",
        ),
    ],
)
def test_a_foreign_manifest_is_refused_with_what_to_do(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=re.escape(message)) as caught:
        read_manifest(yaml.safe_dump(FOREIGN | changed).encode(), name="m")
    assert caught.value.wanted
    assert caught.value.remedy


@pytest.mark.parametrize(
    "raw, message",
    [
        (b"a: &x [1]\nb: *x\n", "an anchor, an alias or a tag"),
        (b"a: !!python/object/apply:os.system ['true']\n", "an anchor, an alias or a tag"),
        (b"a: 1\na: 2\n", "the key 'a' is repeated"),
        (b"a: " + b"[" * 50 + b"]" * 50, "nested more than 8 deep"),
        (b"a: " + b"[" * 90_000, "nested more than 8 deep"),
        (b"- " * 90_000, "nested more than 8 deep"),
        (b"- 1\n", "it is a list"),
        (b"", "it is empty"),
        (b"\xff\xfe", "cannot be read"),
        (b"a: 1\n---\nb: 2\n", "cannot be read"),
        (b"a: '" + b"x" * 300_000 + b"'", "more than 262,144 bytes"),
        (b"? [1]\n: 2\n", "is repeated or no text"),
    ],
)
def test_a_hostile_file_is_refused_before_anything_is_built(raw: bytes, message: str) -> None:
    with pytest.raises(Refused, match=re.escape(message)):
        read_plain_yaml(raw, name="m", most=256 << 10)


def test_plain_scalars_are_read_by_the_newer_rules() -> None:
    raw = b"a: yes\nb: 1:30\nc: 2026-05-01T12:00:00Z\nd: 0x1f\ne: '1'\nf: 1.5e3\ng: -4\nh: null\ni: true\nj: .inf\n"
    assert read_plain_yaml(raw, name="m", most=1000) == {
        "a": "yes", "b": "1:30", "c": "2026-05-01T12:00:00Z", "d": "0x1f", "e": "1", "f": 1500.0, "g": -4, "h": None, "i": True, "j": ".inf",
    }  # fmt: skip


def test_a_name_that_the_format_excludes_is_not_written() -> None:
    with pytest.raises(AuditError, match="A text with the character"):
        write_manifest([make_plan("a\u2028b")])


def test_the_command_writes_what_it_reads_and_the_claim_can_be_frozen_elsewhere(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim_id, file = freeze_by_hand(home), tmp_path / "C.prml.yaml"
    ask: Callable[..., int] = lambda *parts: cli.main(["exchange", *map(str, parts), "--json"])  # noqa: E731
    assert ask("plan", claim_id, "--out", file) == 0
    written = json.loads(capsys.readouterr().out)
    assert name_sidecar(file).read_text().strip() == written["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert ask("read-plan", file, "--out", tmp_path / "claim.toml", "--claim", claim_id) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sha256"], found["registered"]) == (written["sha256"], claim_id)
    assert load_claim(tmp_path / "claim.toml") == Register(home).find(claim_id).plan.claim
    file.write_bytes(file.read_bytes().replace(b"threshold: 0.1", b"threshold: 0.2"))
    assert ask("read-plan", file) == 4
