"""Ways to write a choice of a tool: the list, the request, and what the name follows.

A prompt set of one wording has one template, and no interval over templates. These differ enough to be counted as templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
WORDINGS: tuple[Wording, ...] = (
    AUDITED,
    Wording("agent", "An agent knows only ", ".\nIt is asked: ", "\nThe agent runs"),
    Wording("clerk", "A clerk knows only ", ".\nHe is told: ", "\nThe clerk runs"),
    Wording("machine", "One machine offers ", ".\nA visitor asks: ", "\nThen the machine runs"),
    Wording("bot", "The bot was built with ", ".\nIts user writes: ", "\nSo the bot runs"),
    Wording("helper", "Three functions are known to the helper: ", ".\nA user wants: ", "\nHelper runs"),
    Wording("panel", "The panel has the buttons ", ".\nWish: ", "\nPress"),
    Wording("office", "Inside the office there are ", ".\nA letter says: ", "\nThe office runs"),
)
"""The audited form, and those of 28 others in which the default model preferred the right one of two tools in 75 % of 15 trial
requests; no trial request is one of the shipped file."""
