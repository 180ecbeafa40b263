"""Ways to write a choice of a tool: the list, the request, and what the name follows.

A prompt set of one wording has one template, and no interval over templates. These differ enough to be counted as templates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from audit_core.data_folder import DATA
from audit_core.tools.texts import Cell, Describing, ask_choice, name_tools, write_list
from audit_core.tools.toolbox import Toolbox


@dataclass(frozen=True)
class Wording:
    """Words around the list and around the request."""

    name: str
    before: str
    between: str
    after: str

    def write(self, cell: Cell, order: Sequence[int], toolbox: Toolbox, request: str) -> str:
        """The whole text; tools in this order, each with its description where the list has them."""
        names = name_tools(cell, toolbox)
        has_words = cell.describing is not Describing.NONE
        tools = [f"{names[at]} ({toolbox.descriptions[at]})" if has_words else names[at] for at in order]
        return f"{self.before}{', '.join(tools)}{self.between}{request}{self.after}"


class AuditedWording(Wording):
    """The form that the audit of tools measures."""

    def write(self, cell: Cell, order: Sequence[int], toolbox: Toolbox, request: str) -> str:
        return write_list(cell, order, toolbox) + ask_choice(request)


AUDITED = AuditedWording("as audited", "", "", "")


@cache
def list_wordings() -> tuple[Wording, ...]:
    """The audited form and those of `data/tools/wordings.json`.

    Of 28 others, they are those in which the default model preferred the right one of two tools in 75 % of 15 trial requests; no trial
    request is one of the shipped file.
    """
    rows = json.loads((DATA / "tools" / "wordings.json").read_text("utf-8"))
    return (AUDITED, *(Wording(**row) for row in rows))
