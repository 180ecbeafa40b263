"""The command `prompts tools`: pairs on the choice of a tool, as a prompt set for the sweep, circuits and claims."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audit_core.cli.audit import read_own_file
from audit_core.cli.gate import write_file
from audit_core.cli.output import print_json, print_result, show_fetch
from audit_core.cli.session import open_subject
from audit_core.data_folder import DATA
from audit_core.governance.gate_report import show_text
from audit_core.prompts.prompt_set import dump_jsonl
from audit_core.tools import VARIES, Factor, Toolbox, read_requests_file, write_pairs

_SHIPPED = DATA / "tools" / "requests.csv"


def add_tool_pairs_command(actions: Any) -> None:
    """Add `prompts tools`."""
    text = "write pairs of prompts on the choice of a tool, to ask which heads carry it"
    command = actions.add_parser("tools", help=text, description=text)
    command.set_defaults(command=write_tool_pairs)
    command.add_argument("--model", default="default", help="both sides have one length in its tokens")
    command.add_argument(
        "--file", type=Path, default=_SHIPPED, help="CSV with the column request (default: the shipped)"
    )
    words = "; ".join(f"{factor.value}: {what}" for factor, what in VARIES.items())
    command.add_argument("--vary", choices=tuple(Factor), default=Factor.REQUEST.value, help=words)
    own = Toolbox()
    command.add_argument(
        "--names", default=" | ".join(own.names), help="of calculator, converter and lookup, apart by |"
    )
    command.add_argument("--descriptions", default=" | ".join(own.descriptions), help="in the same order, apart by |")
    command.add_argument("--out", type=Path, required=True, metavar="PAIRS.jsonl", help="where to write the prompt set")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")


def write_tool_pairs(options: argparse.Namespace) -> int:
    """Write the prompt set."""
    toolbox = Toolbox(*(tuple(text.split("|")) for text in (options.names, options.descriptions)))
    rows = read_requests_file(read_own_file(options.file), options.file.name)
    subject = open_subject(options.model, on_progress=show_fetch)
    found = write_pairs(rows, options.file.name, subject, factor=Factor(options.vary), toolbox=toolbox)
    write_file(options.out, dump_jsonl(found.prompts.prompts).encode())
    if options.json:
        return print_json(
            {
                "pairs": len(found.prompts), "varies": options.vary, "left_out": dict(found.left_out),
                "sha256": found.prompts.sha256, "out": str(options.out),
            }
        )  # fmt: skip
    print_result(show_text(f"{len(found.prompts)} pairs: {options.out}"))
    for why, n in found.left_out:
        print_result(f"  left out: {n} × {why}")
    return 0
