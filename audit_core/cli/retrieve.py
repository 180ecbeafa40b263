"""The command `retrieve`: give questions the first passages of a retriever as their documents, in a file that is then audited."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit_core.cli.audit import read_own_file
from audit_core.cli.gate import write_file
from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import Adder
from audit_core.documents import read_passages, retrieve
from audit_core.errors import Refused
from audit_core.registry import get_plugin, list_plugins

_SUFFIXES = (".txt", ".md", ".csv")


def add_retrieve_command(add: Adder) -> None:
    """Add `retrieve`."""
    command = add("retrieve", run_retrieve, "give questions the first passages of a retriever as their documents")
    command.add_argument("--questions", type=Path, required=True, help="CSV with the columns question and answer")
    command.add_argument("--passages", type=Path, required=True, help="a folder of text files, or one text or CSV file")
    command.add_argument("--retriever", choices=tuple(list_plugins("retrievers")), default="bm25")
    command.add_argument("--most", type=int, default=3, help="documents a question (default: 3)")
    command.add_argument("--no-next", action="store_true", help="write no column next, the hit after these documents")
    command.add_argument("--out", type=Path, required=True, help="where to write the file for `audit documents`")


def run_retrieve(options: argparse.Namespace) -> int:
    """Write the file."""
    passages = read_passages([(path.name, read_own_file(path)) for path in _list_files(options.passages)])
    found = retrieve(
        read_own_file(options.questions), options.questions.name, passages,
        get_plugin("retrievers", options.retriever), most=options.most, with_next=not options.no_next,
    )  # fmt: skip
    write_file(options.out, found.raw)
    if options.json:
        print_json(
            {
                "questions": found.n_questions, "passages": found.n_passages, "passages_sha256": found.passages_sha256,
                "retriever": found.retriever, "out": str(options.out),
            }
        )  # fmt: skip
    else:
        print_result(f"{found.n_questions} questions, {found.n_passages} passages, {found.retriever}: {options.out}")
    return 0


def _list_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not files:
        raise Refused(
            f"{place} has no file of text.", wanted=f"files {', '.join(_SUFFIXES)}.", remedy="name another folder."
        )
    return files
