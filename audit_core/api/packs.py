"""Packs that the API writes, hands out, verifies and evaluates against a policy."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit_core.api.asked import PackAsked
from audit_core.api.endpoint import Call, Download
from audit_core.api.errors import ApiRefused, refuse_missing
from audit_core.errors import AccessRefused, PolicyRefused, Refused
from audit_core.governance.gate import decide_gate
from audit_core.governance.gate_report import describe_gate
from audit_core.governance.people import Permission
from audit_core.governance.policy import Policy, parse_policy
from audit_core.packs import ExportOptions, export_pack, list_answers
from audit_core.review.checked_pack import load_home_trust, log_gate, read_check, read_evidence
from audit_core.review.desk_record import consult_desk
from audit_core.shipped import load_shipped_policy
from audit_core.store import PersonLog, load_key
from audit_core.verifier.container import MAX_PACK_BYTES
from audit_core.verifier.trust import BadTrust, Trust, read_trust
from audit_core.verifier.walk import verify_pack

FOLDER = "packs"
"""Folder of the data directory that the API writes packs into, each under the digest of its manifest."""
MOST_PACKS = 500
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ENDING = ".evidence.zip"
_MAX_TEXT = 200


@dataclass(frozen=True)
class PackLine:
    """One pack that the API wrote."""

    root_digest: str
    """SHA-256 of its manifest: its address in the API."""
    size_bytes: int


@dataclass(frozen=True)
class PackList:
    """Packs that the API wrote, newest first."""

    packs: tuple[PackLine, ...]


@dataclass(frozen=True)
class PackWritten:
    """A pack that was just written."""

    root_digest: str
    pack_id: str
    overall: str
    """Result under the frozen policy."""
    attempts: dict[str, int]
    withheld_count: int


@dataclass(frozen=True)
class VerifyResult:
    """What the verifier found."""

    exit_code: int
    """0 verified, 3 not decided, 4 integrity or authenticity failed; as `verify` exits."""
    trust: str
    """Whose keys counted: those of the request, those of the server (`trust.toml`), or none."""
    verification: dict[str, Any]
    """As `verify --json` prints it."""


@dataclass(frozen=True)
class Gated:
    """Decision of a policy about a pack."""

    exit_code: int
    """As `gate` exits: 0 meets, 1 does not meet, 3 not decided, 4 integrity failed. HTTP says 200 to each of them."""
    overall: str
    trust: str
    gate: dict[str, Any]
    """As `gate --json` prints it."""


def list_packs(call: Call) -> PackList:
    """Packs in the folder of the API."""
    folder = call.home / FOLDER
    found = [path for path in folder.glob(f"*{_ENDING}") if _DIGEST.fullmatch(path.name.removesuffix(_ENDING))]
    stats = sorted(((path.stat(), path) for path in found), key=lambda row: -row[0].st_mtime)
    return PackList(tuple(PackLine(path.name.removesuffix(_ENDING), stat.st_size) for stat, path in stats))


def write_pack(call: Call) -> PackWritten:
    """Write a pack, signed by the key that the token names."""
    asked: PackAsked = call.body
    key = call.token.key
    if not key:
        refusal = AccessRefused(
            "This token signs no packs.", wanted="a token with a signing key.",
            remedy="make one on the server: `api token create --role researcher --key NAME`.", why="out_of_area",
        )  # fmt: skip
        PersonLog(call.home).refuse(call.token.person, Permission.EXPORT_PACK, about="a signing key", refusal=refusal)
        raise refusal
    if (
        len(asked.claims) + len(asked.answers) > MOST_PACKS
        or max(map(len, (asked.organisation, asked.system, asked.purpose))) > _MAX_TEXT
    ):
        raise Refused(
            "A pack of too many parts or too long a text.",
            wanted=f"{MOST_PACKS}; {_MAX_TEXT} characters.",
            remedy="shorten it.",
        )
    own = {record.run_id for record in list_answers(call.home, session=call.token.owner)} if asked.answers else set()
    if other := sorted(set(asked.answers) - own):
        raise Refused(
            f"Run {other[0][:40]!r} is not an answer of this token.", wanted="runs that it made, without a claim.", remedy="see GET /runs."
        )  # fmt: skip
    folder = call.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if len(list_packs(call).packs) >= MOST_PACKS:
        raise ApiRefused(
            507, "packs_full", f"{MOST_PACKS} packs are kept.", wanted="fewer.", remedy=f"the administrator moves some out of {FOLDER}/."
        )  # fmt: skip
    issue = ExportOptions(
        key, asked.organisation, asked.system, asked.purpose, asked.withhold_prompts, asked.acknowledge_personal_data
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        out = Path(temporary, "new.zip")
        found = export_pack(
            call.home, asked.claims, out, key=load_key(call.home, key), issue=issue, answers=asked.answers
        )
        out.chmod(0o600)
        os.replace(out, folder / f"{found.root_digest}{_ENDING}")
    return PackWritten(found.root_digest, found.pack_id, found.overall, dict(found.attempts), found.withheld_count)


def download_pack(call: Call) -> Download:
    """The bytes of one pack that the API wrote."""
    digest = call.path["root_digest"]
    # The digest is the whole name: no other text reaches the file system.
    path = call.home / FOLDER / f"{digest}{_ENDING}" if _DIGEST.fullmatch(digest) else None
    if path is None or not path.is_file():
        raise refuse_missing("pack", "list them: GET /packs.")
    return Download(path.read_bytes(), f"{digest[:12]}{_ENDING}")


def verify(call: Call) -> VerifyResult:
    """Verify a pack's bytes; nothing is stored."""
    trust, source = _read_trust(call)
    found = verify_pack(_require_pack(call), trust)
    return VerifyResult(found.exit_code, source, found.describe())


def gate(call: Call) -> Gated:
    """Verify a pack, then evaluate it against a policy; the decision is logged."""
    policy = _read_policy(call)
    trust, source = _read_trust(call)
    found = verify_pack(_require_pack(call), trust)
    desk = consult_desk(call.home, found.manifest_sha256)
    result = decide_gate(policy, read_check(found), read_evidence(found), waivers=(), now=datetime.now(UTC), desk=desk)
    log_gate(call.home, result, pack=found.pack_id or "a pack that cannot be read", actor=call.token.person.id)
    return Gated(result.exit_code, result.overall, source, describe_gate(result))


def _require_pack(call: Call) -> bytes:
    data = call.files["pack"]
    if len(data) > MAX_PACK_BYTES:
        raise ApiRefused(
            413,
            "too_large",
            f"A pack of {len(data):,} bytes.",
            wanted=f"at most {MAX_PACK_BYTES:,}.",
            remedy="send a pack.",
        )
    return data


def _read_trust(call: Call) -> tuple[Trust | None, str]:
    if "trust" in call.files:
        try:
            return read_trust(call.files["trust"]), "request"
        except BadTrust as error:
            raise Refused(
                f"The trust file: {error}.", wanted="the format of docs/reference/pack.md.", remedy="fix that row."
            ) from error
    trust = load_home_trust(call.home)
    return trust, "none" if trust is None else "server"


def _read_policy(call: Call) -> Policy:
    shipped = call.query["policy"]
    if bool(shipped) == ("policy" in call.files):
        raise PolicyRefused(
            f"{'Two policies' if shipped else 'No policy'}.", wanted="a part `policy`, or the parameter `policy` with the id of a shipped one.",
            remedy="send your own policy: `-F policy=@policy.toml`.",
        )  # fmt: skip
    return load_shipped_policy(shipped) if shipped else parse_policy(call.files["policy"], "policy.toml")
