"""Answers in packs: results of audits that test no registered claim, bound to the log by the digest of the result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.kind import Node, read_evidence
from audit_core.governance.policy import Policy, parse_policy
from audit_core.packs.pack_documents import PRIVATE_IDENTITY
from audit_core.registry import list_plugins
from audit_core.shipped import load_shipped_policy
from audit_core.store.data_directory import load_kept_policy
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.store.log.frozen_questions import list_frozen_questions
from audit_core.store.log.run_log import RunLog, RunRecord
from audit_core.verifier.documents import MAX_DOCUMENT_BYTES

_PRIVATE = PRIVATE_IDENTITY
"""Parts of an identity that name this machine."""


def read_answers(home: Path, run_ids: Sequence[str]) -> tuple[RunRecord, ...]:
    """Read runs whose results a pack may contain.

    Raises:
        Refused: no such run, a run without a result, one that tested a registered claim, or one of an unknown audit.
    """
    wanted = "the id of a run that ended with a result."
    remedy = "`log export` lists runs with their ids."
    found = {record.run_id: record for record in RunLog(home).read_runs(list(run_ids))}
    claimed = _list_claimed(home)
    for name in run_ids:
        if name not in found:
            raise Refused(f"No run {name[:40]!r}.", wanted=wanted, remedy=remedy)
        if found[name].result is None:
            raise Refused(f"Run {name} ended without a result: {found[name].outcome}.", wanted=wanted, remedy=remedy)
        if name in claimed:
            raise Refused(
                f"Run {name} tested a registered claim.",
                wanted="a run of an audit without a claim.",
                remedy="name the claim: its pack contains every attempt.",
            )
        if found[name].kind not in list_plugins("audits"):
            raise Refused(
                f"Run {name} is of the audit {found[name].kind[:40]!r}, which this version lacks.",
                wanted="a run of an audit of `audit --list`.",
                remedy="run the audit again.",
            )
    return tuple(found[name] for name in dict.fromkeys(run_ids))


def list_answers(home: Path, *, session: str) -> tuple[RunRecord, ...]:
    """Runs of one session that a pack may contain, newest first; see `read_answers`."""
    claimed, audits = _list_claimed(home), list_plugins("audits")
    return tuple(
        record
        for record in RunLog(home).list_runs(session=session)
        if record.result is not None and record.run_id not in claimed and record.kind in audits
    )


def _list_claimed(home: Path) -> frozenset[str]:
    """Runs that tested a registered claim."""
    with open_database(home) as connection:
        return frozenset(
            event.object_id
            for event in list_events(connection)
            if event.action == Action.RUN_STARTED and event.payload.get("claim_id")
        )


def choose_answers_policy(home: Path, answers: Sequence[RunRecord]) -> Policy:
    """The policy that the questions of these answers were frozen under before they ran; the shipped one if none was.

    Raises:
        Refused: they were frozen under several policies.
    """
    frozen: dict[str, set[str]] = {}
    for one in list_frozen_questions(home):
        frozen.setdefault(one.question.content_key, set()).add(one.question.policy_sha256)
    digests = set().union(*(frozen.get(record.content_key, set()) for record in answers))
    if not digests:
        return load_shipped_policy()
    if len(digests) > 1:
        raise Refused(
            f"Questions frozen under {len(digests)} policies.",
            wanted="answers of one policy.",
            remedy="export a pack for each; `gate` evaluates any pack under any policy.",
        )
    (digest,) = digests
    return parse_policy(load_kept_policy(digest, home=home), f"{digest[:12]}.toml")


def write_answers(answers: Sequence[RunRecord]) -> dict[str, bytes]:
    """Write a document and a page for each answer.

    Raises:
        Refused: a result is larger than the verifier reads.
    """
    from audit_core.evidence.report.export import export_html

    files = {}
    for record in answers:
        data = dump_canonical(_describe_answer(record))
        if len(data) > MAX_DOCUMENT_BYTES:
            raise Refused(
                f"The result of run {record.run_id} has {len(data):,} bytes.",
                wanted=f"at most {MAX_DOCUMENT_BYTES:,}.",
                remedy="ask the audit about fewer prompts.",
            )
        title = f"{record.kind.replace('_', ' ')}, {record.started_at[:10]}"
        shown = describe_record(record)
        shown["identity"] = _drop_private(shown["identity"])
        files[f"answers/{record.run_id}.json"] = data
        files[f"report/answer-{record.run_id}.html"] = export_html(
            shown, evidence=describe_evidence(record.kind), title=title
        )
    return files


def _describe_answer(record: RunRecord) -> dict[str, Any]:
    audit = list_plugins("audits")[record.kind]
    return {
        "schema": "assay/answer/1", "run_id": record.run_id, "audit": record.kind,
        "question": audit.question, "started_at": record.started_at.replace("+00:00", "Z"), "wall_s": record.wall_s,
        "model_digest": record.model_digest, "prompts_sha256": record.prompts_sha256,
        "identity": _drop_private(json.loads(record.identity)), "request": json.loads(record.request), "result": record.result,
    }  # fmt: skip


def _drop_private(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in _PRIVATE}


def describe_record(record: RunRecord) -> dict[str, Any]:
    """A run's result with its request and model, without the numbers per prompt."""
    result: dict[str, Any] = json.loads(record.result or "{}")
    request, identity = json.loads(record.request), json.loads(record.identity)
    verdict = result.pop("verdict", None)
    if isinstance(verdict, dict):
        result = {**verdict, "questions": result}
    result.pop("items", None)
    asked = {name: value for name, value in request.items() if name != "claim"}
    return result | {"identity": identity, "claim": request.get("claim") or {}, "asked": asked, "run_id": record.run_id}


def describe_evidence(audit: str) -> Node:
    """Evidence kinds of the fields of `describe_record`; empty for an unknown audit."""
    plugins = list_plugins("audits")
    if audit not in plugins:
        return {}
    declared = dict(read_evidence(plugins[audit].result))
    verdict = declared.pop("verdict", None)
    return {**verdict, "questions": declared} if isinstance(verdict, Mapping) else declared
