"""The options `--prompts` and `--column`, and the prompt set that they name."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit_core.cli.output import print_status
from audit_core.governance.gate_report import show_text
from audit_core.prompt_files.layouts import parse_columns
from audit_core.prompts.prompt_set import PromptSet, load_prompts

FORMS = "CSV, TSV, JSON, JSON Lines, Parquet, Arrow, or a folder of the datasets library"


def add_prompts_option(command: argparse.ArgumentParser, *, required: bool, text: str) -> None:
    """Add the option `--prompts`."""
    command.add_argument("--prompts", type=Path, required=required, help=f"{text}: {FORMS}")
    add_column_option(command)


def add_column_option(command: argparse.ArgumentParser) -> None:
    """Add the option `--column`."""
    command.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="a column of the prompt file under another name, such as answer=label; once for each",
    )


def load_prompt_set(options: argparse.Namespace) -> PromptSet:
    """Load the prompt set, and print a notice for each changed reading.

    Raises:
        PromptRefused: as `load_prompts`.
    """
    prompts = load_prompts(options.prompts, columns=parse_columns(options.column))
    for notice in prompts.notices:
        print_status(show_text(f"{prompts.name}: {notice}"))
    return prompts
