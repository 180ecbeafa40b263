"""Component addresses: parsing, printing and sorting. The only parser of component names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from audit_core.errors import ComponentRefused

MAX_COMPONENTS = 4096
"""Maximum addresses in one list; SmolLM2-135M has 300 heads and MLPs."""


class Kind(StrEnum):
    """Kind of component."""

    HEAD = "head"
    MLP = "mlp"
    RESID = "resid"
    EDGE = "edge"
    PATTERN = "pattern"
    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    NEURON = "neuron"
    EXPERT = "expert"
    ROUTER = "router"
    SHARED = "shared"
    SOURCE = "source"
    ENCODER_HEAD = "encoder_head"
    DECODER_HEAD = "decoder_head"
    CROSS_HEAD = "cross_head"
    CROSS_EDGE = "cross_edge"
    DOCUMENT = "document"
    TOOL = "tool"
    FEATURE = "feature"


@dataclass(frozen=True)
class KindSpec:
    """How the components of a kind are written."""

    plural: str
    """As in the name of a universe, `heads+mlps`."""
    letter: str = ""
    """Before the number in an address: L9.H6; empty for a kind that is written as a word."""
    word: str = ""
    """In an address, for a kind with one component per layer: L5.MLP."""
    title: str = ""
    """What one row of a map of it is, where a sweep can replace it alone; empty for kinds with audits of their own."""


KINDS = {
    Kind.HEAD: KindSpec("heads", letter="H", title="head"),
    Kind.MLP: KindSpec("mlps", word="MLP", title="MLP"),
    Kind.RESID: KindSpec("positions", word="RESID", title="position"),
    Kind.EDGE: KindSpec("edges", letter="H"),
    Kind.PATTERN: KindSpec("patterns", letter="A"),
    Kind.QUERY: KindSpec("queries", letter="Q", title="query head"),
    Kind.KEY: KindSpec("keys", letter="K", title="key head"),
    Kind.VALUE: KindSpec("values", letter="V", title="value head"),
    Kind.NEURON: KindSpec("neurons", letter="N", title="neuron"),
    Kind.EXPERT: KindSpec("experts", letter="E", title="expert"),
    Kind.ROUTER: KindSpec("routers", word="ROUTER"),
    Kind.SHARED: KindSpec("shared", word="SHARED"),
    Kind.SOURCE: KindSpec("sources", word="SOURCE"),
    Kind.ENCODER_HEAD: KindSpec("encoder_heads", letter="EH"),
    Kind.DECODER_HEAD: KindSpec("decoder_heads", letter="DH"),
    Kind.CROSS_HEAD: KindSpec("cross_heads", letter="XH"),
    Kind.CROSS_EDGE: KindSpec("cross_edges", letter="XH"),
    Kind.DOCUMENT: KindSpec("documents"),
    Kind.TOOL: KindSpec("tools"),
    Kind.FEATURE: KindSpec("features", letter="F"),
}
"""One row per kind; a new kind of component is a row here and a site in the engine."""
OF_ENCODER_DECODERS = (Kind.SOURCE, Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD, Kind.CROSS_EDGE)
EDGES = {Kind.HEAD: Kind.EDGE, Kind.CROSS_HEAD: Kind.CROSS_EDGE}
"""Kinds of heads, and of their edges, which have the same letter."""
_BY_LETTER = {spec.letter: kind for kind, spec in KINDS.items() if spec.letter and kind not in EDGES.values()}
_BY_WORD = {spec.word: kind for kind, spec in KINDS.items() if spec.word}


@dataclass(frozen=True)
class Component:
    """Address of one component of a subject.

    Written `L9.H6` (head), `L5.MLP`, `L4.RESID` (residual stream entering layer 4), `L9.Q6`, `L9.K2`, `L9.V2`
        (query, key and value vectors; with grouped-query attention one key and value head serves several heads),
        `L9.A6` (attention pattern of head 6), `L5.N120` (neuron of an MLP), `L3.E5` (expert), `L3.ROUTER` (the router that sends tokens to
        experts), `L3.SHARED` (the experts that every token passes through, with their gate), `doc:2`, `tool:search`, `L12.F431` (feature of a
        sparse dictionary of the residual stream entering layer 12; an edit of it needs the dictionary).
        `@7` limits any of them to token position 7; `@-1` is the last; for a pattern it is the query position.
        `L9.H6:14>2` is one attention edge of that head: query position 14 to key position 2.

    Of an encoder–decoder: `L0.EH1` and `L0.DH1` (head of self-attention in the encoder and in the decoder), `L0.XH1` (head of
        cross-attention), `L0.XH1:9>4` (its edge from target position 9 to source position 4), `L0.SOURCE@4` (the embedding that
        enters the encoder there). Positions count through source and target.
    """

    layer: int
    """0-based layer; -1 for documents and tools."""
    kind: Kind
    index: int = 0
    """Head, neuron, expert, feature or document number; 0 for an MLP or the residual stream."""
    position: int | None = None
    """Token position the address is limited to; None: every position. For an edge, the query position."""
    key: int | None = None
    """Key position of an edge, else None."""
    name: str = ""
    """Name of a tool, else empty."""

    def __lt__(self, other: Component) -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple:
        # None (every position) sorts first; None itself does not compare with a number.
        at = tuple((value is not None, value or 0) for value in (self.position, self.key))
        return (self.layer, self.kind, self.index, at, self.name)

    def __str__(self) -> str:
        if self.kind is Kind.DOCUMENT:
            return f"doc:{self.index}"
        if self.kind is Kind.TOOL:
            return f"tool:{self.name}"
        spec = KINDS[self.kind]
        part = spec.word or f"{spec.letter}{self.index}"
        if self.kind in EDGES.values():
            return f"L{self.layer}.{part}:{self.position}>{self.key}"
        return f"L{self.layer}.{part}" + ("" if self.position is None else f"@{self.position}")


def head(layer: int, index: int, position: int | None = None) -> Component:
    """Address of a head, at all positions or one."""
    return Component(layer, Kind.HEAD, index, position)


def mlp(layer: int, position: int | None = None) -> Component:
    """Address of a layer's feed-forward block."""
    return Component(layer, Kind.MLP, 0, position)


def resid(layer: int, position: int | None = None) -> Component:
    """Address of the residual stream entering a layer."""
    return Component(layer, Kind.RESID, 0, position)


def edge(layer: int, index: int, query: int, key: int) -> Component:
    """Address of one attention edge of a head."""
    return Component(layer, Kind.EDGE, index, query, key)


_GRAMMAR = re.compile(
    r"L(?P<layer>\d{1,4})\.(?:(?P<word>"
    + "|".join(_BY_WORD)
    + r")|(?P<letter>"
    + "|".join(_BY_LETTER)
    + r")(?P<index>\d{1,6}))"
    r"(?:@(?P<at>-?\d{1,5})|:(?P<query>-?\d{1,5})>(?P<key>-?\d{1,5}))?",
    re.ASCII,
)
_OUTSIDE = re.compile(r"doc:(?P<doc>\d{1,6})|tool:(?P<tool>[A-Za-z0-9_.-]{1,64})", re.ASCII)
_REMEDY = "write L9.H6, L5.MLP, L4.RESID@7, L9.H6@-1, L9.Q6, L9.K2, L9.A6, L5.N120, L9.H6:14>2, L3.E5, L3.SHARED, L0.XH1, L12.F431, doc:2 or tool:search."


def parse_component(text: str) -> Component:
    """Parse one address.

    Raises:
        ComponentRefused: the text does not parse; see `Component`.

    Example:
        >>> parse_component("L9.H6")
        Component(layer=9, kind=<Kind.HEAD: 'head'>, index=6, position=None, key=None, name='')
    """
    if outside := _OUTSIDE.fullmatch(text.strip()):
        if outside["doc"] is not None:
            return Component(-1, Kind.DOCUMENT, int(outside["doc"]))
        return Component(-1, Kind.TOOL, name=outside["tool"])
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        raise ComponentRefused(f"{text[:40]!r} is not an address.", wanted="layer and component.", remedy=_REMEDY)
    layer = int(match["layer"])
    if match["query"] is not None:
        kind = EDGES.get(_BY_LETTER[match["letter"]]) if match["letter"] else None
        if kind is None:
            raise ComponentRefused(
                f"{text[:40]!r} is an edge of a component without attention.", wanted="a head.", remedy=_REMEDY
            )
        return Component(layer, kind, int(match["index"]), int(match["query"]), int(match["key"]))
    position = None if match["at"] is None else int(match["at"])
    if match["word"] is not None:
        return Component(layer, _BY_WORD[match["word"]], 0, position)
    return Component(layer, _BY_LETTER[match["letter"]], int(match["index"]), position)


def parse_components(text: str) -> tuple[Component, ...]:
    """Parse a list separated by commas, spaces or lines; sorted, without duplicates.

    Raises:
        ComponentRefused: an address does not parse, or there are more than `MAX_COMPONENTS`.
    """
    return unique_components(parse_component(word) for word in re.split(r"[,;\s]+", text.strip()) if word)


def unique_components(components: Iterable[Component]) -> tuple[Component, ...]:
    """Sort, remove duplicates, and check `MAX_COMPONENTS`."""
    unique = tuple(sorted(set(components)))
    if len(unique) > MAX_COMPONENTS:
        raise ComponentRefused(
            f"{len(unique)} components.", wanted=f"at most {MAX_COMPONENTS}.", remedy="test a smaller set."
        )
    return unique


def format_components(components: Iterable[Component]) -> str:
    """`L9.H6, L10.H2`: the inverse of `parse_components`.

    Example:
        >>> format_components(parse_components("L10.H2 L9.H6"))
        'L9.H6, L10.H2'
    """
    return ", ".join(str(component) for component in sorted(components))
