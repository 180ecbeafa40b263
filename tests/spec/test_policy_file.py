"""A policy file: read strictly, refused with what to do, and the one that ships states whose judgement each threshold is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from toy.policies import POLICY, read_toy

from audit_core.data_folder import DATA
from audit_core.errors import PolicyRefused
from audit_core.governance.policy import ThresholdSource, load_policy, parse_policy
from audit_core.shipped import list_policies, load_shipped_policy
from audit_core.verifier.policy_table import PolicyMalformed, resolve_policy


def test_a_policy_is_hashed_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    assert load_policy(path).sha256 == hashlib.sha256(POLICY.encode()).hexdigest()
    assert parse_policy((POLICY + "# a comment\n").encode(), "x").sha256 != load_policy(path).sha256


def test_every_key_left_out_is_filled_in_and_what_is_filled_in_reads_back() -> None:
    resolved = read_toy().resolved()
    assert resolved["gate"]["optional"] == []
    assert resolved["gate"]["waiver_max_days"] == 30
    assert resolved["applies_to"]["model"] == ["*"]
    assert resolved["criteria"]["faithfulness"]["ci_level"] == 0.95
    assert resolved["criteria"]["faithfulness"]["min_n"] is None
    assert resolved["approval"] == {"preparer_ne_reviewer": True, "reviewer_ne_approver": True, "max_age_days": 180}
    assert resolve_policy(resolved) == resolved


def test_a_resolved_policy_cannot_be_changed_for_the_next_reader() -> None:
    policy = read_toy()
    policy.resolved()["gate"]["max_waivers"] = 99
    assert policy.resolved()["gate"]["max_waivers"] == 1


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("assay/policy/1", "assay/policy/2", "use the schema"),
        ('id = "toy"', 'id = "two words"', "without spaces"),
        ('id = "toy"', 'id = "toy"\ncolour = 1', "Unknown key 'colour' in the policy"),
        ("max_waivers = 1", "max_waivers = 1\nmax_waiver = 2", "Unknown key 'max_waiver' in gate"),
        ("max_waivers = 1", "max_waivers = -1", "a whole number from 0"),
        ("max_waivers = 1", "max_waivers = true", "a whole number from 0"),
        ("max_waivers = 1", "max_waivers = 1.5", "a whole number from 0"),
        ("ci_level = 0.95", "ci_level = 95", "a number from 0.5"),
        ("ci_level = 0.95", "", "gate.ci_level = None"),
        ('method = "none"', 'method = "bonferroni"', "holm or none"),
        ('method = "none"', 'method = "none", family = "all"', "Unknown key 'family' in gate.multiplicity"),
        ('required = ["integrity", "attempts_disclosed", "faithfulness"]', "required = 5", "a list of names"),
        ('required = ["integrity", "attempts_disclosed", "faithfulness"]', "required = []", "a list of names"),
        ('required = ["integrity", ', "required = [3, ", "a list of names"),
        ('"faithfulness"]', '"faithfulness", "faithful"]', "which is not a criterion"),
        ('"faithfulness"]', '"faithfulness", "faithfulness"]', "each once"),
        ('"faithfulness"]', '"faithfulness"]\noptional = ["faithfulness"]', "listed twice"),
        ('"faithfulness"]', '"rerun"]\noptional = ["faithfulness"]', "No required criterion is a measurement"),
        ('"faithfulness"]', '"rerun"]', "is not listed in the gate"),
        ("threshold = 0.80", "", "threshold = None"),
        ("threshold = 0.80", 'threshold = "0.80"', "a number from"),
        ("threshold = 0.80", "threshold = nan", "a number from"),
        ("threshold = 0.80", "threshold = true", "a number from"),
        ("threshold = 0.80", "threshold = 0.80\nmin_items = 3", "Unknown key 'min_items'"),
        ('op = ">="', 'op = ">"', ">= or <="),
        ('op = ">="', 'op = "<="', "upper or estimate"),
        ('bound = "lower"', 'bound = "upper"', "lower or estimate"),
        ('bound = "lower"', "", "lower or estimate"),
        ('bound = "lower"', 'bound = "lower"\naggregate = "min"', "without over_ablations"),
        ('bound = "lower"', 'bound = "lower"\nover_ablations = ["mean"]\naggregate = "max"', "wanted: min"),
        ('bound = "lower"', 'bound = "lower"\nover_ablations = ["mean"]', "wanted: min"),
        ('bound = "lower"', 'bound = "lower"\nover_ablations = ["scale"]\naggregate = "min"', "names 'scale'"),
        ('bound = "lower"', 'bound = "lower"\nclaim_kind = ["speed"]', "names 'speed'"),
        ('source = "organisation"', "", "default or organisation or regulator"),
        ('source = "organisation"', 'source = "everybody"', "default or organisation or regulator"),
        ('why = "A toy."', "", "a sentence"),
        ('why = "A toy."', 'why = " "', "a sentence"),
        ("[criteria.faithfulness]", "[criteria.Faithful]", "lower-case letters"),
        ("[gate]", "[criteria.rerun]\nlevel = 'L3'\n[gate]", "remove the table"),
        ("[gate]", "[approval]\nmax_age_days = 0\n[gate]", "from 1 to"),
        ("[gate]", "[approval]\npreparer_ne_reviewer = 'yes'\n[gate]", "true or false"),
        ("[gate]", "[applies_to]\nmodel = []\n[gate]", "name the models"),
        (
            '"attempts_disclosed"',
            '"four_eyes"',
            "one person may act in all roles",
        ),
    ],
)
def test_what_cannot_be_applied_is_refused_with_what_to_do(old: str, new: str, says: str) -> None:
    changes = [(old, new)]
    if "one person" in says:
        changes.append(("[gate]", "[approval]\npreparer_ne_reviewer = false\nreviewer_ne_approver = false\n[gate]"))
    with pytest.raises(PolicyRefused) as refusal:
        read_toy(*changes)
    assert says.lower() in str(refusal.value).lower()
    assert refusal.value.exit_code == 2
    assert "toy.toml" in refusal.value.found


@pytest.mark.parametrize("data", [b"schema = ", b"\xff", b"a = " + b"9" * 5000, b"[[" * 2000])
def test_what_is_no_toml_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyRefused, match="is not TOML|Wanted"):
        parse_policy(data, "x.toml")


def test_a_policy_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="No file"):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(PolicyRefused, match="larger than"):
        load_policy(tmp_path / "large.toml")


@pytest.mark.parametrize("table", [None, [], "x", {}, {"schema": "assay/policy/1"}, {"criteria": []}])
def test_what_is_no_table_at_all_is_malformed(table: object) -> None:
    with pytest.raises(PolicyMalformed):
        resolve_policy(table)


def test_every_shipped_policy_loads_and_is_named() -> None:
    assert list_policies() == ("default",)
    assert load_shipped_policy().id == "default-2026-11"
    with pytest.raises(PolicyRefused, match="choose one"):
        load_shipped_policy("strict")


def test_the_default_policy_states_the_thresholds_it_is_known_for() -> None:
    found = {one.id: (one.metric, one.comparator, one.threshold, one.bound) for one in load_shipped_policy().criteria}
    assert found == {
        "faithfulness": ("faithfulness_ld", ">=", 0.80, "lower"),
        "necessity": ("necessity_drop", ">=", 0.30, "lower"),
        "random_baseline": ("faithfulness_percentile_vs_random", ">=", 0.95, "estimate"),
        "ablation_agreement": ("ablation_range", "<=", 0.20, "upper"),
        "completeness": ("incompleteness", "<=", 0.20, "upper"),
        "stability": ("core_jaccard", ">=", 0.60, "estimate"),
        "transfer": ("transfer_ratio", ">=", 0.80, "lower"),
        "calibration": ("ece_debiased", "<=", 0.05, "upper"),
    }
    assert load_shipped_policy().required[-1] == "four_eyes"
    assert load_shipped_policy().resolved()["gate"]["multiplicity"] == {"method": "holm", "alpha": 0.05}


def test_no_shipped_threshold_passes_for_the_judgement_of_another_organisation() -> None:
    assert {one.source for one in load_shipped_policy().criteria} == {ThresholdSource.DEFAULT}
    assert "Replace them" in (DATA / "policy/README.md").read_text()
