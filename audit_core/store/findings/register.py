"""The findings register: record, change, close, accept and reopen findings of one data directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import FindingRefused
from audit_core.governance.approval import name_person
from audit_core.governance.severities import FindingRules
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import parse_time, read_clock
from audit_core.store.findings.finding import (
    ACTIVE_STATUSES,
    MAX_OWNER,
    MAX_REASON,
    MAX_SOURCES,
    MAX_TEXT,
    MAX_TITLE,
    FindingDraft,
    FindingEdit,
    FindingStatus,
    FindingStep,
    RegisteredFinding,
    check_date,
    check_line,
    check_text,
)
from audit_core.store.findings.reopening import REGISTER_ACTOR
from audit_core.store.findings.rows import insert_change, name_next, read_findings

if TYPE_CHECKING:
    import duckdb

_CLAIM = "SELECT body FROM preregistration WHERE claim_id = ? ORDER BY version DESC LIMIT 1"
_RUN = """
SELECT r.model_digest, r.identity, e.body FROM runs r
LEFT JOIN audit_event e ON e.object_id = r.run_id AND e.action = 'run.started' WHERE r.run_id = ? LIMIT 1
"""


class FindingRegister:
    """Findings of one data directory; every change names its author and is logged in the same transaction."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def record(self, draft: FindingDraft, rules: FindingRules, *, by: str) -> RegisteredFinding:
        """Record a finding about at least one claim or run.

        Args:
            rules: severities of the policy that its claims were frozen under.

        Raises:
            FindingRefused: a field that cannot be used, a source that is not here, or a due date later than the policy's.
            PolicyRefused: a severity that the policy does not have.
        """
        severity = rules.find(draft.severity)
        texts = {
            "title": check_line(draft.title, "title", MAX_TITLE),
            "finding": check_text(draft.finding, "finding", MAX_TEXT),
            "remediation": check_text(draft.remediation, "remediation", MAX_TEXT, may_be_empty=True),
            "owner": check_line(draft.owner, "owner", MAX_OWNER),
            "basis": check_text(draft.basis, "suggestion", MAX_TEXT, may_be_empty=True),
        }
        author = _check_author(by)
        with open_database(self.home) as connection:
            today = parse_time(read_clock()).date()
            latest = (today + timedelta(days=severity.days)).isoformat()
            due = check_date(draft.due, "due date") if draft.due else latest
            if not today.isoformat() <= due <= latest:
                raise FindingRefused(
                    f"Due {due}.",
                    wanted=f"a date from today to {latest}: {severity.days} days for {severity.name}.",
                    remedy="choose an earlier date; it can be moved later, with a reason.",
                )
            model, claims = _read_sources(connection, draft)
            fields: dict[str, Any] = {
                "severity": severity.name, "days": severity.days, **texts, "due": due, "status": FindingStatus.OPEN.value,
                "model": model, "claims": claims, "runs": list(dict.fromkeys(draft.runs)), "policy_sha256": rules.policy_sha256,
            }  # fmt: skip
            finding_id = name_next(read_findings(connection))
            return insert_change(connection, (), finding_id, FindingStep.RECORDED, fields, by=author, reason="")

    def change(
        self, finding_id: str, edit: FindingEdit, rules: FindingRules, *, based_on: int, by: str, reason: str
    ) -> RegisteredFinding:
        """Change fields of a finding that is still to be resolved.

        Args:
            based_on: version that the author saw; a later one refuses the change.

        Raises:
            FindingRefused: nothing changes, a newer version exists, no reason, or the finding is closed or accepted.
            PolicyRefused: a severity that the policy does not have.
        """
        wanted = _read_edit(edit, rules)

        def find_changes(found: RegisteredFinding) -> dict[str, Any]:
            _require_active(found)
            # A severity with the same name may have other days in the policy by now: only a new name moves them.
            is_same = wanted.get("severity") in (None, found.severity)
            now = {name: value for name, value in wanted.items() if value != getattr(found, name)}
            now = {name: value for name, value in now.items() if not (is_same and name == "days")}
            if not now:
                raise FindingRefused("No field changed.", wanted="a changed field.", remedy="nothing was saved.")
            return now

        return self._append(finding_id, FindingStep.CHANGED, find_changes, based_on=based_on, by=by, reason=reason)

    def close(
        self, finding_id: str, *, based_on: int, by: str, reason: str, names: Collection[str] = ()
    ) -> RegisteredFinding:
        """Close a finding as remediated; its owner cannot.

        Args:
            names: other names of the author, such as the display name of a sign-in.

        Raises:
            FindingRefused: as `change`, or the author owns the finding.
        """
        return self._resolve(finding_id, FindingStep.CLOSED, FindingStatus.CLOSED, based_on, (by, reason), names)

    def accept(
        self, finding_id: str, *, based_on: int, by: str, reason: str, names: Collection[str] = ()
    ) -> RegisteredFinding:
        """Accept a finding as it is, in the author's name; its owner cannot; see `close`.

        Raises:
            FindingRefused: as `close`.
        """
        return self._resolve(finding_id, FindingStep.ACCEPTED, FindingStatus.ACCEPTED, based_on, (by, reason), names)

    def reopen(self, finding_id: str, *, based_on: int, by: str, reason: str) -> RegisteredFinding:
        """Reopen a closed or accepted finding, with a new due date.

        Raises:
            FindingRefused: as `change`, or the finding is open.
        """

        def find_changes(found: RegisteredFinding) -> dict[str, Any]:
            if found.is_active:
                raise FindingRefused(
                    f"{finding_id} is {found.status_words}.", wanted="a closed or accepted finding.", remedy="change it instead."
                )  # fmt: skip
            due = parse_time(read_clock()).date() + timedelta(days=found.days)
            return {"status": FindingStatus.OPEN.value, "due": due.isoformat()}

        return self._append(finding_id, FindingStep.REOPENED, find_changes, based_on=based_on, by=by, reason=reason)

    def find(self, finding_id: str) -> RegisteredFinding:
        """Find one finding.

        Raises:
            FindingRefused: no such finding.
            IntegrityError: the rows differ from the audit log.
        """
        with open_database(self.home) as connection:
            return _find(connection, finding_id)

    def list_findings(self) -> tuple[RegisteredFinding, ...]:
        """Every finding, oldest first; raises as `find`."""
        with open_database(self.home) as connection:
            return read_findings(connection)

    def _resolve(
        self, finding_id: str, step: FindingStep, status: FindingStatus, based_on: int, said: tuple[str, str], names: Collection[str],
    ) -> RegisteredFinding:  # fmt: skip
        by, reason = said
        own = {name_person(name) for name in (by, *names)}

        def find_changes(found: RegisteredFinding) -> dict[str, Any]:
            _require_active(found)
            if name_person(found.owner) in own:
                raise FindingRefused(
                    f"{by[:60]} owns {finding_id}.",
                    wanted="another person than the owner.",
                    remedy="ask a reviewer or approver; an owner reports with a change and its reason.",
                )
            return {"status": status.value}

        return self._append(finding_id, step, find_changes, based_on=based_on, by=by, reason=reason)

    def _append(
        self, finding_id: str, step: FindingStep, find_changes: Callable[[RegisteredFinding], dict[str, Any]], *,
        based_on: int, by: str, reason: str,
    ) -> RegisteredFinding:  # fmt: skip
        author, why = _check_author(by), check_text(reason, "reason", MAX_REASON)
        with open_database(self.home) as connection:
            found = _find(connection, finding_id)
            if found.version != based_on:
                last = found.history[-1]
                raise FindingRefused(
                    f"{finding_id} is at version {found.version}, {last.step} by {last.by[:60]}; yours is based on {based_on}.",
                    wanted="a change of the latest version.",
                    remedy="reload it and enter your change there; nothing was saved or overwritten.",
                )
            return insert_change(
                connection, found.history, finding_id, step, find_changes(found), by=author, reason=why
            )


def _read_edit(edit: FindingEdit, rules: FindingRules) -> dict[str, Any]:
    """Checked fields of an edit, without those that it leaves as they are."""
    given = {name: value for name, value in asdict(edit).items() if value is not None}
    if "severity" in given:
        given["days"] = rules.find(given["severity"]).days
    for name, most in (("title", MAX_TITLE), ("owner", MAX_OWNER)):
        if name in given:
            given[name] = check_line(given[name], name, most)
    for name in ("finding", "remediation"):
        if name in given:
            given[name] = check_text(given[name], name, MAX_TEXT, may_be_empty=name == "remediation")
    if "due" in given:
        given["due"] = check_date(given["due"], "due date")
    if "status" in given:
        if given["status"] not in ACTIVE_STATUSES:
            raise FindingRefused(
                f"Status {str(given['status'])[:40]!r} by a change.",
                wanted=" or ".join(one.value for one in ACTIVE_STATUSES) + ".",
                remedy="close, accept or reopen it instead.",
            )
        given["status"] = FindingStatus(given["status"]).value
    return given


def _check_author(by: str) -> str:
    if name_person(by) == name_person(REGISTER_ACTOR):
        raise FindingRefused(f"The author {by[:40]!r}.", wanted="a person.", remedy="use another name.")
    return by


def _require_active(found: RegisteredFinding) -> None:
    if not found.is_active:
        raise FindingRefused(
            f"{found.finding_id} is {found.status_words}.", wanted="a finding that is open or in remediation.", remedy="reopen it first."
        )  # fmt: skip


def _find(connection: duckdb.DuckDBPyConnection, finding_id: str) -> RegisteredFinding:
    for one in read_findings(connection):
        if one.finding_id == finding_id:
            return one
    raise FindingRefused(
        f"No finding {finding_id[:40]!r} here.", wanted="an id such as F-0001.", remedy="list them: `finding list`."
    )


def _read_sources(connection: duckdb.DuckDBPyConnection, draft: FindingDraft) -> tuple[str, list[str]]:
    """Model and claims of the sources; a run of a claim names that claim too."""
    if not draft.claims and not draft.runs:
        raise FindingRefused("No source.", wanted="at least one claim or run.", remedy="name what it was read from.")
    if max(len(draft.claims), len(draft.runs)) > MAX_SOURCES:
        raise FindingRefused(
            f"{len(draft.claims)} claims and {len(draft.runs)} runs.", wanted=f"at most {MAX_SOURCES} of each.", remedy="record two findings."
        )  # fmt: skip
    models, claims = list[str](), list(draft.claims)
    for run_id in draft.runs:
        row = connection.execute(_RUN, [run_id]).fetchone()
        if row is None:
            raise _refuse_source("run", run_id)
        digest, identity, event = row
        models.append(f"{json.loads(identity).get('model', '')} ({digest})")
        if event is not None and (claim_id := json.loads(event)["payload"].get("claim_id")):
            claims.append(str(claim_id))
    for claim_id in draft.claims:
        row = connection.execute(_CLAIM, [claim_id]).fetchone()
        if row is None:
            raise _refuse_source("claim", claim_id)
        pins = json.loads(row[0])["pins"]
        models.append(f"{pins['model']} ({pins['model_digest']})")
    return ", ".join(dict.fromkeys(models)), list(dict.fromkeys(claims))


def _refuse_source(kind: str, name: str) -> FindingRefused:
    return FindingRefused(f"No {kind} {name[:40]!r} here.", wanted=f"a {kind} of this data directory.", remedy="correct the id.")  # fmt: skip
