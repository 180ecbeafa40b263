"""Tamper with a pack at random: each changed copy must be refused, or differ only in bytes that no statement covers.

One change each, from a seed: a byte of the file; a token of a JSON document, with or without a manifest made to fit; or a whole
file that is removed, added, exchanged, renamed or repeated. A change that the verifier accepts is counted by the place it is in.

    PYTHONPATH=. python tools/tamper_packs.py data/packs/planted-strict-1.evidence.zip --trust data/packs/trust.toml -n 100000
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from audit_core.evidence.container import make_manifest
from audit_core.verifier.container import BadPack, read_members
from audit_core.verifier.manifest import MANIFEST, is_outside_manifest
from audit_core.verifier.trust import Trust, read_trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[\[\]{},:]')
_HEADERS = ((b"PK\x03\x04", 30, 26), (b"PK\x01\x02", 46, 28))
"""Mark, length and place of the name's length of the two headers of a member in a zip file."""
Members = Mapping[str, bytes]
Rows = list[tuple[str, bytes]]


@dataclass
class Counts:
    """What became of the changed copies."""

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Kind of change and the first step that failed."""
    accepted: Counter[str] = field(default_factory=Counter)
    """Kind of change and the place of the changed bytes."""
    wrong: list[str] = field(default_factory=list)
    """Changes that should have been refused, or that the verifier did not answer."""
    slowest_s: float = 0.0


def pack_rows(rows: Rows) -> bytes:
    """A zip file of members as they are given: names may be repeated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in rows:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def change_byte(data: bytes, rng: Random) -> tuple[bytes, int]:
    """One byte of the file replaced by another one."""
    at = rng.randrange(len(data))
    changed = bytearray(data)
    changed[at] ^= rng.randrange(1, 256)
    return bytes(changed), at


def change_token(members: Members, rng: Random) -> tuple[dict[str, bytes], str]:
    """One token of one JSON document replaced by another token of the same document, or removed."""
    name = rng.choice([name for name in members if name.endswith((".json", ".jsonl"))])
    data = members[name]
    found = list(_TOKEN.finditer(data))
    one, other = rng.choice(found), rng.choice(found)
    new = b"" if rng.random() < 0.2 or other[0] == one[0] else other[0]
    return {**members, name: data[: one.start()] + new + data[one.end() :]}, name


def change_files(members: Members, rng: Random) -> tuple[Rows, str]:
    """One file removed, added, exchanged with another one, renamed or repeated."""
    name, other = rng.sample(sorted(members), 2)
    rows = dict(members)
    kind = rng.choice(("removed", "added", "exchanged", "renamed", "repeated"))
    if kind == "removed":
        del rows[name]
    elif kind == "added":
        rows[f"runs/extra-{rng.randrange(10**6)}.json"] = members[name]
    elif kind == "exchanged":
        rows[name], rows[other] = rows[other], rows[name]
    elif kind == "renamed":
        rows[f"{name.rpartition('.')[0]}-2.{name.rpartition('.')[2]}"] = rows.pop(name)
    return [*rows.items(), *([(name, members[other])] if kind == "repeated" else [])], kind


def name_place(data: bytes, at: int) -> str:
    """The part of a zip file that a byte is in: a field of a header, a name, or content."""
    best = "content"
    for mark, length, name_at in _HEADERS:
        start = data.rfind(mark, 0, at + 1)
        if start >= 0 and at < start + length + int.from_bytes(data[start + name_at : start + name_at + 2], "little"):
            best = f"{'local' if length == 30 else 'directory'} header, byte {at - start}"
    return best if at < len(data) - 22 else f"end record, byte {at - len(data) + 22}"


class Tamperer:
    """One pack, its verification unchanged, and the counts of its changed copies."""

    def __init__(self, data: bytes, trust: Trust) -> None:
        self.data, self.trust = data, trust
        self.members = dict(read_members(data))
        self.before = verify_pack(data, trust)
        self.outside = {name for name in self.members if is_outside_manifest(name) and name != MANIFEST}
        self.counts = Counts()

    def go(self, number: int, seed: int) -> None:
        rng = Random(f"{seed}/{number}")
        kind = rng.choices(("byte", "token", "token and manifest", "file"), (50, 25, 5, 20))[0]
        if kind == "byte":
            changed, at = change_byte(self.data, rng)
            self._judge(number, kind, changed, lambda: name_place(self.data, at))
        elif kind == "file":
            rows, what = change_files(self.members, rng)
            self._judge(number, kind, pack_rows(rows), lambda: what)
        else:
            members, name = change_token(self.members, rng)
            if kind != "token":
                plain = {one: data for one, data in members.items() if not is_outside_manifest(one)}
                members |= {MANIFEST: make_manifest(plain)}
            self._judge(number, kind, pack_rows(list(members.items())), lambda: name)

    def _judge(self, number: int, kind: str, changed: bytes, place: Callable[[], str]) -> None:
        counts = self.counts
        counts.tried[kind] += 1
        begun = time.process_time()
        try:
            found = verify_pack(changed, self.trust)
        except Exception as error:  # noqa: BLE001  an answer is owed to whatever is given: any exception is a defect
            counts.wrong.append(f"{number}: {kind}, {place()}: {type(error).__name__}: {error}")
            return
        counts.slowest_s = max(counts.slowest_s, time.process_time() - begun)
        if found.exit_code == 4:
            step = next((one.name for one in found.steps if one.result == "FAILED"), "decisions or witnesses")
            counts.refused[f"{kind}: {step}"] += 1
            return
        if reason := self._is_covered(changed, found):
            counts.wrong.append(f"{number}: {kind}, {place()}: {reason}")
        counts.accepted[f"{kind}: {place()}"] += 1

    def _is_covered(self, changed: bytes, found: Verification) -> str:
        """Why the change should have been refused; empty if nothing that a statement covers was changed."""
        try:
            members = read_members(changed)
        except BadPack as error:
            return f"not readable, but accepted: {error}"
        differing = {name for name in {*members, *self.members} if members.get(name) != self.members.get(name)}
        if covered := differing - self.outside:
            return f"accepted with another {sorted(covered)[0]}"
        # An approval may be missing from a copy, and then fewer persons have signed it; no one is added.
        if not set(found.signers) <= set(self.before.signers):
            return "another signer"
        return "" if not differing or found.exit_code in (0, 3) else "another answer"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--trust", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1_000, help="changed copies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start", type=int, default=0, help="number of the first copy: the copy is a function of seed and number"
    )
    parser.add_argument("--out", type=Path, help="the counts as JSON, written every thousand copies")
    options = parser.parse_args()
    tamperer = Tamperer(options.pack.read_bytes(), read_trust(options.trust.read_bytes()))
    if tamperer.before.exit_code != 0:
        sys.exit(f"{options.pack.name} is not accepted without a change")
    # Repeated names are one of the changes.
    warnings.simplefilter("ignore", UserWarning)
    begun = time.process_time()
    for done in range(1, options.n + 1):
        tamperer.go(options.start + done - 1, options.seed)
        if done == options.n or done % 1_000 == 0:
            text = describe(options, tamperer, done, time.process_time() - begun)
            if options.out:
                options.out.write_text(text, encoding="utf-8")
    if not options.out:
        sys.stdout.write(text)
    return 1 if tamperer.counts.wrong else 0


def describe(options: argparse.Namespace, tamperer: Tamperer, done: int, cpu_s: float) -> str:
    """The counts as JSON."""
    counts = tamperer.counts
    data = {
        "pack": options.pack.name, "pack_crc32": zlib.crc32(tamperer.data), "seed": options.seed, "start": options.start,
        "copies": done, "cpu_s": round(cpu_s), "slowest_cpu_s": round(counts.slowest_s, 3),
        "tried": dict(sorted(counts.tried.items())), "refused": dict(sorted(counts.refused.items())),
        "accepted": dict(sorted(counts.accepted.items())), "wrong": counts.wrong,
    }  # fmt: skip
    return json.dumps(data, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
