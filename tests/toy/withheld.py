"""A home with one attempt at a claim, its prompts full of words that must not leave, and packs of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from toy.planted import make_induction

from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.evidence.keys import load_key
from audit_core.packs.pack import Exported, ExportOptions, export_pack
from audit_core.prompts.prompt_set import PromptSet
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog
from audit_core.store.claims.register import Register
from audit_core.subjects.transformer import TransformerSubject

CANARY = "canary"
"""In every field of a prompt that is not tokens."""


def make_prompts() -> PromptSet:
    """Text is words such as `w13 w14`; ids, templates, groups and sources hold the canary."""
    rows = make_induction(60, change="query", n_templates=6).prompts
    return PromptSet(
        "toy",
        tuple(
            replace(
                row, id=f"{CANARY}-{row.id}", template=f"{CANARY} of {row.template}", group=f"{CANARY}s", source=CANARY
            )
            for row in rows
        ),
    )


def freeze(home: Path, subject: TransformerSubject, prompts: PromptSet) -> str:
    """A frozen claim's id."""
    claim = Claim("the copying head is needed", (head(1, 0),))
    return freeze_claim(
        Register(home), subject, claim, prompts, load_shipped_policy(), owner="anna", model="planted", questions=("circuit", "transfer")
    ).claim_id  # fmt: skip


def run_claim(home: Path, subject: TransformerSubject, prompts: PromptSet) -> None:
    """Freeze a claim and make one attempt at it."""
    run_confirmatory(
        Register(home), freeze(home, subject, prompts), lambda name: Auditor(subject, RunLog(home)), actor=Actor("anna", "test")
    )  # fmt: skip


def pack_claim(home: Path, name: str, claim_id: str = "C-0001", **issue: Any) -> Exported:
    return export_pack(home, [claim_id], home / name, key=load_key(home, "anna"), issue=ExportOptions("anna", **issue))


def read_pack(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def read_openings_of(home: Path, exported: Exported) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "openings" / f"{exported.pack_id}.json").read_bytes())
    return found


def split_members(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without manifest and signatures, as documents are read."""
    return {name: data for name, data in members.items() if not name.startswith(("attestations/", "MANIFEST"))}
