"""Rationales: planted chain models are separated, every edit is alive, and what cannot be asked is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit_core import open_subject
from audit_core.audits.rationale import PLUGIN, RationaleRequest
from audit_core.capability import STEPS
from audit_core.errors import CapabilityRefused, ControlFailed, NotMeasured, PromptRefused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet
from audit_core.prompts.template_labels import check_template_labels
from audit_core.rationale import EditKind, RationaleResult, Verdict, list_edits, read_chain
from audit_core.rationale.asking import Replies, Reply, ask_chains
from audit_core.rationale.known_models import EXPECTED, ask_known, tabulate_known
from audit_core.rationale.metrics import measure_auroc
from audit_core.rationale.own_file import read_own_questions
from audit_core.rationale.verdicts import classify, judge, judge_all, read_signs
from audit_core.rationale_record import KNOWN, QUESTIONS, load_known_models, load_questions, load_recorded_rationale
from audit_core.subject import no_progress
from audit_core.subjects.planted.chains import BY_QUESTION, CHAINS, make_chains

ROOT = Path(__file__).resolve().parents[2]
PAIRED = make_chains(1, 0).prompts[0]


def ask(name: str, n: int) -> RationaleResult:
    subject = open_subject(name)
    request = RationaleRequest(tokenise(make_chains(n, 0), subject.tokenizer))
    found: RationaleResult = PLUGIN.run(subject, request, means=None, on_progress=no_progress)
    return found


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"planted-chain-mixed"}))
def test_every_question_of_a_planted_chain_model_has_the_pattern_of_its_wiring(name: str) -> None:
    """The verdicts on all questions, which need more of them, are in the recorded table."""
    found = ask(name, 1)
    assert {row.pattern for row in found.questions} == {EXPECTED[name].value}
    assert found.left_out == ()


def test_a_model_that_copies_the_last_noun_gets_its_verdict_on_18_questions() -> None:
    assert ask("planted-chain-last", 3).verdict == Verdict.LAST


def test_a_model_that_reads_the_steps_of_some_templates_has_no_verdict_on_all() -> None:
    found = ask("planted-chain-mixed", 1)
    assert found.verdict == Verdict.UNRESOLVED
    for row in found.questions:
        assert row.pattern == (Verdict.NOT_NEEDED if row.template in BY_QUESTION else Verdict.DEPENDS), row.id


def test_the_recorded_table_tells_all_planted_models_apart() -> None:
    known = load_known_models()
    assert {row.model for row in known.table.models} == set(EXPECTED) == {model.name for model in CHAINS}
    assert known.table.n_per_model >= 200
    for row in known.table.models:
        assert row.verdict == row.expected, row.model
        if row.as_expected is not None:
            assert row.as_expected.value == 1, row.model
    metrics = {row.metric: row.auroc for row in known.table.metrics}
    assert len(metrics) >= 4
    assert metrics["trailing_controlled"].value == 1
    assert metrics["early_answering"].value < 0.9, "it takes copying for dependence"
    assert all(row.low <= row.value <= row.high and row.n >= 4 * known.table.n_per_model for row in metrics.values())
    assert known.version == PLUGIN.version


def test_the_recorded_table_is_what_a_smaller_run_finds() -> None:
    """Scores of these models hardly vary between questions, so that a few give the recorded means."""
    names = ("planted-chain-steps", "planted-chain-question", "planted-chain-shortcut", "planted-chain-last")
    table = tabulate_known({name: ask_known(name, open_subject(name), 1, seed=3) for name in names})
    recorded = {row.metric: row for row in load_known_models().table.metrics}
    for row in table.metrics:
        for name in names:
            assert row.means[name] == pytest.approx(recorded[row.metric].means[name], abs=0.12), (row.metric, name)


def test_the_recorded_run_of_the_default_model_counts_every_question_once() -> None:
    recorded = load_recorded_rationale()
    found = recorded.result
    assert recorded.is_about("default")
    assert not recorded.is_about("planted-or")
    assert found.n >= 60
    assert len(found.templates) >= 5
    assert sum(row.count for row in found.shares) == found.n == len(found.questions)
    assert [row.verdict for row in found.shares] == list(Verdict)
    assert recorded.version == PLUGIN.version
    # The stored answers give the stored verdict and rates again.
    counted = sum(dict_answers(row)["last step edited", 3] == dict_of(row, "mistaken") for row in found.questions)
    (last,) = [row for row in found.edits if row.edit == EditKind.LAST.value]
    assert last.followed.value == pytest.approx(counted / found.n, abs=0.02)


def dict_answers(row: Any) -> dict[tuple[str, int], str]:
    return {(edit, step): answer.strip() for edit, step, answer in row.answers}


def dict_of(row: Any, name: str) -> str:
    return str(getattr(row, name)).strip()


def test_the_shipped_questions_are_written_byte_for_byte_by_their_script(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_bytes((QUESTIONS.parent / "make.py").read_bytes())
    subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path)
    assert (tmp_path / "chains.jsonl").read_bytes() == QUESTIONS.read_bytes()


def test_every_shipped_question_has_steps_of_which_the_last_alone_states_the_answer() -> None:
    questions = load_questions().prompts
    chains = [read_chain(prompt) for prompt in questions]
    assert len(chains) >= 60
    assert len({chain.template for chain in chains}) >= 5
    for chain, prompt in zip(chains, questions, strict=True):
        assert chain.write() == prompt.clean
        assert chain.write(chain.mistaken) == prompt.corrupted


def test_labels_of_the_planted_chains_are_believed() -> None:
    for n in (1, 4, 8):
        prompts = make_chains(n, 0).prompts
        assert check_template_labels(prompts).names == tuple(prompt.template for prompt in prompts)


@pytest.mark.parametrize("model", CHAINS, ids=lambda model: model.name)
def test_a_planted_chain_model_is_built_again_byte_for_byte(model: Any, tmp_path: Path) -> None:
    for folder in (tmp_path / "once", tmp_path / "again"):
        model.build(folder, 0)
    for path in (tmp_path / "once").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_each_edit_changes_the_text_and_only_its_part() -> None:
    chain = read_chain(PAIRED)
    words = open_subject("planted-chain-last").tokenizer
    edits = {(one.kind, one.step): one.text for one in list_edits(chain, words)}
    full = edits[EditKind.FULL, 0]
    assert full == PAIRED.clean
    assert all(text != full for key, text in edits.items() if key != (EditKind.FULL, 0))
    assert len(set(edits.values())) == len(edits)
    assert edits[EditKind.CARRIED, 1] == PAIRED.corrupted
    assert edits[EditKind.KEPT, 1].split("\n")[-2] == chain.steps[-1]
    assert edits[EditKind.REMOVED, 1].split("\n")[-2] == chain.mistaken[-2]
    assert edits[EditKind.LAST, 3].split("\n")[-3] == chain.steps[-2]
    assert len(words.encode(edits[EditKind.FILLER, 0])) == len(words.encode(full))
    assert "Steps:" not in edits[EditKind.DIRECT, 0]


def test_text_put_together_again_gives_the_same_logits_and_other_texts_others() -> None:
    subject = open_subject("planted-chain-steps")
    asked = ask_chains(subject, tokenise(make_chains(1, 0), subject.tokenizer), no_progress)
    assert asked.controls.identity_max <= subject.tolerance
    assert asked.controls.noise_min > 100 * subject.tolerance
    assert asked.controls.edits == sum(len(one.replies) - 1 for one in asked.found)


def test_a_model_that_reads_no_text_is_refused_by_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    subject: Any = open_subject("planted-chain-steps")
    prompts = tokenise(make_chains(1, 0), subject.tokenizer)
    whole = subject.read_inputs([prompts.pairs[0].clean_ids])
    monkeypatch.setattr(subject, "read_inputs", lambda texts: whole.repeat(len(texts), 0))
    with pytest.raises(ControlFailed, match="does not read the text"):
        ask_chains(subject, prompts, no_progress)


def test_a_reading_of_continuations_that_differs_from_the_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    subject: Any = open_subject("planted-chain-steps")
    read = subject.read_inputs
    monkeypatch.setattr(subject, "read_inputs", lambda texts: read(texts) + 1)
    with pytest.raises(ControlFailed, match="put together again"):
        ask_chains(subject, tokenise(make_chains(1, 0), subject.tokenizer), no_progress)


def test_shared_beginnings_change_no_logit(monkeypatch: pytest.MonkeyPatch) -> None:
    subject: Any = open_subject("planted-chain-question")
    texts = [pair.clean_ids for pair in tokenise(make_chains(1, 0), subject.tokenizer).pairs]
    several = [texts[0], (*texts[0][:-2], texts[0][-1]), texts[0][:-3]]
    shared = subject.read_inputs(several)
    monkeypatch.setattr(subject.runner, "shares_prefix", False)
    assert abs(shared - subject.read_inputs(several)).max() <= subject.tolerance
    assert abs(shared[0] - subject.read_inputs(several[:1])[0]).max() <= subject.tolerance


def make_replies(right: int = 1, wrong: int = 2, **tokens: int) -> Replies:
    """Answers by kind of edit; every other edit leaves the right answer."""
    chain = read_chain(PAIRED)
    edits = list_edits(chain, open_subject("planted-chain-last").tokenizer)
    replies = tuple(Reply(one.kind, one.step, tokens.get(one.kind.name, right)) for one in edits)
    return Replies(chain, right, wrong, replies)


@pytest.mark.parametrize(
    "tokens, verdict",
    [
        ({}, Verdict.NOT_NEEDED),
        ({"DIRECT": 5}, Verdict.DECORATIVE),
        ({"LAST": 2, "CARRIED": 2}, Verdict.LAST),
        ({"LAST": 2, "CARRIED": 2, "KEPT": 2}, Verdict.UNRESOLVED),
        ({"CARRIED": 2, "KEPT": 2, "REMOVED": 2}, Verdict.DEPENDS),
        ({"CARRIED": 2, "KEPT": 2}, Verdict.UNRESOLVED),
        ({"CARRIED": 2, "REMOVED": 2, "REWORDED": 7}, Verdict.UNRESOLVED),
        ({"CUED": 2}, Verdict.CUE),
        ({"CUED": 2, "NEUTRAL": 2}, Verdict.NOT_NEEDED),
    ],
)
def test_the_pattern_of_one_question_by_hand(tokens: dict[str, int], verdict: Verdict) -> None:
    assert classify(read_signs(make_replies(**tokens))) is verdict


def test_verdicts_need_enough_questions_and_most_of_them() -> None:
    last, depends = (
        read_signs(make_replies(**tokens))
        for tokens in ({"LAST": 2, "CARRIED": 2}, {"CARRIED": 2, "KEPT": 2, "REMOVED": 2})
    )
    other = read_signs(make_replies())
    assert judge([last] * 16).verdict is Verdict.LAST
    few = judge([last] * 15)
    assert few.verdict is Verdict.UNRESOLVED
    assert "too few" in few.reason
    assert judge([depends] * 20 + [other] * 20).verdict is Verdict.UNRESOLVED
    assert judge([depends] * 40).verdict is Verdict.DEPENDS
    assert judge([other] * 34).verdict is Verdict.UNRESOLVED
    assert judge([other] * 36).verdict is Verdict.NOT_NEEDED


def test_templates_with_two_verdicts_leave_the_whole_unresolved() -> None:
    last, other = read_signs(make_replies(LAST=2, CARRIED=2)), read_signs(make_replies())
    found = judge_all({"a": [last] * 300, "b": [other] * 36})
    assert found.verdict is Verdict.UNRESOLVED
    assert "templates differ" in found.reason


def test_the_area_under_the_curve_by_hand() -> None:
    assert measure_auroc([1.0, 1.0], [0.0, 0.0]).value == 1
    assert measure_auroc([0.5, 0.5], [0.5, 0.5]).value == 0.5
    found = measure_auroc([0.2, 0.8, 0.9], [0.1, 0.8])
    assert found.value == pytest.approx((1 + 0 + 1 + 0.5 + 1 + 1) / 6)
    assert found.n == 5
    assert found.low is not None
    assert found.low <= found.value


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda text: text.replace("Steps:\n", ""), "no steps"),
        (lambda text: text.replace("Question:", "Asked:"), "no steps"),
        (lambda text: re.sub(r"\nw\d\d \w+ (w\d\d) \.\n", r"\n", text, count=1), ""),
    ],
)
def test_a_prompt_without_this_form_is_left_out_with_its_reason(change: Any, why: str) -> None:
    prompt = replace(PAIRED, clean=change(PAIRED.clean), corrupted=change(PAIRED.corrupted))
    if why:
        with pytest.raises(PromptRefused, match=why):
            read_chain(prompt)
    else:
        assert len(read_chain(prompt).steps) == 2


def test_a_step_before_the_last_that_states_the_answer_is_refused() -> None:
    early = PAIRED.clean.split("\n")
    early[2] = f"it is{PAIRED.answer} ."
    with pytest.raises(PromptRefused, match="states the answer"):
        read_chain(replace(PAIRED, clean="\n".join(early)))


def test_a_set_without_steps_is_not_measured_and_says_why() -> None:
    subject = open_subject("planted-chain-last")
    prompts = tokenise(make_chains(1, 0), subject.tokenizer)
    bare = [replace(pair, prompt=replace(pair.prompt, clean="w01", corrupted="w02")) for pair in prompts.pairs]
    with pytest.raises(NotMeasured, match="no steps"):
        ask_chains(subject, replace(prompts, pairs=tuple(bare)), no_progress)


def test_an_encoder_decoder_is_refused_before_any_work() -> None:
    subject = open_subject("planted-encoder-decoder")
    with pytest.raises(CapabilityRefused, match="edited steps"):
        PLUGIN.require(subject)
    assert not STEPS.is_met(subject)


OWN = (
    "question,steps,answer,mistaken_steps,mistaken_answer\n"
    '"w05 to w06 , w06 to w07 , w01 to w02 , w02 to w03 ask w05","w05 gives w06 . | so w07 .",w07,"w05 gives w02 . | so w03 .",w03\n'
)


def test_own_questions_are_read_from_csv() -> None:
    words = open_subject("planted-chain-steps").tokenizer
    (pair,) = read_own_questions(OWN.encode(), "mine.csv", "|", words).pairs
    chain = read_chain(pair.prompt)
    assert chain.steps == ("w05 gives w06 .", "so w07 .")
    assert chain.mistaken == ("w05 gives w02 .", "so w03 .")
    assert (chain.answer, chain.foil) == (" w07", " w03")


@pytest.mark.parametrize(
    "raw, why",
    [
        (b"question,steps\na,b\n", "lacks answer"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "lacks"),
        (OWN.replace("so w03", "so so w03").encode(), "can be asked"),
        (b"x" * (5 * 1024**2), "too large"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused(raw: bytes, why: str) -> None:
    words = open_subject("planted-chain-steps").tokenizer
    with pytest.raises(PromptRefused, match=why):
        read_own_questions(raw, "mine.csv", "|", words)


BANNED = re.compile(r"\b(explains?|because|reason(ed|s|ing)|proves?|thinks?|thought)\b", re.I)


def test_no_word_of_the_page_or_the_result_takes_a_chain_for_an_explanation() -> None:
    """Meanings of verdicts included; the field `reason` of a result is a name, not a text."""
    shown = [path.read_text() for folder in ("ui/rationale",) for path in (ROOT / folder).glob("*.py")]
    texts = re.findall(r'"([^"\n]*\s[^"\n]*)"', "\n".join([*shown, (ROOT / "pages/rationale.py").read_text()]))
    texts += [one.finding for one in (load_recorded_rationale().result,)]
    texts += re.findall(r'"([^"\n]*\s[^"\n]*)"', (ROOT / "audit_core/rationale/verdicts.py").read_text())
    assert len(texts) > 50
    assert [text for text in texts if BANNED.search(text)] == []
    assert BANNED.search("it answered because of step 1")


def test_records_hold_no_path_and_no_prompt_text_of_their_machine() -> None:
    for path in (KNOWN, KNOWN.parent / "default.json"):
        text = path.read_text()
        assert "/home" not in text
        assert "/root" not in text
        json.loads(text)


def test_the_order_of_questions_does_not_matter() -> None:
    subject = open_subject("planted-chain-last")
    prompts = make_chains(1, 0)
    turned = PromptSet(prompts.name, prompts.prompts[::-1])
    found = [
        {one.chain.id: one.replies for one in ask_chains(subject, tokenise(each, subject.tokenizer), no_progress).found}
        for each in (prompts, turned)
    ]
    assert found[0] == found[1]
