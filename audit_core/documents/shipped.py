"""The shipped questions, written by `data/documents/generate.py` and `record.py`: with documents, and with retrieved ones."""

from __future__ import annotations

from audit_core.data_folder import DATA
from audit_core.errors import Refused

SHIPPED = ("questions.csv", "retrieved-bm25.csv", "retrieved-next.csv")
"""124 questions with three documents each; 124 with the first three hits of BM25 among 134 passages and the next hit; 12 of these,
three of which are also measured by sentence."""

BY_SENTENCE = {SHIPPED[2]: 3}
"""Questions of a file that are measured by sentence, unless another number is asked for."""


def read_shipped(name: str = SHIPPED[0]) -> bytes:
    """The bytes of a file.

    Raises:
        Refused: no such file.
    """
    if name not in SHIPPED:
        raise Refused(f"{name[:60]!r} does not ship.", wanted=", ".join(SHIPPED) + ".", remedy="name one of them.")
    return (DATA / "documents" / name).read_bytes()
