"""Policies as versions: edited with their comments, compared by what is stricter, tried on packs, saved with a reason, and chosen by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from toy.packs import genuine_members, zip_up

from audit_core import cli
from audit_core.errors import IntegrityError, PolicyRefused
from audit_core.governance import Direction, Policy, compare_policies, edit_policy, parse_policy
from audit_core.policy_choice import (
    SHIPPED,
    list_borrowed,
    list_policy_choices,
    load_policy_choice,
    read_policy,
    save_own_policy,
)
from audit_core.review import FIXED, describe_policy, read_trial_packs, take_pack, try_policy
from audit_core.shipped import load_shipped_policy
from audit_core.store import (
    Action,
    audit_home,
    keep_policy_in_force,
    list_events,
    list_policies,
    open_database,
    retire_policy,
)

NECESSITY = ("criteria", "necessity")
OWN = {("id",): "bank-1", (*NECESSITY, "threshold"): 0.4, (*NECESSITY, "source"): "organisation"}
ANSWER = {
    "audit": "tools", "number": "edits[edit=edited].followed", "evidence": "causal", "op": ">=", "threshold": 0.9, "bound": "lower",
    "source": "organisation", "why": "The answer must come from the tool's result.",
}  # fmt: skip
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "home"))
    return audit_home()


@pytest.fixture
def own() -> Policy:
    return edit_policy(load_shipped_policy(), OWN)


def show(changes: Any) -> dict[str, str]:
    return {one.place: one.direction.value for one in changes}


def test_an_edit_changes_its_value_and_nothing_else_of_the_file(own: Policy) -> None:
    before, after = load_shipped_policy().text.decode().splitlines(), own.text.decode().splitlines()
    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == len(OWN)
    assert before[:2] == after[:2], "the comments at the top stay"
    assert edit_policy(own, {(*NECESSITY, "threshold"): 0.4}).sha256 == own.sha256, (
        "an equal value is not written again"
    )


def test_an_edit_adds_and_removes_tables(own: Policy) -> None:
    values: dict[tuple[str, ...], Any] = {("answers", "follows", key): value for key, value in ANSWER.items()}
    added = edit_policy(own, {**values, ("gate", "required"): [*own.required, "follows"]})
    assert added.resolved()["answers"]["follows"]["threshold"] == ANSWER["threshold"]
    gone = edit_policy(added, {("answers",): None, ("gate", "required"): list(own.required)})
    assert compare_policies(own, gone) == ()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({(*NECESSITY, "op"): "<="}, "criteria.necessity.bound"),
        ({(*NECESSITY, "threshold"): "high"}, "threshold"),
        ({(*NECESSITY, "why"): ""}, "why"),
        ({(*NECESSITY, "colour"): "red"}, "colour"),
        ({("gate", "required", "deeper"): 1}, "cannot be written"),
        ({("criteria", "necessity"): None}, "necessity"),
        ({("id",): "two words"}, "id"),
        ({("id",): "x\ny = 1"}, "id"),
    ],
)
def test_an_edit_that_makes_no_policy_is_refused_by_name(own: Policy, values: Mapping[Any, Any], named: str) -> None:
    with pytest.raises(PolicyRefused, match=named):
        edit_policy(own, values)


STRICTER: dict[str, tuple[Mapping[Any, Any], str]] = {
    "a higher mark to reach": ({(*NECESSITY, "threshold"): 0.5}, "criteria.necessity.threshold"),
    "a lower mark to stay below": ({("criteria", "completeness", "threshold"): 0.1}, "criteria.completeness.threshold"),
    "more prompts": ({(*NECESSITY, "min_n"): 300}, "criteria.necessity.min_n"),
    "templates asked for": ({(*NECESSITY, "min_templates"): 5}, "criteria.necessity.min_templates"),
    "a wider interval": ({(*NECESSITY, "ci_level"): 0.99}, "criteria.necessity.ci_level"),
    "the interval in place of the number": ({("criteria", "stability", "bound"): "lower"}, "criteria.stability.bound"),
    "one more ablation": (
        {(*NECESSITY, "over_ablations"): ["mean", "resample", "zero"]}, "criteria.necessity.over_ablations"
    ),
    "fewer waivers": ({("gate", "max_waivers"): 0}, "gate.max_waivers"),
    "shorter waivers": ({("gate", "waiver_max_days"): 10}, "gate.waiver_max_days"),
    "a smaller alpha": ({("gate", "multiplicity", "alpha"): 0.01}, "gate.multiplicity.alpha"),
    "younger approvals": ({("approval", "max_age_days"): 90}, "approval.max_age_days"),
    "one more that decides": (
        {("gate", "required"): [*load_shipped_policy().required, "calibration"], ("gate", "optional"): []}, "gate.required.calibration"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STRICTER)
def test_what_asks_for_more_is_stricter_and_its_reverse_is_laxer(kind: str) -> None:
    values, place = STRICTER[kind]
    shipped, other = load_shipped_policy(), edit_policy(load_shipped_policy(), values)
    assert show(compare_policies(shipped, other))[place] == Direction.STRICTER
    assert show(compare_policies(other, shipped))[place] == Direction.LAXER


def test_what_cannot_be_compared_is_called_neither(own: Policy) -> None:
    other = edit_policy(own, {(*NECESSITY, "metric"): "faithfulness_ld", (*NECESSITY, "threshold"): 0.9})
    assert set(show(compare_policies(own, other)).values()) == {Direction.NEITHER}
    assert show(compare_policies(own, edit_policy(own, {(*NECESSITY, "why"): "because"}))) == {
        "criteria.necessity.why": Direction.NEITHER
    }
    assert compare_policies(own, own) == ()


def test_every_criterion_has_words_with_its_threshold_and_its_source(own: Policy) -> None:
    values: dict[tuple[str, ...], Any] = {("answers", "follows", key): value for key, value in ANSWER.items()}
    policy = edit_policy(own, {**values, ("gate", "required"): [*own.required, "follows"]})
    words = {one.name: one for one in describe_policy(policy)}
    assert set(words) == {*policy.required, *policy.optional}
    assert "at least 0.4, by the lower end of the 95% interval" in words["necessity"].rule
    assert "mean, resample; the worst decides; from 200 prompts or more" in words["necessity"].rule
    assert words["necessity"].source == "your organisation"
    assert "replace it" in words["faithfulness"].source
    assert "199 draws" in words["random_baseline"].rule
    assert "tools" in words["follows"].question
    assert "causal" in words["follows"].question
    assert all(words[name].question == FIXED[name] for name in FIXED if name in words)
    assert not words["calibration"].is_required


def test_a_saved_policy_is_a_version_in_the_log_and_is_chosen_by_id_or_digest(home: Path, own: Policy) -> None:
    assert [one.key for one in list_policy_choices(home)] == [load_shipped_policy().id]
    assert load_policy_choice(home, SHIPPED).sha256 == load_shipped_policy().sha256
    first = save_own_policy(home, own, based_on="", reason="Board, item 4.", by="ada")
    second = edit_policy(own, {(*NECESSITY, "threshold"): 0.2, ("gate", "max_waivers"): 0})
    saved = save_own_policy(home, second, based_on=own.sha256, reason="Too strict.", by="ada")
    assert (first.version, saved.version, saved.replaces) == (1, 2, own.sha256)
    assert (saved.stricter, saved.laxer) == (1, 1)
    assert [one.label for one in list_policy_choices(home)] == [
        "bank-1, version 2",
        f"{load_shipped_policy().id} (example of this project)",
    ]
    assert load_policy_choice(home, "bank-1").sha256 == second.sha256
    assert load_policy_choice(home, own.sha256).sha256 == own.sha256, "an earlier version stays readable"
    assert read_policy(home, "bank-1").text == second.text
    with open_database(home) as connection:
        events = list_events(connection, action=Action.POLICY_SAVED)
    assert [one.payload["policy_sha256"] for one in events] == [own.sha256, second.sha256]
    (home / "policies" / f"{own.sha256}.toml").write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        load_policy_choice(home, own.sha256)


def test_a_policy_is_saved_with_a_reason_a_source_and_an_id_of_its_own(home: Path, own: Policy) -> None:
    def refuse(policy: Policy, named: str, based_on: str = "", reason: str = "why") -> None:
        with pytest.raises(PolicyRefused, match=named):
            save_own_policy(home, policy, based_on=based_on, reason=reason, by="ada")

    refuse(own, "reason", reason="  ")
    refuse(own, "no version of bank-1 yet", based_on="0" * 64)
    refuse(edit_policy(load_shipped_policy(), {(*NECESSITY, "min_n"): 10}), "id .* is that of the example")
    borrowed = edit_policy(own, {(*NECESSITY, "source"): "default"})
    assert list_borrowed(borrowed) == ("necessity",)
    refuse(borrowed, "necessity names this project as the source")
    assert list_borrowed(edit_policy(own, {("gate", "ci_level"): 0.99})) == (), (
        "the gate's level is not a criterion's own value"
    )
    assert list_policies(home) == ()
    save_own_policy(home, own, based_on="", reason="why", by="ada")
    refuse(own, "newest version of bank-1 already", based_on=own.sha256)
    refuse(edit_policy(own, {("gate", "max_waivers"): 0}), "another newest version", based_on="")
    assert len(list_policies(home)) == 1


def test_a_retired_version_is_not_offered_and_freezes_nothing_until_a_new_one_is_saved(home: Path, own: Policy) -> None:
    def refuse(named: str, sha256: str = own.sha256, reason: str = "why") -> None:
        with pytest.raises(PolicyRefused, match=named):
            retire_policy(home, sha256, reason=reason, by="ben")

    keep_policy_in_force(own, home=home)
    refuse("No version")
    save_own_policy(home, own, based_on="", reason="Board, item 4.", by="ada")
    refuse("reason", reason=" ")
    keep_policy_in_force(own, home=home)
    gone = retire_policy(home, own.sha256, reason="Replaced by the group's.", by="ben")
    assert list_policies(home) == (gone,)
    assert gone.retired is not None
    assert (gone.retired.by, gone.retired.reason) == ("ben", "Replaced by the group's.")
    refuse("was retired by ben on .*: Replaced by the group's")
    with pytest.raises(PolicyRefused, match="version 1, was retired by ben"):
        keep_policy_in_force(own, home=home)
    assert [one.policy_id for one in list_policy_choices(home)] == [load_shipped_policy().id]
    assert load_policy_choice(home, "bank-1").text == own.text, "it stays readable, for what was frozen under it"
    with open_database(home) as connection:
        (event,) = list_events(connection, action=Action.POLICY_RETIRED)
    assert (event.object_id, event.actor, event.payload) == (
        "bank-1", "ben", {"policy_sha256": own.sha256, "version": 1, "reason": "Replaced by the group's."},
    )  # fmt: skip
    second = edit_policy(own, {("gate", "max_waivers"): 0})
    save_own_policy(home, second, based_on=own.sha256, reason="Back, with no waivers.", by="ada")
    assert [one.key for one in list_policy_choices(home)] == [second.sha256, load_shipped_policy().id]
    save_own_policy(home, own, based_on=second.sha256, reason="As it was.", by="ada")
    keep_policy_in_force(own, home=home)
    assert [one.retired is None for one in list_policies(home)] == [False, True, True]
    retire_policy(home, second.sha256, reason="Never used.", by="ben")
    assert list_policy_choices(home)[0].key == own.sha256, "the newest is in force"
    retire_policy(home, own.sha256, reason="Again.", by="ben")
    assert [one.retired.reason for one in list_policies(home) if one.retired] == [
        "Replaced by the group's.", "Never used.", "Again.",
    ]  # fmt: skip


@pytest.fixture
def desk(home: Path) -> Path:
    """A desk with one pack."""
    take_pack(home, zip_up(genuine_members()), by="ada")
    return home


def test_a_trial_says_what_each_row_would_become_and_logs_nothing(desk: Path) -> None:
    (pack,) = read_trial_packs(desk)
    shipped = load_shipped_policy()
    with open_database(desk) as connection:
        n_events = len(list_events(connection))
    (same,) = try_policy([pack], None, pack.own, now=NOW)
    assert not any(row.is_changed for row in same.rows)
    row = next(
        row.after
        for row in same.rows
        if row.after is not None and row.after.ci_high is not None and row.after.comparator == ">="
    )
    place, above = ("criteria", row.id), round((row.ci_high or 0.0) + 0.1, 2)
    anyhow = {(*place, "min_n"): 1, (*place, "min_gap_logit"): None, (*place, "ci_level"): 0.5}
    strict = edit_policy(pack.own, {**anyhow, (*place, "threshold"): above})
    lax = edit_policy(pack.own, {**anyhow, (*place, "threshold"): -9.0})
    (tried,) = try_policy([pack], lax, strict, now=NOW)
    changed = {
        (one.criterion, one.before.result, one.after.result)
        for one in tried.rows
        if one.is_changed and one.before is not None and one.after is not None
    }
    assert changed == {(row.id, "MEETS", "DOES_NOT_MEET")}
    left_out = edit_policy(pack.own, {("gate", "required"): [one for one in pack.own.required if one != "rerun"]})
    (tried,) = try_policy([pack], None, left_out, now=NOW)
    assert [row.after for row in tried.rows if row.criterion == "rerun"] == [None] * len(pack.claim_ids)
    assert all(row.is_changed for row in tried.rows if row.criterion == "rerun")
    with open_database(desk) as connection:
        assert len(list_events(connection)) == n_events
    assert shipped.id in {one.policy_id for one in list_policy_choices(desk)}


def test_the_command_reads_compares_tries_and_saves(
    desk: Path, own: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*argv: str) -> Any:
        assert cli.main([*argv, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    path = tmp_path / "bank.toml"
    path.write_bytes(own.text)
    assert run("policy", "save", str(path), "--reason", "Board.")["version"] == 1
    assert [one["policy_id"] for one in run("policy", "list")] == ["bank-1", load_shipped_policy().id]
    shown = run("policy", "show", "bank-1", "--out", str(tmp_path / "copy.toml"))
    assert parse_policy((tmp_path / "copy.toml").read_bytes(), "copy").sha256 == own.sha256 == shown["sha256"]
    compared = run("policy", "compare", load_shipped_policy().id, "bank-1")
    assert {one["place"]: one["direction"] for one in compared}["criteria.necessity.threshold"] == "stricter"
    (tried,) = run("policy", "try", "bank-1")
    assert {row["criterion"] for row in tried["rows"]} >= {"necessity", "rerun"}
    assert cli.main(["policy", "save", str(path), "--reason", "again", "--replaces", own.sha256]) == 2
    assert run("policy", "retire", "bank-1", "--reason", "Too strict.")["retired"]["reason"] == "Too strict."
    assert [one["policy_id"] for one in run("policy", "list")] == [load_shipped_policy().id]
    assert cli.main(["policy", "retire", load_shipped_policy().id, "--reason", "why"]) == 2
    assert cli.main(["policy", "show", "no-such"]) == 2
    assert "neither as a file nor saved here" in capsys.readouterr().err
