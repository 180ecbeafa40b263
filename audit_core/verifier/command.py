"""`verify PACK.zip`: reads three files, says what was found line by line, and writes nothing but that."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from audit_core.verifier.container import read_pack
from audit_core.verifier.decisions import DECISIONS_MISSING
from audit_core.verifier.log_proof import BadCheckpoint
from audit_core.verifier.note import MAX_NOTE_BYTES
from audit_core.verifier.streams import CLOSED, flush_output, prepare_streams, write_message, write_result
from audit_core.verifier.trust import MAX_TRUST_BYTES, BadTrust, Trust, read_trust, show
from audit_core.verifier.verification import EXIT_USAGE, FAILED, Verification
from audit_core.verifier.walk import verify_pack
from audit_core.verifier.withheld import MAX_OPENINGS_BYTES, PROMPTS_FAILED, BadOpenings, read_openings

MEANINGS = {
    0: "integrity and signer verified; what the findings mean is for a reader to judge",
    3: "not decided: something asked for could not be checked",
    4: "integrity or authenticity failed: rely on nothing in this pack",
}


def run_verifier(arguments: Sequence[str] | None = None) -> int:
    """The command line of the joined file; returns the exit code of `docs/reference/pack.md`."""
    parser = argparse.ArgumentParser(prog="verify_pack.py", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    if not prepare_streams():
        return _complain(*CLOSED)
    try:
        options = parser.parse_args(arguments)
    except SystemExit:
        # The parser prints the help, which has to arrive or fail here and not as Python ends.
        if not flush_output():
            return EXIT_USAGE
        raise
    return verify_files(options.pack, options.trust, options.checkpoint, options.openings, as_json=options.json)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", type=Path, metavar="PACK.zip")
    parser.add_argument("--trust", type=Path, metavar="trust.toml", help="whose signatures count; never from the pack")
    parser.add_argument("--checkpoint", type=Path, metavar="F", help="a checkpoint of the log, saved earlier")
    parser.add_argument("--openings", type=Path, metavar="F", help="openings of prompts that the pack withholds")


def verify_files(
    pack: Path, trust: Path | None, checkpoint: Path | None, openings: Path | None = None, *, as_json: bool
) -> int:
    """Check a pack and write what was found to standard output."""
    try:
        trusted: Trust | None = None if trust is None else read_trust(_read(trust, MAX_TRUST_BYTES))
        saved = None if checkpoint is None else _read(checkpoint, MAX_NOTE_BYTES)
        opened = None if openings is None else read_openings(_read(openings, MAX_OPENINGS_BYTES))
        found = verify_pack(read_pack(pack), trusted, saved, opened)
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}.", "files that can be read.", "check the path.")
    except BadTrust as error:
        return _complain(f"The trust file: {error}.", "one as docs/reference/pack.md has it.", "mend that row.")
    except BadCheckpoint as error:
        return _complain(
            f"The saved checkpoint: {error}.", "a checkpoint of the log, as it was signed.", "look for your copy."
        )
    except BadOpenings as error:
        return _complain(f"The openings: {error}.", "what `openings` writes.", "ask the preparer for them again.")
    try:
        write_result(json.dumps(found.describe(), indent=1) + "\n" if as_json else describe_lines(found))
    except OSError as error:
        return _complain(
            f"The finding could not be written to standard output: {error.strerror}.",
            "a place for it.",
            "send it elsewhere.",
        )
    return found.exit_code


def describe_lines(found: Verification) -> str:
    """One line a step, then the five results."""
    lines = [f"{number} {step.name:<12} {step.result:<12} {step.detail}" for number, step in enumerate(found.steps, 1)]
    lines += ["", f"{'pack':<14} {found.pack_id or 'unknown'}", f"{'integrity':<14} {found.integrity}"]
    lines += [
        f"{'authenticity':<14} {found.authenticity}",
        f"{'time':<14} {found.time}",
        f"{'reproduction':<14} {found.reproduction} (as recorded; nothing was run again)",
        f"{'judgement':<14} {found.judgement} (by the pack's own policy)",
        f"{'prompts':<14} {found.prompts.result} ({found.prompts.detail})",
        f"{'decisions':<14} {found.decisions.result} ({found.decisions.detail})",
        "",
        f"exit {found.exit_code}: {_name_meaning(found)}",
    ]
    return "\n".join(lines) + "\n"


def _name_meaning(found: Verification) -> str:
    if any(step.result == FAILED for step in found.steps):
        return MEANINGS[found.exit_code]
    if found.decisions.result == DECISIONS_MISSING:
        return "a signed decision was taken out of this pack after another was signed; nothing else failed"
    if found.prompts.result == PROMPTS_FAILED:
        return "the openings do not open this pack; nothing else failed"
    return MEANINGS[found.exit_code]


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)


def _complain(found: str, wanted: str, remedy: str) -> int:
    write_message(f"{show(found)} Wanted: {wanted} What to do: {remedy}\n")
    return EXIT_USAGE
