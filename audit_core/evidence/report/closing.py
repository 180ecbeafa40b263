"""Closing sections: limitations, and how to check the pack."""

from __future__ import annotations

from typing import Any

from audit_core.evidence.report.blocks import Bullets, Paragraph, Section, Table, code, line
from audit_core.evidence.report.cells import list_items
from audit_core.evidence.report.pack_view import PackView, as_list

COMMAND = "python verify_pack.py PACK.zip --trust trust.toml"


def list_limitations(pack: PackView) -> tuple[Section, Section]:
    """List limitations and what was not assessed."""
    return (
        _list("limits", "Limitations", pack.header.get("limitations"), "None recorded, which is itself a limitation."),
        _list("unassessed", "Not assessed", pack.header.get("not_assessed"), "None recorded, which does not mean that everything was assessed."),
    )  # fmt: skip


def _list(key: str, title: str, items: Any, nothing: str) -> Section:
    return Section(key, title, (Bullets(list_items(items)),) if as_list(items) else (Paragraph(line(nothing)),))


def describe_checking() -> Section:
    """Describe how a third party checks the pack, and which question each check answers."""
    return Section(
        "check",
        "How to check this",
        (
            Paragraph(
                line("Get the verifier from the product's release, not from the pack: it is one Python file without dependencies. Get the trust file from the owners of the keys. Then run")
            ),
            Paragraph(line(code(COMMAND))),
            Table(
                "Five separate questions",
                ("question", "answered by", "based on"),
                (
                    (line("Is the pack unchanged?"), line("the verifier"), line("every file against the manifest; the report rendered again from the same files")),
                    (line("Who signed?"), line("the verifier, with keys you trust"), line("signatures over the manifest; unknown signers do not count")),
                    (line("When?"), line("the log, and the people who store its checkpoints"), line("cosignatures of witnesses that you list (", code("--witnesses"), "), an external time stamp, or the machine's own clock, which cannot be confirmed")),
                    (line("Do reruns agree?"), line("a rerun"), line("same weights, prompts and settings on another machine, within a stated tolerance")),
                    (line("Is the evidence sufficient?"), line("people"), line("the policy, the limits above, and what was not assessed")),
                ),
                widths=(22, 30, 48),
            ),
            Paragraph(line("Without the verifier, ", code("sha256sum -c MANIFEST.sha256"), " in the unpacked folder checks the files against the manifest only.")),
        ),
    )  # fmt: skip
