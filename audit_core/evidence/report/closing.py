"""What bounds the findings, and how to check the documents they were read from."""

from __future__ import annotations

from typing import Any

from audit_core.evidence.report.blocks import Bullets, Paragraph, Section, Table, code, line
from audit_core.evidence.report.cells import list_items
from audit_core.evidence.report.pack_view import PackView, as_list

COMMAND = "python verify_pack.py PACK.zip --trust trust.toml"


def bound_findings(pack: PackView) -> tuple[Section, Section]:
    """Limitations, and what nobody looked at."""
    return (
        _list("limits", "Limitations", pack.header.get("limitations"), "None are recorded, which is itself a limitation."),
        _list("unassessed", "Not assessed", pack.header.get("not_assessed"), "Nothing is recorded as not assessed, which does not mean that all was."),
    )  # fmt: skip


def _list(key: str, title: str, items: Any, nothing: str) -> Section:
    return Section(key, title, (Bullets(list_items(items)),) if as_list(items) else (Paragraph(line(nothing)),))


def describe_checking() -> Section:
    """How a stranger checks the pack, and which question each check answers."""
    return Section(
        "check",
        "How to check this",
        (
            Paragraph(
                line("Get the verifier from the product's own release, never from inside the pack: one file of Python that needs nothing else. Get the file of trusted keys from the people whose keys they are. Then run")
            ),
            Paragraph(line(code(COMMAND))),
            Table(
                "Five questions, answered one by one",
                ("question", "who answers it", "what it rests on"),
                (
                    (line("Are these the bytes?"), line("the verifier"), line("every file against the manifest, and this rendering made again from the same files")),
                    (line("Who signed?"), line("the verifier, with keys you trust"), line("signatures over the manifest; an unknown signer counts as none")),
                    (line("When?"), line("the log, and whoever keeps its checkpoints"), line("a time that others can confirm, or the machine's own clock, which nobody can")),
                    (line("Does it come out again?"), line("a rerun"), line("the same weights, prompts and settings on another machine, within a stated tolerance")),
                    (line("Is it enough?"), line("people"), line("the policy, the limits above, and what was not assessed")),
                ),
                widths=(22, 30, 48),
            ),
            Paragraph(line("Without the verifier, ", code("sha256sum -c MANIFEST.sha256"), " inside the unpacked folder checks the bytes, and nothing else.")),
        ),
    )  # fmt: skip
