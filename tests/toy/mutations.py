"""Ways to spoil a pack: bits, bytes, stretches, headers, and values in documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from random import Random
from typing import Any

from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack, read_members

MARKS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x07\x08")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e300, -1e300, 1e-300, 2**53 - 1, "", "x", "done", "C-0001", "C-9999", "0" * 64, [], {}, [None],
    {"a": 1}, "MEETS", "2026-02-30T00:00:00Z", "\u202e", "a" * 300, [[]], [1, 2, 3],
)  # fmt: skip


def judge_flips(data: bytes, members: Mapping[str, bytes], bits: Iterable[int]) -> tuple[int, int]:
    """Flip each bit of each byte in turn; how many are refused, and how many read as before. Anything else is an error."""
    refused = accepted = 0
    for at in range(len(data)):
        for bit in bits:
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            try:
                read = read_members(bytes(flipped))
            except BadPack:
                refused += 1
                continue
            changed = {name for name in members if read.get(name) != members[name]} | (set(read) ^ set(members))
            assert not changed, f"bit {bit} of byte {at} changed {changed}"
            accepted += 1
    return refused, accepted


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """One to four changes of a random kind."""
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(spoiled)), rng.choice((1, 2, 4, 20, 200))
        kind = rng.randrange(8)
        if kind == 0:
            spoiled[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            spoiled[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del spoiled[at : at + length]
        elif kind == 3:
            spoiled[at:at] = rng.randbytes(length)
        elif kind == 4:
            spoiled[at:at] = spoiled[rng.randrange(len(spoiled)) :][:length]
        elif kind == 5:
            spoiled[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\1\0\0\0", b"\xfe\xff\xff\x7f"))
        elif kind == 6:
            mark = rng.choice(MARKS)
            found = bytes(spoiled).find(mark, at)
            if found >= 0:
                place = found + rng.randrange(4, 46)
                spoiled[place : place + 2] = rng.randbytes(2)
        else:
            del spoiled[max(1, at) :]
    return bytes(spoiled) or b"x"


def mutate_document(data: bytes, name: str, rng: Random) -> bytes:
    """One to three values of a document replaced, taken away or moved; in canonical form again."""
    rows = [json.loads(line) for line in data.splitlines()] if name.endswith(".jsonl") else json.loads(data)
    for _ in range(rng.randint(1, 3)):
        rows = _spoil(rows, rng)
    if name.endswith(".jsonl"):
        return b"".join(encode_canonical(row) + b"\n" for row in (rows if isinstance(rows, list) else [rows]))
    return encode_canonical(rows)


def _spoil(document: Any, rng: Random) -> Any:
    places = list(_walk(document, ()))
    if not places:
        return deepcopy(rng.choice(VALUES))
    *path, last = rng.choice(places)
    target = document
    for part in path:
        target = target[part]
    kind = rng.randrange(4)
    if kind == 0:
        del target[last]
    elif kind == 1 and isinstance(target, list):
        target.insert(last, deepcopy(target[last]))
    elif kind == 2 and isinstance(target[last], str):
        # Of the same form: digests, times and ids pass the schema and reach what stands behind it.
        target[last] = target[last][:-1] + rng.choice("0123456789abcdefZ")
    elif kind == 2 and isinstance(target[last], int | float) and not isinstance(target[last], bool):
        target[last] += rng.choice((-1, 1, 0.25))
    else:
        target[last] = deepcopy(rng.choice(VALUES))
    return document


def _walk(value: Any, path: tuple[Any, ...]) -> Any:
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield (*path, key)
        yield from _walk(inner, (*path, key))
