"""Connection addresses: the output of one component, as input of another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from audit_core.component import Component, Kind, parse_component
from audit_core.errors import ComponentRefused


class Terminal(StrEnum):
    """Input and output of a model, where every path begins and ends."""

    INPUT = "input"
    """The embedding: input of the first block."""
    OUTPUT = "output"
    """Final norm and unembedding at the answer position."""


class Through(StrEnum):
    """Input of the receiver in which the sender's output is replaced."""

    WHOLE = "whole"
    """The whole input: query, key and value of a head together, the input of an MLP or of the output."""
    QUERY = "query"
    KEY = "key"
    VALUE = "value"


SPLIT = (Through.QUERY, Through.KEY, Through.VALUE)
Endpoint = Component | Terminal
_LETTERS = {Through.QUERY: "Q", Through.KEY: "K", Through.VALUE: "V"}
_THROUGHS = {letter: through for through, letter in _LETTERS.items()}
_REMEDY = "write L0.H0>L1.H0, L0.H0>L1.H0.K, input>L2.MLP or L1.H0>output."
_ARROW = re.compile(r"[>→]")
_RECEIVER = re.compile(r"(?P<part>.+?)(?:\.(?P<letter>[QKV]))?", re.ASCII)


@dataclass(frozen=True)
class Connection:
    """A direct path from a sender to a later receiver, through no other component.

    Written `L0.H0>L1.H0` (all inputs of the head together), `L0.H0>L1.H0.K` (its key input; Q and V likewise),
    `input>L2.MLP`, `L1.H0>output`; `→` is accepted for `>`. Whole heads and MLPs, at all positions.

    Source: Wang et al. 2022, arXiv:2211.00593; Goldowsky-Dill et al. 2023, arXiv:2304.05969.
    """

    sender: Endpoint
    receiver: Endpoint
    through: Through = Through.WHOLE

    def __post_init__(self) -> None:
        for end in (self.sender, self.receiver):
            if isinstance(end, Component) and (end.kind not in (Kind.HEAD, Kind.MLP) or end.position is not None):
                raise _refuse(f"{end} at one end of a connection.", "whole heads and MLPs.")
        if self.sender is Terminal.OUTPUT or self.receiver is Terminal.INPUT:
            raise _refuse(
                f"{self.draw()} runs backwards.",
                "a connection from the input or a component, to a later component or the output.",
            )
        if self.through is not Through.WHOLE and not is_head(self.receiver):
            raise _refuse(f"{self.receiver} has no {self.through} input.", "a head behind Q, K or V.")
        if not comes_before(self.sender, self.receiver):
            raise _refuse(f"{self.receiver} does not read the output of {self.sender}.", "a later receiver.")

    def __str__(self) -> str:
        return f"{self.sender}>{self.target}"

    def draw(self) -> str:
        """`L0.H0→L1.H0.K`, for display; `str` gives the form for command lines and JSON."""
        return f"{self.sender}→{self.target}"

    @property
    def target(self) -> str:
        """The receiver with its input, `L1.H0.K`."""
        return f"{self.receiver}" + (f".{_LETTERS[self.through]}" if self.through in _LETTERS else "")

    @property
    def is_in_one_layer(self) -> bool:
        """From a head to the MLP of its own layer: exists only in sequential blocks."""
        sender, receiver = self.sender, self.receiver
        return isinstance(sender, Component) and isinstance(receiver, Component) and sender.layer == receiver.layer


def is_head(end: Endpoint) -> bool:
    return isinstance(end, Component) and end.kind is Kind.HEAD


def comes_before(sender: Endpoint, receiver: Endpoint) -> bool:
    """Whether the sender's output is part of the receiver's input in a sequential block (attention before MLP)."""
    if sender is Terminal.INPUT or receiver is Terminal.OUTPUT:
        return True
    assert isinstance(sender, Component)
    assert isinstance(receiver, Component)
    if sender.layer == receiver.layer:
        return sender.kind is Kind.HEAD and receiver.kind is Kind.MLP
    return sender.layer < receiver.layer


def _refuse(found: str, wanted: str) -> ComponentRefused:
    return ComponentRefused(found, wanted=wanted, remedy=_REMEDY)


def parse_connection(text: str) -> Connection:
    """Parse one address.

    Raises:
        ComponentRefused: the text does not parse, or no such path exists; see `Connection`.
    """
    ends = [end.strip() for end in _ARROW.split(text.strip())]
    match = _RECEIVER.fullmatch(ends[-1])
    if len(ends) != 2 or match is None:
        raise _refuse(f"{text[:60]!r} is not a connection.", "a sender, > and a receiver.")
    through = _THROUGHS.get(match["letter"] or "", Through.WHOLE)
    return Connection(_parse_endpoint(ends[0]), _parse_endpoint(match["part"]), through)


def _parse_endpoint(text: str) -> Endpoint:
    return Terminal(text) if text in tuple(Terminal) else parse_component(text)


def list_connections(components: Iterable[Component], *, split: bool, is_parallel: bool) -> tuple[Connection, ...]:
    """Every connection among components, from the input and to the output.

    Args:
        split: query, key and value input of a head are separate connections.
        is_parallel: attention and MLP of one block read the same input, so no connection runs between them.
    """
    parts: list[Endpoint] = [*sorted(set(components))]
    found = []
    for receiver in [*parts, Terminal.OUTPUT]:
        for sender in [Terminal.INPUT, *parts]:
            if not comes_before(sender, receiver):
                continue
            for through in SPLIT if split and is_head(receiver) else (Through.WHOLE,):
                connection = Connection(sender, receiver, through)
                if not (is_parallel and connection.is_in_one_layer):
                    found.append(connection)
    return tuple(found)
