"""Recorded answers: the result of a long audit, shipped and shown as recorded until it is measured again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter

from audit_core.data_folder import DATA, read_record
from audit_core.evidence.source import hash_source
from audit_core.judging.verdict import RULE_VERSION
from audit_core.models.known import SMOLLM2, find_known
from audit_core.registry import get_plugin
from audit_core.request import Request
from audit_core.run import Actor, Auditor, list_versions
from audit_core.store.log.costs import list_run_costs
from audit_core.story import MeasuredWith, round_recorded
from audit_core.subject import Progress, no_progress

Result = TypeVar("Result")
MAX_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer(Generic[Result]):
    """One result, with everything that it depends on."""

    audit: str
    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    asked: dict[str, Any]
    """The request as described in the log."""
    prompts_sha256: str
    """Of its prompts' texts, which `asked` leaves out."""
    version: int
    """Version of the audit's result; another version is not shown."""
    wall_s: float
    measured_with: MeasuredWith
    result: Result
    prompt_ids: tuple[str, ...] = ()
    """Of the measured prompts: one prompt has the digest of its set. Empty in older records, which are of whole splits."""

    def is_of(self, model: str) -> bool:
        """Whether it is of this known model, in the form that the audit of today stores; the model need not be loaded."""
        known = find_known(model)
        return (
            known is not None
            and known.member_sha256 == self.model_file_sha256
            and get_plugin("audits", self.audit).shows(self.version)
        )

    def answers(self, request: Request, weights_sha256: str) -> bool:
        """Whether it answers exactly this request of a loaded model."""
        asked = json.loads(json.dumps(request.describe()))
        # A field that the version of the record did not have yet was what its default is today.
        asked = {k: v for k, v in asked.items() if k in self.asked or v != getattr(type(request), k, None)}
        is_same_model = weights_sha256 == self.measured_with.identity["weights_sha256"]
        is_same_prompts = request.prompts.sha256 == self.prompts_sha256 and (
            not self.prompt_ids or self.prompt_ids == _list_ids(request)
        )
        return is_same_model and is_same_prompts and bool(asked == self.asked)


def _list_ids(request: Request) -> tuple[str, ...]:
    return tuple(pair.prompt.id for pair in request.prompts.pairs)


@cache
def load_recorded(audit: str) -> tuple[RecordedAnswer[Any], ...]:
    """The shipped answers of an audit: the files `recorded*.json` of its folder in `data/`.

    Raises:
        IntegrityError: one is too large or does not parse.
    """
    form = cast(Any, RecordedAnswer)[get_plugin("audits", audit).result]
    paths = sorted((DATA / audit).glob("recorded*.json"))
    return tuple(read_record(path, form, max_bytes=MAX_BYTES) for path in paths)


def record_answer(
    auditor: Auditor, audit: str, request: Request, path: Path, *, on_progress: Progress = no_progress
) -> RecordedAnswer[Any]:
    """Run an audit of the default model, or take its result from the log, and write it as a shipped record."""
    plugin, code = get_plugin("audits", audit), hash_source()
    actor = Actor("recorder", "recorder")
    found = auditor.find_earlier(audit, request) or auditor.run(audit, request, actor=actor, on_progress=on_progress)
    identity = {key: value for key, value in auditor.subject.identity.to_json().items() if key != "folder"}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = RecordedAnswer(
        audit=audit, model_file_sha256=SMOLLM2.member_sha256, asked=request.describe(), prompts_sha256=request.prompts.sha256,
        version=plugin.version, wall_s=_read_wall_s(auditor, audit, request) if found.is_reused else found.wall_s, result=found.result, prompt_ids=_list_ids(request),
        measured_with=MeasuredWith(now, identity, code, RULE_VERSION, list_versions(), request.seed),
    )  # fmt: skip
    plain = round_recorded(TypeAdapter(cast(Any, RecordedAnswer)[plugin.result]).dump_python(made, mode="json"))
    path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return made


def _read_wall_s(auditor: Auditor, audit: str, request: Request) -> float:
    """Seconds of the run whose result is reused: reading it from the log takes none."""
    key = auditor.content_key(audit, request)
    runs = [run for run in list_run_costs(auditor.log.home) if run.content_key == key and run.outcome == "done"]
    return runs[-1].wall_s or 0.0
