"""Schemas of withheld prompts: commitments in the pack, and the file that opens them."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    ID,
    NUMBER,
    POSITIVE,
    SHA256,
    TEXT,
    ULID,
    WORDS,
    Schema,
    list_of,
    matching,
    record,
)

MAX_WITHHELD = 2_000
"""Largest number of prompts in a set."""

WITHHELD: Schema = record(
    {
        "schema": {"const": "assay/withheld/1"},
        "sha256": SHA256,
        "n_items": POSITIVE,
        "whole_sha256": SHA256,
        "n_whole": POSITIVE,
        "items": list_of(record({"item_id": ID, "template": ID, "commitment": SHA256}), least=1, most=MAX_WITHHELD),
    }
)
_ANSWERS: Schema = {"anyOf": [WORDS, list_of(WORDS, least=2)]}
PROMPT_ROW: Schema = record(
    {name: WORDS for name in ("id", "clean", "corrupted", "template")} | dict.fromkeys(("answer", "foil"), _ANSWERS),
    optional={"group": TEXT, "source": TEXT, "form": {"const": "verbatim"}},
)
_MEASURED = record(
    {"run_id": ID, "ablation": WORDS} | {name: NUMBER for name in ("clean", "corrupt", "patched", "empty", "effect")}
)
OPENINGS: Schema = record(
    {
        "schema": {"const": "assay/openings/1"},
        "pack_id": ULID,
        "items": list_of(
            record(
                {
                    "set": matching("^[0-9a-f]{16}$"),
                    "salt": matching("^[0-9a-f]{32}$"),
                    "item": record({"item_id": ID, "template": ID, "prompt": PROMPT_ROW, "runs": list_of(_MEASURED)}),
                }
            ),
            least=1,
        ),
    }
)
