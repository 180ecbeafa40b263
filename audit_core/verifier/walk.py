"""Runs the eight verification steps in order; a step runs if its prerequisites passed, and every failure is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from audit_core.verifier.clock import NotATime, read_time
from audit_core.verifier.container import BadPack, read_members
from audit_core.verifier.cosignature import WitnessList
from audit_core.verifier.criteria import DOES_NOT_MEET, INCONCLUSIVE, MEETS, NOT_EVALUATED
from audit_core.verifier.decisions import DECISIONS_MISSING, DECISIONS_NONE, DecisionsFinding, check_decisions
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.facts import list_reruns
from audit_core.verifier.log_proof import LogFinding, check_log
from audit_core.verifier.manifest import check_manifest
from audit_core.verifier.roles import check_roles
from audit_core.verifier.semantics import check_semantics
from audit_core.verifier.statement import Statement, read_statements
from audit_core.verifier.trust import UNKNOWN, Signatures, Trust, check_signatures, show
from audit_core.verifier.verification import (
    EXIT_FAILED,
    EXIT_UNDECIDED,
    EXIT_VERIFIED,
    FAILED,
    NOT_CHECKED,
    PASSED,
    STEPS,
    Step,
    Verification,
)
from audit_core.verifier.withheld import PROMPTS_FAILED, PROMPTS_NOT_CHECKED, Openings, PromptsFinding, check_openings
from audit_core.verifier.witnessed import (
    WITNESSED,
    WITNESSES_FAILED,
    WITNESSES_NOT_CHECKED,
    WitnessFinding,
    check_witnesses,
)

TIME_TOKEN = "attestations/time.tsr"
_JUDGEMENTS = {
    MEETS: "MEETS_POLICY",
    DOES_NOT_MEET: "DOES_NOT_MEET_POLICY",
    INCONCLUSIVE: "INCONCLUSIVE",
    NOT_EVALUATED: "NOT_EVALUATED",
}
_Found = TypeVar("_Found")


def verify_pack(
    data: bytes,
    trust: Trust | None = None,
    saved: bytes | None = None,
    openings: Openings | None = None,
    witnesses: WitnessList | None = None,
) -> Verification:
    """Check a pack.

    Args:
        data: the pack's bytes.
        trust: trusted keys; None leaves signers and log key unchecked.
        saved: a checkpoint of the log that the reader saved earlier.
        openings: openings of withheld prompts, provided by the preparer.
        witnesses: witnesses that the reader trusts, and how many of them must have cosigned.

    Raises:
        BadCheckpoint: the saved checkpoint is malformed.
    """
    walk = _Walk(trust, saved, openings, witnesses)
    walk.go(data)
    return walk.conclude()


class _Walk:
    """One verification of one pack; keeps each step's result for later steps."""

    def __init__(
        self, trust: Trust | None, saved: bytes | None, openings: Openings | None, listed: WitnessList | None
    ) -> None:
        self.trust, self.saved, self.openings, self.listed = trust, saved, openings, listed
        self.steps: dict[str, Step] = {}
        self.manifest: str | None = None
        self.documents: Documents | None = None
        self.signatures = Signatures((), {})
        self.log: LogFinding | None = None
        self.prompts = PromptsFinding(PROMPTS_NOT_CHECKED, "an earlier step failed")
        self.decisions = DecisionsFinding(DECISIONS_NONE, "an earlier step failed: no decision was read")
        self.witnesses = WitnessFinding(WITNESSES_NOT_CHECKED, "an earlier step failed")

    def go(self, data: bytes) -> None:
        members = self._take("container", lambda: read_members(data), _count)
        if members is None:
            return
        manifest = self._take("manifest", lambda: check_manifest(members), "SHA-256 {}".format)
        if manifest is None:
            return
        self.manifest = manifest
        self._skip("time", _describe_token(members))
        statements = self._take("statement", lambda: read_statements(members, manifest), _count_statements)
        documents = self._take("schema", lambda: read_documents(members), _count_documents)
        if documents is None:
            return
        self.documents = documents
        pack_id = None if statements is None else statements[0].predicate["pack_id"]
        self._take("semantics", lambda: check_semantics(documents, members, pack_id), _describe_semantics)
        if self.steps["semantics"].result == PASSED:
            self.prompts = _find_prompts(documents, members, self.openings)
        note = members["log/checkpoint.txt"]
        self.log = self._take("log", lambda: check_log(documents, note, self.trust, self.saved), _describe_log)
        if self.log is not None:
            last = documents.lines[-1]
            self.witnesses = _find_witnesses(members, self.log, last, self.trust, self.listed)
        if self.log is not None and not self.log.is_signed:
            self.steps["log"] = Step("log", NOT_CHECKED, f"proofs hold; {self.log.detail}")
        if statements is not None:
            self._check_signers(statements, documents)
            is_checked = self.trust is not None and self.steps["signature"].result != FAILED
            counted = {signer.member for signer in self.signatures.signers} if is_checked else None
            self.decisions = check_decisions(statements[1:], counted)

    def conclude(self) -> Verification:
        for name in STEPS:
            self._skip(name, "an earlier step failed")
        steps = tuple(self.steps[name] for name in STEPS)
        failed = {step.name for step in steps if step.result == FAILED}
        documents = self.documents if failed <= {"signature"} else None
        return Verification(
            steps=steps,
            integrity="INTEGRITY_FAILED" if failed - {"signature"} else "INTEGRITY_VERIFIED",
            authenticity=self._name_authenticity(failed),
            time="ANCHORED" if documents and self.log and self.log.is_signed and self.log.is_anchored else "UNANCHORED",
            reproduction=_name_reproduction(documents),
            judgement=_JUDGEMENTS[documents.parsed["verdict/verdict.json"]["overall"] if documents else NOT_EVALUATED],
            signers=self.signatures.signers,
            pack_id=None if self.documents is None else self.documents.pack["pack_id"],
            manifest_sha256=self.manifest,
            prompts=self.prompts,
            decisions=self.decisions,
            witnesses=self.witnesses,
            exit_code=self._name_exit(failed),
            documents=documents,
        )

    def _name_exit(self, failed: set[str]) -> int:
        if failed or self.prompts.result == PROMPTS_FAILED or self.decisions.result == DECISIONS_MISSING:
            return EXIT_FAILED
        if self.witnesses.result == WITNESSES_FAILED:
            return EXIT_FAILED
        return EXIT_VERIFIED if self._is_decided() else EXIT_UNDECIDED

    def _is_decided(self) -> bool:
        """Check that all requested checks were done: preparer, log key, saved checkpoint and witnesses if given, and at least one claim or answer."""
        return bool(
            self._has_preparer
            and self.documents
            and (self.documents.claims or self.documents.answers)
            and self.log
            and self.log.is_signed
            and (self.saved is None or self.log.is_anchored)
            and (self.listed is None or self.witnesses.result == WITNESSED)
        )

    def _name_authenticity(self, failed: set[str]) -> str:
        if "signature" in failed:
            return "SIGNER_FAILED"
        return "SIGNER_VERIFIED" if self._has_preparer else "SIGNER_NOT_CHECKED"

    @property
    def _has_preparer(self) -> bool:
        return any(signer.role == "preparer" for signer in self.signatures.signers)

    def _check_signers(self, statements: tuple[Statement, ...], documents: Documents) -> None:
        trust = self.trust
        if trust is None:
            self._skip("signature", "no trust file was given: the signer is unknown")
            return

        def check() -> Signatures:
            last = max((read_time(entry["ts"]) for entry in documents.entries), default=None)
            found = check_signatures(statements, trust, last)
            check_roles(found.signers, documents.policy["approval"])
            return found

        self.signatures = self._take("signature", check, _name_signers) or self.signatures
        why = self.signatures.uncounted.get(statements[0].member)
        if why is not None:
            why = "the preparer's key is not in the trust file" if why == UNKNOWN else f"signed {why}"
            self.steps["signature"] = Step("signature", NOT_CHECKED, why)

    def _take(self, name: str, check: Callable[[], _Found], describe: Callable[[_Found], str]) -> _Found | None:
        try:
            found = check()
        except (BadPack, NotATime) as error:
            self.steps[name] = Step(name, FAILED, show(str(error)))
            return None
        self.steps[name] = Step(name, PASSED, describe(found))
        return found

    def _skip(self, name: str, why: str) -> None:
        self.steps.setdefault(name, Step(name, NOT_CHECKED, why))


def _find_prompts(documents: Documents, members: Mapping[str, bytes], openings: Openings | None) -> PromptsFinding:
    """Check the prompts; wrong openings are a separate result, because they are not a fault of the pack."""
    try:
        return check_openings(documents, members, openings)
    except BadPack as error:
        return PromptsFinding(PROMPTS_FAILED, show(str(error)))


def _find_witnesses(
    members: Mapping[str, bytes], log: LogFinding, last: bytes, trust: Trust | None, listed: WitnessList | None
) -> WitnessFinding:
    """Check the witnesses; a separate result, because the cosigned checkpoint is added after the preparer signed."""
    try:
        return check_witnesses(members, log, last, trust, listed)
    except BadPack as error:
        return WitnessFinding(WITNESSES_FAILED, show(str(error)))


def _name_reproduction(documents: Documents | None) -> str:
    """Return the worst result of the reruns recorded in the pack."""
    rows = [] if documents is None else list_reruns(documents, documents.pack["run_ids"])
    for level, word in (("L3", "DECISION_FLIPPED"), ("L2", "OUTSIDE_TOLERANCE"), ("L3", "DECISION_EQUAL")):
        if any(row[level] == word for row in rows):
            return word
    return NOT_EVALUATED


def _describe_token(members: Mapping[str, bytes]) -> str:
    if TIME_TOKEN not in members:
        return "the pack contains no third-party time stamp"
    return f"{TIME_TOKEN} is not checked here; check it with: assay timestamp check, or openssl ts -verify"


def _describe_log(found: LogFinding) -> str:
    return f"{found.checkpoint.size:,} entries; {found.detail}"


def _count(members: Mapping[str, bytes]) -> str:
    return f"{len(members)} members, {sum(map(len, members.values())):,} bytes"


def _count_statements(found: tuple[Statement, ...]) -> str:
    return f"{len(found)} about this manifest"


def _count_documents(found: Documents) -> str:
    return f"{len(found.parsed)} documents match their schemas"


def _describe_semantics(_: None) -> str:
    return "attempts, preregistration and verdict recomputed: equal"


def _name_signers(found: Signatures) -> str:
    names = [f"{show(row.person)} ({row.role})" for row in found.signers]
    return ", ".join([*names, *(f"{member} {why}" for member, why in found.uncounted.items())])
