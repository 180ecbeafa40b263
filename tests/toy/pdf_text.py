"""The text of a PDF of ours, page by page: content streams read with the fonts' own maps back to Unicode."""

from __future__ import annotations

import re
import zlib

_TOKENS = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:[^()\\]|\\.)*)\) Tj|(?<![^\s])([qQ])(?![^\s])", re.S)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def read_pages(document: bytes) -> list[str]:
    """What each page shows, in the order in which it was set; strings that were set apart are on lines of their own."""
    objects = {int(hit[1]): hit[2] for hit in re.finditer(rb"(\d+) 0 obj\n(.*?)\nendobj", document, re.S)}
    pages = [body for body in objects.values() if re.search(rb"/Type /Page\n", body)]
    assert pages, "no page was found: the reader does not know this form of PDF"
    return [_read_page(objects, page) for page in pages]


def _read_page(objects: dict[int, bytes], page: bytes) -> str:
    resources = objects[_reference(page, b"Resources")]
    fonts = dict(re.findall(rb"/(F\d+) (\d+) 0 R", resources))
    maps = {name: _read_map(objects, objects[int(number)]) for name, number in fonts.items()}
    font, kept, said = b"", [], []
    for hit in _TOKENS.finditer(_stream(objects[_reference(page, b"Contents")])):
        if hit[1]:
            font = hit[1]
        elif hit[3] == b"q":
            kept.append(font)
        elif hit[3] == b"Q":
            font = kept.pop()
        else:
            raw = re.sub(rb"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), hit[2], flags=re.S)
            codes = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
            said.append("".join(maps[font][code] for code in codes))
    return "\n".join(said)


def _read_map(objects: dict[int, bytes], font: bytes) -> dict[int, str]:
    table = _stream(objects[_reference(font, b"ToUnicode")]).decode()
    return {
        int(code, 16): bytes.fromhex(text).decode("utf-16-be")
        for code, text in re.findall(r"<([0-9A-F]{4})> <([0-9A-F]+)>", table)
    }


def _reference(body: bytes, name: bytes) -> int:
    found = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    assert found, f"no {name.decode()}"
    return int(found[1])


def _stream(body: bytes) -> bytes:
    found = re.search(rb"stream\n(.*)\nendstream", body, re.S)
    assert found, "no stream"
    return zlib.decompress(found[1]) if b"FlateDecode" in body else found[1]
