"""Campaigns: planned once, answered once, recorded once, whatever is killed in between."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audit_core.campaigns import (
    CampaignFolder,
    Ended,
    LocalEngine,
    Question,
    QuestionState,
    RayEngine,
    Task,
    execute_task,
    find_campaign,
    list_campaigns,
    load_campaign,
    plan_campaign,
    read_campaign,
    read_status,
    retry_failed,
    run_campaign,
)
from audit_core.campaigns import worker as working
from audit_core.campaigns.conduct import ENGINE_FAILED
from audit_core.campaigns.folder import divide_tasks
from audit_core.campaigns.question import deal, open_auditor
from audit_core.campaigns.recorded import EXAMPLE_FILE, read_recorded_campaign
from audit_core.campaigns.worker import OTHER_KEY, PROCESS_DIED, answer_question
from audit_core.errors import Refused
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import dump_jsonl
from audit_core.run import Actor, Auditor, Ending
from audit_core.store import RunLog, open_database, verify_log
from audit_core.subject import Progress
from audit_core.subject_family import find_planted

ME = Actor("me", "s")
N = 5
"""Questions of `TEXT`: two parts of one sweep, one of another in two parts, and one that is refused."""
TEXT = """
name = "small"
models = ["planted-strict"]
prompts = ["rows.jsonl"]
threads = 1
prompts_per_run = 6

[[audits]]
name = "sweep"
half = "all"
answers = { kind = "mlp", replacement = "zero" }

[[audits]]
name = "sweep"
half = "all"
answers = { kind = "mlp", replacement = "mean" }

[[audits]]
name = "experts"
"""


def make_plan(home: Path, text: str = TEXT) -> CampaignFolder:
    """The campaign over twelve prompts of a planted task, of eight templates."""
    home.mkdir(mode=0o700, exist_ok=True)
    planted = find_planted("planted-strict")
    assert planted is not None
    rows = planted.find_task("query").make(2, 0).prompts[:12]
    (home / "rows.jsonl").write_text(dump_jsonl(rows))
    return plan_campaign(read_campaign(text.encode(), name="small.toml", folder=home), home)


def run(folder: CampaignFolder, **options: object) -> None:
    run_campaign(folder, LocalEngine(), actor=ME, **options)  # type: ignore[arg-type]


def read_results(folder: CampaignFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder.path / "results").glob("*.json")}


def count_outcomes(folder: CampaignFolder) -> Counter[str]:
    return Counter(record.outcome for record in RunLog(folder.home).list_runs())


def verifies(folder: CampaignFolder) -> bool:
    with open_database(folder.home) as connection:
        return verify_log(connection).findings == ()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """The campaign run through, with nothing killed."""
    folder = make_plan(tmp_path_factory.mktemp("campaign") / "home")
    run(folder)
    return folder


def test_every_question_is_answered_and_logged_once(whole: CampaignFolder) -> None:
    status = read_status(whole.home, whole.campaign_id)
    assert status.counts[QuestionState.DONE] == N - 1
    assert [line.reason for line in status.failures] == ["CapabilityRefused"]
    assert not status.is_running
    assert status.remaining_s == 0.0
    assert count_outcomes(whole) == {"done": N - 1, "refused": 1}
    assert verifies(whole)


def test_a_recorded_result_is_that_of_the_audit_alone(whole: CampaignFolder) -> None:
    """The control of all comparisons below: equal to a run without a campaign, and not to another part of the prompts."""
    question = whole.read_plan().questions[0]
    auditor = Auditor(open_auditor(question.model, whole.home).subject, RunLog(whole.home))
    request = working.make_cell(question).make_request(auditor, whole.home, part=1, parts=2)
    ending = auditor.conclude(question.audit, request)
    assert ending == whole.read_ending(question.key)
    assert ending.text == RunLog(whole.home).find_result_text(question.key)
    assert ending != whole.read_ending(whole.read_plan().questions[1].key)


def test_running_it_again_computes_nothing(whole: CampaignFolder) -> None:
    def refuse(task: Task) -> None:
        raise AssertionError(task)

    before, runs = whole.count_attempts(), count_outcomes(whole)
    run(whole, execute=refuse)
    assert (whole.count_attempts(), count_outcomes(whole)) == (before, runs)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_answering(folder: CampaignFolder) -> dict[str, object]:
    """kill -9 in the second question."""

    def answer(question: Question, home: Path, on_progress: Progress) -> Ending:
        if len(folder.list_ended()) >= 2:
            die()
        return answer_question(question, home, on_progress)

    return {"execute": lambda task: execute_task(task, answer=answer)}


def die_before_recording(folder: CampaignFolder) -> dict[str, object]:
    """kill -9 when a worker has stored answers that the log has not."""

    def execute(task: Task) -> None:
        execute_task(task)
        die()

    return {"execute": execute}


def die_after_recording(folder: CampaignFolder) -> dict[str, object]:
    """kill -9 right after the first answer is in the log."""

    def stop(question: Question, ending: Ending) -> None:
        if ending.outcome == "done":
            die()

    return {"on_ended": stop}


def die_at_the_start(folder: CampaignFolder) -> dict[str, object]:
    """kill -9 when the log has the start of runs, and no worker has begun."""
    return {"execute": lambda task: die()}


@pytest.mark.parametrize("way", [die_while_answering, die_before_recording, die_after_recording, die_at_the_start])
def test_a_killed_campaign_goes_on_with_nothing_lost_and_nothing_twice(
    way: Callable[[CampaignFolder], dict[str, object]], whole: CampaignFolder, tmp_path: Path
) -> None:
    folder = make_plan(tmp_path / "home")
    child = os.fork()
    if child == 0:
        run(folder, **way(folder))
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    assert os.WIFSIGNALED(ended)
    assert os.WTERMSIG(ended) == signal.SIGKILL
    assert not folder.is_held()
    stored = read_results(folder)
    assert count_outcomes(folder)["done"] < N - 1
    attempts = folder.count_attempts()
    run(folder)
    assert read_results(folder) == read_results(whole)
    assert stored.items() <= read_results(folder).items()
    records = [record for record in RunLog(folder.home).list_runs() if record.content_key]
    assert len({record.content_key for record in records}) == len(records) == N - 1
    assert {record.outcome for record in records} == {"done"}
    again = {key: n for key, n in folder.count_attempts().items() if n > 1}
    assert all(f"{key}.json" not in stored for key in again), "computed twice"
    assert set(again) == {key for key in attempts if f"{key}.json" not in stored}
    assert verifies(folder)


def test_a_question_that_ends_its_process_again_and_again_is_a_failure_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = make_plan(tmp_path / "home")
    bad = folder.read_plan().questions[1].key

    def answer(question: Question, home: Path, on_progress: Progress) -> Ending:
        if question.key == bad:
            die()
        return answer_question(question, home, on_progress)

    for _ in range(working.MAX_ATTEMPTS):
        child = os.fork()
        if child == 0:
            run(folder, execute=lambda task: execute_task(task, answer=answer))
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    run(folder, execute=lambda task: execute_task(task, answer=answer))
    (failed,) = [line for line in read_status(folder.home, folder.campaign_id).lines if line.state == "failed"]
    assert (failed.number, failed.reason) == (2, PROCESS_DIED)
    assert count_outcomes(folder) == {"done": N - 2, "failed": 1, "refused": 1}
    assert retry_failed(folder) == 1
    run(folder)
    assert count_outcomes(folder) == {"done": N - 1, "failed": 1, "refused": 1}


def test_a_cancelled_campaign_stops_within_a_question_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_POLL_S", 0.0)
    folder = make_plan(tmp_path / "home")

    def answer(question: Question, home: Path, on_progress: Progress) -> Ending:
        if question.number == 2:
            folder.request_stop("anna")
        return answer_question(question, home, on_progress)

    run(folder, execute=lambda task: execute_task(task, answer=answer))
    status = read_status(folder.home, folder.campaign_id)
    assert (status.stopped_by, status.counts[QuestionState.DONE], status.counts[QuestionState.BEGUN]) == ("anna", 1, 0)
    assert count_outcomes(folder)["cancelled"] == N - 2
    assert {r.detail for r in RunLog(folder.home).list_runs() if r.outcome == "cancelled"} == {"cancelled by anna"}
    run(folder)
    assert read_status(folder.home, folder.campaign_id).stopped_by == ""
    assert count_outcomes(folder) == {"done": N - 1, "cancelled": N - 2, "refused": 1}
    assert verifies(folder)


def test_a_result_that_the_log_has_is_reused_and_a_worker_of_another_version_is_refused(
    whole: CampaignFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = make_plan(whole.home, TEXT.replace('"small"', '"other"'))
    runs = count_outcomes(whole)["done"]
    run(renamed)
    assert read_status(whole.home, renamed.campaign_id).counts[QuestionState.REUSED] == N - 1
    assert count_outcomes(whole)["done"] == runs
    assert list_campaigns(whole.home)[0] == renamed.campaign_id
    folder = make_plan(tmp_path / "home")
    monkeypatch.setattr("audit_core.run.list_versions", lambda: {"torch": "another"})
    run(folder)
    lines = read_status(folder.home, folder.campaign_id).lines
    assert {line.reason for line in lines if line.state == "failed"} == {OTHER_KEY}
    assert len([line for line in lines if line.state == "failed"]) == N - 1


class _Broken:
    """An engine whose workers never begin anything."""

    outlives_workers = True

    def run(
        self, tasks: Sequence[Task], execute: object, *, on_submit: Callable[[Task], None], is_stopping: object
    ) -> Iterator[Ended]:
        for task in tasks:
            on_submit(task)
            yield Ended(task, "no module named audit_core")


class _Cluster(LocalEngine):
    """Runs tasks here, as an engine whose workers are processes of their own."""

    outlives_workers = True


@pytest.mark.parametrize(("engine", "failed"), [(_Cluster, 0), (LocalEngine, 1)])
def test_jobs_that_were_ended_with_their_workers_are_no_fault_of_a_question(
    tmp_path: Path, engine: type[LocalEngine], failed: int
) -> None:
    folder = make_plan(tmp_path / "home")
    for _ in range(working.MAX_ATTEMPTS):
        folder.note_attempt(folder.read_plan().questions[0].key)
    run_campaign(folder, engine(), actor=ME)
    assert read_status(folder.home, folder.campaign_id).counts["failed"] == failed


def test_workers_that_never_begin_are_failures_and_no_endless_loop(tmp_path: Path) -> None:
    folder = make_plan(tmp_path / "home")
    run_campaign(folder, _Broken(), actor=ME)
    failed = [line for line in read_status(folder.home, folder.campaign_id).lines if line.state == "failed"]
    assert {(line.reason, line.detail) for line in failed} == {(ENGINE_FAILED, "no module named audit_core")}
    assert len(failed) == N - 1


def test_one_process_runs_a_campaign_and_ray_is_needed_only_for_its_engine(
    whole: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole.hold():
        assert read_status(whole.home, whole.campaign_id).is_running
        with pytest.raises(Refused, match="another process"):
            run(whole)
    monkeypatch.setitem(sys.modules, "ray", None)
    task = Task(str(whole.home), whole.campaign_id, (), 1)
    with pytest.raises(Refused, match="extra `cluster`"):
        list(RayEngine("local", threads=1).run([task], execute_task, on_submit=print, is_stopping=lambda: False))
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    with pytest.raises(Refused, match="No campaign"):
        find_campaign(whole.home, "../../etc")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (('name = "small"', 'name = "../x"'), "The name"),
        (("threads = 1", "thread = 1"), "thread"),
        (("planted-strict", "planted-nothing"), "None of 3 questions"),
        (("rows.jsonl", "gone.jsonl"), "neither a shipped set nor a file"),
        (('"experts"', '"expert"'), "An audit 'expert'"),
        (("replacement = \"mean\"", "replaced = \"mean\""), "no field 'replaced'"),
        (("threads = 1", "threads = = 1"), "not TOML"),
        (('["planted-strict"]', '["planted-strict", "planted-strict"]'), "twice in models"),
    ],
)  # fmt: skip
def test_a_file_that_no_campaign_can_be_is_refused_with_what_was_found(
    change: tuple[str, str], found: str, tmp_path: Path
) -> None:
    assert change[0] in TEXT
    with pytest.raises(Refused) as refusal:
        make_plan(tmp_path / "home", TEXT.replace(*change))
    assert found in refusal.value.found
    assert refusal.value.remedy


def test_tasks_are_of_one_model_and_of_ten_to_sixty_seconds_where_questions_allow(whole: CampaignFolder) -> None:
    """By hand: 4 + 4 + 4 reach 10; 8 + 55 would pass 60; 90 alone; then another model; unknown times are alone."""
    one = whole.read_plan().questions[0]
    rows = [("a", 4), ("a", 4), ("a", 4), ("a", 8), ("a", 55), ("a", 90), ("b", 1), ("b", None), ("b", 2)]
    questions = [replace(one, number=at, model=model, predicted_s=s) for at, (model, s) in enumerate(rows, 1)]
    assert divide_tasks(questions, 10.0, 60.0) == ((1, 2, 3), (4,), (5,), (6,), (7,), (8,), (9,))
    assert divide_tasks([], 10.0, 60.0) == ()


def test_parts_share_the_templates_and_miss_no_prompt(whole: CampaignFolder) -> None:
    planted = find_planted("planted-strict")
    assert planted is not None
    prompts = tokenise(
        planted.find_task("query").make(2, 0), open_auditor("planted-strict", whole.home).subject.tokenizer
    )
    first, second = deal(prompts, 2)
    assert sorted((*first, *second)) == list(range(len(prompts)))
    assert {prompts.templates[at] for at in first} == {prompts.templates[at] for at in second} == set(prompts.templates)


def test_the_recorded_example_is_that_of_its_file() -> None:
    file, status = load_campaign(EXAMPLE_FILE), read_recorded_campaign().status
    asked = {
        (model, prompts, audit.audit) for model in file.models for prompts in file.prompts for audit in file.audits
    }
    assert {(line.model, line.prompts, line.audit) for line in status.lines} == asked
    assert status.counts[QuestionState.DONE] > 0
    assert {line.audit for line in status.failures} == {"experts"}
    assert not any(line.machine for line in status.lines)
