"""Command `verify PACK.zip`: reads pack, trust file and checkpoint, and writes the results to standard output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from audit_core.verifier.container import read_pack
from audit_core.verifier.cosignature import MAX_WITNESSES_BYTES, BadWitnessList, read_witnesses
from audit_core.verifier.decisions import DECISIONS_MISSING
from audit_core.verifier.log_proof import BadCheckpoint
from audit_core.verifier.note import MAX_NOTE_BYTES
from audit_core.verifier.streams import CLOSED, flush_output, prepare_streams, write_message, write_result
from audit_core.verifier.trust import MAX_TRUST_BYTES, BadTrust, Trust, read_trust, show
from audit_core.verifier.verification import EXIT_USAGE, FAILED, Verification
from audit_core.verifier.walk import verify_pack
from audit_core.verifier.withheld import MAX_OPENINGS_BYTES, PROMPTS_FAILED, BadOpenings, read_openings
from audit_core.verifier.witnessed import WITNESSES_FAILED

MEANINGS = {
    0: "integrity and signer verified; the reader judges what the findings mean",
    3: "not decided: a requested check could not be done",
    4: "integrity or authenticity failed: do not rely on this pack",
}


def run_verifier(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of the joined file; returns an exit code of `docs/reference/pack.md`."""
    parser = argparse.ArgumentParser(prog="verify_pack.py", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    if not prepare_streams():
        return _complain(*CLOSED)
    try:
        options = parser.parse_args(arguments)
    except SystemExit:
        # Flush the parser's help here, so that a failed write is reported before Python exits.
        if not flush_output():
            return EXIT_USAGE
        raise
    return verify_files(
        options.pack, options.trust, options.checkpoint, options.openings, options.witnesses, as_json=options.json
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", type=Path, metavar="PACK.zip")
    parser.add_argument(
        "--trust", type=Path, metavar="trust.toml", help="keys whose signatures count; do not take it from the pack"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="F", help="a checkpoint of the log, saved earlier by you")
    parser.add_argument("--openings", type=Path, metavar="F", help="openings of prompts that the pack withholds")
    parser.add_argument(
        "--witnesses",
        type=Path,
        metavar="witnesses.toml",
        help="keys of witnesses and a quorum; do not take it from the pack",
    )


def verify_files(
    pack: Path,
    trust: Path | None,
    checkpoint: Path | None,
    openings: Path | None = None,
    witnesses: Path | None = None,
    *,
    as_json: bool,
) -> int:
    """Check a pack and write the results to standard output."""
    try:
        trusted: Trust | None = None if trust is None else read_trust(_read(trust, MAX_TRUST_BYTES))
        saved = None if checkpoint is None else _read(checkpoint, MAX_NOTE_BYTES)
        opened = None if openings is None else read_openings(_read(openings, MAX_OPENINGS_BYTES))
        listed = None if witnesses is None else read_witnesses(_read(witnesses, MAX_WITNESSES_BYTES))
        found = verify_pack(read_pack(pack), trusted, saved, opened, listed)
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}.", "readable files.", "check the path.")
    except BadTrust as error:
        return _complain(f"The trust file: {error}.", "the format of docs/reference/pack.md.", "fix that row.")
    except BadCheckpoint as error:
        return _complain(
            f"The saved checkpoint: {error}.", "an unmodified signed checkpoint of the log.", "use your saved copy."
        )
    except BadWitnessList as error:
        return _complain(f"The witness list: {error}.", "the format of docs/reference/pack.md.", "fix that row.")
    except BadOpenings as error:
        return _complain(f"The openings: {error}.", "what `openings` writes.", "ask the preparer for them again.")
    try:
        write_result(json.dumps(found.describe(), indent=1) + "\n" if as_json else describe_lines(found))
    except OSError as error:
        return _complain(
            f"The result could not be written to standard output: {error.strerror}.",
            "a writable standard output.",
            "redirect it to another file.",
        )
    return found.exit_code


def describe_lines(found: Verification) -> str:
    """Return one line per step, then the results."""
    lines = [f"{number} {step.name:<12} {step.result:<12} {step.detail}" for number, step in enumerate(found.steps, 1)]
    lines += ["", f"{'pack':<14} {found.pack_id or 'unknown'}", f"{'integrity':<14} {found.integrity}"]
    lines += [
        f"{'authenticity':<14} {found.authenticity}",
        f"{'time':<14} {found.time}",
        f"{'reproduction':<14} {found.reproduction} (as recorded; no rerun was made)",
        f"{'judgement':<14} {found.judgement} (by the pack's own policy)",
        f"{'prompts':<14} {found.prompts.result} ({found.prompts.detail})",
        f"{'decisions':<14} {found.decisions.result} ({found.decisions.detail})",
        f"{'witnesses':<14} {found.witnesses.result} ({found.witnesses.detail})",
        "",
        f"exit {found.exit_code}: {_name_meaning(found)}",
    ]
    return "\n".join(lines) + "\n"


def _name_meaning(found: Verification) -> str:
    if any(step.result == FAILED for step in found.steps):
        return MEANINGS[found.exit_code]
    if found.decisions.result == DECISIONS_MISSING:
        return "a signed decision was removed from this pack after a later one was signed; all other checks passed"
    if found.witnesses.result == WITNESSES_FAILED:
        return "the cosigned checkpoint does not match this pack's log; all other checks passed"
    if found.prompts.result == PROMPTS_FAILED:
        return "the openings do not match this pack; all other checks passed"
    return MEANINGS[found.exit_code]


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)


def _complain(found: str, wanted: str, remedy: str) -> int:
    write_message(f"{show(found)} Wanted: {wanted} What to do: {remedy}\n")
    return EXIT_USAGE
