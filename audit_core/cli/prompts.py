"""The commands `prompts`: `check` lists usable and unusable rows of a file, and writes the usable ones; `tools` writes pairs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_core.cli.output import print_json, print_result, print_status, show_fetch
from audit_core.cli.prompt_set import FORMS, add_column_option
from audit_core.cli.session import open_subject
from audit_core.cli.tool_pairs import add_tool_pairs_command
from audit_core.errors import PromptRefused
from audit_core.governance.gate_report import show_text
from audit_core.prompt_files.layouts import parse_columns
from audit_core.prompt_files.reading import ReadRows, read_row_file
from audit_core.prompt_files.saved import ENDINGS, write_rows
from audit_core.prompt_files.table import RowFault
from audit_core.prompts.alignment import align_rows
from audit_core.prompts.prompt_set import PromptSet, keep_valid

SOME_SET_ASIDE = 1


def add_prompt_commands(prompts: argparse.ArgumentParser) -> None:
    """Add the actions of `prompts`."""
    actions = prompts.add_subparsers(required=True, metavar="ACTION")
    text = "count the usable rows of a prompt file, list every other row with its reason, and write the usable rows"
    check = actions.add_parser("check", help=text, description=text)
    check.set_defaults(command=check_prompts)
    check.add_argument("file", type=Path, help=FORMS)
    check.add_argument("--model", help="also check the rows with this model's tokenizer")
    add_column_option(check)
    check.add_argument(
        "--out",
        type=Path,
        metavar="KEPT.jsonl",
        help=f"where to write the usable rows: {', '.join(ENDINGS)}, or a folder of the datasets library",
    )
    check.add_argument("--force", action="store_true", help="overwrite an existing file")
    check.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    add_tool_pairs_command(actions)


def check_prompts(options: argparse.Namespace) -> int:
    """Check a file in any form; exit code 0 if every row is usable, 1 if some are, 2 if none is."""
    if options.out is not None and options.out.exists() and not options.force:
        raise PromptRefused(
            f"{options.out} exists.", wanted="a new file for --out.", remedy="choose another path, or add --force."
        )
    read = read_row_file(options.file, columns=parse_columns(options.column))
    kept, refused = _check_against_model(read, options.model)
    faults = (*read.faults, *refused)
    if kept is not None and options.out is not None:
        _write_all(
            options.out, write_rows([prompt.to_row() for prompt in kept.prompts], options.out.name), options.force
        )
    found = _describe(read, kept, faults)
    if options.json:
        print_json(found | {"out": None if kept is None or options.out is None else str(options.out)})
    else:
        _print(options, found, faults)
    if kept is None:
        print_status(f"{read.name} contains no usable row.")
        return PromptRefused.exit_code
    return SOME_SET_ASIDE if faults else 0


def _check_against_model(read: ReadRows, model: str | None) -> tuple[PromptSet | None, tuple[RowFault, ...]]:
    """The usable rows, also under the model's tokenizer if one is given."""
    if not read.rows:
        return None, ()
    whole = keep_valid(read)
    if model is None:
        return whole, ()
    aligned = align_rows(whole, open_subject(model, on_progress=show_fetch).tokenizer)
    if aligned.kept is None:
        return None, aligned.faults
    prompts = tuple(pair.prompt for pair in aligned.kept.pairs)
    return PromptSet(whole.name, prompts, notices=whole.notices), aligned.faults


def _write_all(out: Path, files: Mapping[str, bytes], is_forced: bool) -> None:
    """Write one file, or the files of a folder."""
    if out.name not in files:
        try:
            out.mkdir(exist_ok=True)
        except OSError as error:
            raise PromptRefused(
                f"{out} cannot be made: {error.strerror}.",
                wanted="a new folder.",
                remedy="choose another path for --out.",
            ) from error
    for name, data in files.items():
        _write(out.parent / name, data, is_forced)


def _write(path: Path, data: bytes, is_forced: bool) -> None:
    try:
        if is_forced:
            path.write_bytes(data)
            return
        with path.open("xb") as stream:
            stream.write(data)
    except OSError as error:
        raise PromptRefused(
            f"{path} cannot be written: {error.strerror}.",
            wanted="a new file in a writable folder.",
            remedy="choose another path for --out.",
        ) from error


def _describe(read: ReadRows, kept: PromptSet | None, faults: Sequence[RowFault]) -> dict[str, Any]:
    prompts = () if kept is None else kept.prompts
    # A row with several faults counts under the first.
    reasons = Counter({fault.label: fault.reason for fault in reversed(faults)}.values())
    return {
        "form": read.form,
        "rows": read.n_rows,
        "kept": len(prompts),
        "repeats": read.n_repeats,
        "set_aside": dict(sorted(reasons.items())),
        "distinct": len({(prompt.clean, prompt.corrupted) for prompt in prompts}),
        "templates": len({prompt.template for prompt in prompts}),
        "notices": list(read.notices if kept is None else kept.notices),
        "bad": [
            {
                "row": fault.row_id or None,
                "place": fault.place or None,
                "reason": fault.reason,
                "found": fault.text,
                "remedy": fault.remedy or None,
            }
            for fault in faults
        ],
    }


def _print(options: argparse.Namespace, found: dict[str, Any], faults: Sequence[RowFault]) -> None:
    print_result(show_text(f"{options.file}: read as {found['form']}"))
    aside = ", ".join(f"{times} {reason.replace('_', ' ')}" for reason, times in found["set_aside"].items())
    print_result(
        f"  {found['rows']:,} rows: {found['kept']:,} kept, {sum(found['set_aside'].values()):,} set aside"
        f"{f' ({aside})' if aside else ''}, {found['repeats']:,} repeats"
    )
    print_result(f"  {found['distinct']:,} distinct pairs of prompts, {found['templates']:,} templates")
    for text in (*found["notices"], *map(str, faults)):
        print_result(show_text(f"  {text}"))
    if options.out is not None and found["kept"]:
        print_result(show_text(f"  written: {options.out}"))
