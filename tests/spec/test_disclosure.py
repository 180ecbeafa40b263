"""What a preparer could do before the plan is disclosed or refused, and a third party can check what is disclosed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy.planted import make_induction

from audit_core.audits.ablation import AblationRequest
from audit_core.claim import Claim
from audit_core.cli.keys import describe_trust
from audit_core.component import head
from audit_core.confirm import describe_sought, freeze_claim, run_confirmatory
from audit_core.errors import ClaimRefused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.report.blocks import spell
from audit_core.evidence.report.brief import read_brief
from audit_core.evidence.report.build import build_report
from audit_core.evidence.report.json_form import write_json
from audit_core.evidence.report.pack_view import PackView, parse_members
from audit_core.packs.claim_documents import read_claim_documents
from audit_core.packs.disclosure import describe_set
from audit_core.packs.openings import choose_openings
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.packs.rerun import rerun_pack
from audit_core.preregistration import Preregistration, PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.found_templates import describe_templates, digest_skeleton, find_templates
from audit_core.prompts.prompt_set import (
    Prompt,
    PromptSet,
    divide_by_template,
    is_exploratory,
    take_split,
)
from audit_core.prompts.repeats import digest_texts
from audit_core.run import Actor, Auditor
from audit_core.shipped import is_shipped_set, list_prompt_sets, load_prompt_set, load_shipped_policy
from audit_core.store import RunLog, keep_prompts, load_kept_prompts, make_key
from audit_core.store.claims.earlier_runs import read_sightings
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.log.run_log import RunRecord
from audit_core.store.prompt_split import divide_prompts
from audit_core.subjects.transformer import TransformerSubject
from audit_core.verifier.container import BadPack
from audit_core.verifier.disclosure import check_disclosed_rows
from audit_core.verifier.documents import read_documents
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER
from audit_core.verifier.semantics import check_semantics
from audit_core.verifier.skeletons import read_masks
from audit_core.verifier.withheld import check_openings, read_openings

pytestmark = pytest.mark.usefixtures("short_draws")

ME, SALT = Actor("anna", "test"), "0123456789abcdef"
CLAIM = Claim("the copying head is needed", (head(1, 0),))
FRAMES = (
    "When {a} and {b} went to the {p} today {a} gave a book to",
    "After {a} and {b} left the {p} together {a} handed the keys to",
    "While {a} and {b} were resting near the {p} {a} offered water to",
    "Since {a} met {b} behind that old {p} {a} has written letters to",
    "Yesterday {a} saw how {b} cleaned the {p} so {a} said thanks to",
    "Because {a} forgot what {b} wanted from the {p} {a} apologised to",
    "Then {a} followed {b} through every {p} until {a} whispered to",
    "Before {a} could ask {b} about the {p} {a} smiled kindly at",
    "Once {a} had painted with {b} beside a {p} {a} sold pictures to",
    "Although {a} never trusted {b} in the {p} {a} lent money to",
    "Whenever {a} sings for {b} at some {p} {a} waves slowly at",
    "Tomorrow {a} will visit {b} outside the {p} where {a} cooks for",
)
PLACES = ("shop", "park", "school", "station")
NAMES = (("Mary", "John"), ("Anna", "Peter"), ("Laura", "Simon"), ("Ruth", "Paul"))


def write_sentences(change: Callable[[int, int, str], str] = lambda frame, at, text: text) -> PromptSet:
    """Twelve templates of four prompts; `change` may reword a prompt in both of its texts."""
    rows = []
    for number, frame in enumerate(FRAMES):
        for at, ((one, other), place) in enumerate(zip(NAMES, PLACES, strict=True)):
            worded = change(number, at, frame)
            clean = worded.format(a=one, b=other, p=place)
            # The last subject is the slot: the corrupted text names the other person there.
            corrupted = clean[::-1].replace(one[::-1], other[::-1], 1)[::-1]
            rows.append(Prompt(f"s{number}-{at}", clean, corrupted, f" {other}", f" {one}", f"t{number}"))
    return PromptSet("sentences", tuple(rows))


def split_of(prompts: PromptSet) -> dict[str, bool]:
    return {prompt.id: is_exploratory(prompt) for prompt in prompts.prompts}


def test_another_filler_word_moves_no_prompt_between_the_splits() -> None:
    """Under the first rule it moves about half of the prompts that are reworded."""

    def reword(frame: int, at: int, text: str) -> str:
        return text.replace(" the {p}", " the big {p}") if at == 0 else text

    before, after = write_sentences(), write_sentences(reword)
    reworded = [n.id for n, o in zip(after.prompts, before.prompts, strict=True) if n.clean != o.clean]
    assert len(reworded) >= 8
    first, second = split_of(divide_by_template(before, SALT)), split_of(divide_by_template(after, SALT))
    assert {first[name] for name in reworded} == {True, False}, "else nothing is tested"
    assert first == second
    by_text = [split_of(before)[name] != split_of(after)[name] for name in reworded]
    assert any(by_text), "else the first rule would do"


def test_every_template_lies_in_one_split_and_each_split_has_half_of_them() -> None:
    divided = divide_by_template(write_sentences(), SALT)
    flags = [
        {is_exploratory(divided.prompts[at]) for at in template.rows}
        for template in describe_templates(divided.prompts)
    ]
    assert [len(one) for one in flags] == [1] * 12
    assert sum(one == {True} for one in flags) == 6
    others = [split_of(divide_by_template(write_sentences(), f"{n:016x}")) for n in range(4)]
    assert any(other != others[0] for other in others), "the salt decides"


def test_labels_ids_and_order_move_nothing() -> None:
    plain = write_sentences()
    renamed = PromptSet("x", tuple(replace(p, template=p.id, group="g") for p in reversed(plain.prompts)))
    assert split_of(divide_by_template(plain, SALT)) == split_of(divide_by_template(renamed, SALT))


def test_few_templates_and_shipped_sets_keep_the_first_rule(own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    few = PromptSet("few", write_sentences().prompts[:36])
    assert len(set(find_templates(few.prompts))) == 9
    assert split_of(divide_prompts(few)) == split_of(few)
    assert not divide_prompts(few).split_salt
    for key in list_prompt_sets():
        whole = load_prompt_set(key)
        assert is_shipped_set(whole)
        assert not whole.split_salt


def test_a_stored_set_keeps_the_rule_that_it_was_stored_under(own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    plain = write_sentences()
    divided = divide_prompts(plain)
    assert divided.split_salt
    old, new = keep_prompts(plain), keep_prompts(divided)
    assert old != new
    assert split_of(load_kept_prompts(old)) == split_of(plain)
    assert split_of(load_kept_prompts(new)) == split_of(divided)
    assert split_of(divided) != split_of(plain)


# From here on with runs, on a model whose wiring is known.


@pytest.fixture(scope="module")
def subject(planted: TransformerSubject) -> TransformerSubject:
    return planted


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    return make_induction(48, change="query", n_templates=6)


def freeze(home: Path, subject: TransformerSubject, prompts: PromptSet, **said: Any) -> Preregistration:
    return freeze_claim(
        Register(home), subject, CLAIM, prompts, load_shipped_policy(), owner="anna", model="planted", questions=(), **said,
    )  # fmt: skip


def look_at(home: Path, subject: TransformerSubject, prompts: PromptSet, *, explored: bool) -> None:
    half = tokenise(take_split(prompts, exploratory=explored), subject.tokenizer)
    Auditor(subject, RunLog(home)).run("ablation", AblationRequest(half, half, (head(1, 0),)), actor=ME)


def export(home: Path, claim_id: str, name: str, **said: Any) -> Path:
    export_pack(
        home, [claim_id], home / name, key=make_key(home, said.pop("by", "anna")), issue=ExportOptions("anna", **said)
    )
    return home / name


def read(pack: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(pack) as file:
        return {name: file.read(name) for name in file.namelist()}


def check(members: dict[str, bytes]) -> None:
    """Steps 5 and 6 of the verifier, which compare documents; the others would notice any change of a byte."""
    plain = {name: data for name, data in members.items() if not name.startswith(("attestations/", "MANIFEST"))}
    check_semantics(read_documents(plain), plain, None)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, subject: TransformerSubject, prompts: PromptSet) -> Iterator[Path]:
    """A set that is divided by template: explored, frozen, run once, and packed openly and withheld."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        divided = divide_prompts(prompts)
        look_at(home, subject, divided, explored=True)
        plan = freeze(home, subject, divided)
        run_confirmatory(Register(home), plan.claim_id, lambda name: Auditor(subject, RunLog(home)), actor=ME)
        export(home, plan.claim_id, "open.zip")
        export(home, plan.claim_id, "closed.zip", by="anna2", withhold_prompts=True)
        (home / "trust.toml").write_text(describe_trust(home, [("anna", "preparer"), ("anna2", "preparer")]))
        yield home


def disclosed(members: dict[str, bytes]) -> Any:
    return json.loads(members[DISCLOSURE_MEMBER])


def test_a_pack_of_a_divided_set_verifies_and_names_salt_templates_and_seed(packed: Path) -> None:
    members = read(packed / "open.zip")
    check(members)
    found = disclosed(members)
    (one,) = found["sets"]
    assert one["split"]["rule"] == 2
    assert found["installation"]["log_id"] == f"assay/{one['split']['salt']}"
    assert json.loads(members["prereg/prereg.json"])["prompts"]["split_salt"] == one["split"]["salt"]
    assert len(one["template_of"]) == 48
    assert all(template["skeleton"] for template in one["templates"])
    (claim,) = found["claims"]
    assert claim["seed"] == {"value": 0, "derivation": "default"}
    assert (claim["share_seen"], claim["runs_before"]) == (0.0, 1)


def test_a_rerun_divides_a_packed_set_as_its_plan_did(
    packed: Path, subject: TransformerSubject, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(packed))
    (found,) = rerun_pack(packed / "open.zip", lambda: Auditor(subject, RunLog(packed)), actor=ME)
    assert (found.bitwise, found.decision) == ("BITWISE_EQUAL", "DECISION_EQUAL")


def test_withheld_packs_disclose_no_word_and_no_digest_of_a_single_prompt(
    packed: Path, prompts: PromptSet, monkeypatch: Any
) -> None:
    """The identity of a run has digests of its texts without a salt; a pack had them too."""
    monkeypatch.setenv("AUDIT_HOME", str(packed))
    members = read(packed / "closed.zip")
    check(members)
    assert {template["skeleton"] for one in disclosed(members)["sets"] for template in one["templates"]} == {None}
    digests = [digest_texts(prompt).encode() for prompt in prompts.prompts]
    for name, data in members.items():
        assert not [one for one in digests if one in data], name
    plain = {name: data for name, data in members.items() if not name.startswith(("attestations/", "MANIFEST"))}
    openings = read_openings(choose_openings(packed, packed / "closed.zip", ()))
    assert check_openings(read_documents(plain), plain, openings).result == "PROMPTS_MATCH"


def test_a_disclosure_that_contradicts_the_pack_is_refused(packed: Path) -> None:
    """Each contradiction: test_disclosed_by_hand.py."""
    members = read(packed / "open.zip")
    found = disclosed(members)
    found["installation"]["runs"] += 1
    with pytest.raises(BadPack, match="logged with"):
        check(members | {DISCLOSURE_MEMBER: dump_canonical(found)})


def test_every_prompt_as_a_template_of_its_own_is_refused() -> None:
    """Prompts whose words agree outside their slots are one template, whatever the pack says."""
    plain = write_sentences()
    rows = [prompt.to_row() for prompt in plain.prompts]
    one = {
        "sha256": "0" * 64, "split": {"rule": 1, "salt": None}, "template_of": list(range(len(rows))), "n_labels": 12,
        "templates": [{"skeleton": " ".join(mask), "n_exploratory": 1, "n_confirmatory": 0} for mask in read_masks(rows)],
    }  # fmt: skip
    with pytest.raises(BadPack, match="several templates"):
        check_disclosed_rows(one, rows)


@pytest.mark.parametrize("key", list_prompt_sets())
def test_templates_as_found_pass_the_check_of_a_reader_without_numpy(key: str) -> None:
    whole = load_prompt_set(key)
    check_disclosed_rows(
        describe_set("0" * 64, whole, hides_words=False), [prompt.to_row() for prompt in whole.prompts]
    )


def test_a_new_data_directory_says_that_nothing_attests_what_came_before(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    """The trick: look at everything elsewhere, then begin a new data directory."""
    plan = freeze(home, subject, prompts)
    documents = read_claim_documents(home, plan.claim_id)
    sentence = spell(read_brief(PackView(documents), plan.claim_id).history[0])
    began = plan.frozen_at[:4]
    assert "Nothing attests what was done before this installation's log begins: on " in sentence
    assert (
        f"{began}, with 0 runs before the plan was frozen. Earlier runs, and runs elsewhere, cannot be seen."
        in sentence
    )
    assert sentence in documents["pack.json"]["limitations"]
    report = write_json(build_report(documents, root_digest="0" * 64, digest_of="documents")).decode()
    assert report.count("Nothing attests what was done before") >= 3, "first page, section, limitations"


def test_runs_that_touched_the_prompts_are_listed_whatever_model_they_were_of(
    home: Path, subject: TransformerSubject, prompts: PromptSet
) -> None:
    look_at(home, subject, prompts, explored=True)
    look_at(home, subject, PromptSet("part", prompts.prompts[:20]), explored=False)
    plan = freeze(home, subject, prompts)
    assert plan.prior_access is PriorAccess.RESULTS_SEEN
    (one,) = read_claim_documents(home, plan.claim_id)[DISCLOSURE_MEMBER]["claims"]
    (run,) = one["earlier_runs"]
    assert (run["audit"], run["is_this_model"], run["shows_results"]) == ("ablation", True, True)
    assert 0 < one["share_seen"] == one["share_touched"] < 1
    assert one["share_seen"] == pytest.approx(run["n_shared"] / plan.pins.n_prompts)


def test_the_same_templates_in_other_words_are_no_unseen_prompts(
    home: Path, subject: TransformerSubject, monkeypatch: Any
) -> None:
    """The trick: explore, change a filler word in every prompt, and preregister the rest as new."""

    def reword(frame: int, at: int, text: str) -> str:
        return (
            text.replace(" the {p}", " the big {p}")
            .replace(" some {p}", " some big {p}")
            .replace(" old {p}", " new {p}")
        )

    divided, reworded = write_sentences(), divide_by_template(write_sentences(reword), SALT)
    shown = divided
    sought = describe_sought(reworded, take_split(reworded, exploratory=False).sha256)
    templates = [digest_skeleton(one.skeleton) for one in describe_templates(shown.prompts)]
    identity = {"n_prompts": len(shown), "pairs": [], "skeletons": templates}
    RunLog(home).append(
        RunRecord("r1", "2026-01-01T00:00:00+00:00", "anna", "s", "sweep", "done", "", "", "k", "m", "p", json.dumps(identity), "{}", "{}", 1.0)
    )  # fmt: skip
    with open_database(home) as connection:
        found = read_sightings(connection, "m", sought)
        assert found.access is PriorAccess.RESULTS_SEEN
        assert found.share > 0.9
        # Under the first rule both splits hold every template, and its other prompts are looked at rightly.
        assert read_sightings(connection, "m", replace(sought, counts_templates=False)).sets == 0


def test_a_salt_of_another_log_is_refused(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    """A salt that a person may choose would let them choose the split."""
    with pytest.raises(ClaimRefused, match="another log"):
        freeze(home, subject, divide_by_template(prompts, SALT))


def test_a_log_that_begins_with_something_else_is_packed_and_no_attempt_of_its_own(
    packed: Path,
) -> None:
    """The first entry is in every pack: an exploratory run is no attempt, and a finding about another claim none of the pack's."""
    members = read(packed / "open.zip")
    first = json.loads(members["log/entries.jsonl"].splitlines()[0])
    assert first["seq"] == 0
    documents = parse_members(members)
    entries = documents["log/entries.jsonl"]
    begun = sum(entry["action"] == "run.started" for entry in entries)
    run = first | {"action": "run.started", "object_id": "r0", "payload": {"claim_id": None}}
    report = write_json(
        build_report(documents | {"log/entries.jsonl": [run, *entries[1:]]}, root_digest="0" * 64)
    ).decode()
    assert f"The log entries in the pack start {begun - (first['action'] == 'run.started')}." in report
    finding = first | {"action": "finding.recorded", "object_id": "F-0001", "payload": {"claims": ["C-0002"]}}
    lines = members["log/entries.jsonl"].splitlines(keepends=True)
    check(members | {"log/entries.jsonl": dump_canonical(finding) + b"\n" + b"".join(lines[1:])})
    of_this_claim = finding | {"payload": {"claims": ["C-0001"]}}
    with pytest.raises(BadPack, match="finding"):
        check(members | {"log/entries.jsonl": dump_canonical(of_this_claim) + b"\n" + b"".join(lines[1:])})
