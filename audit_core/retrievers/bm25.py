"""BM25: passages with many of the question's rarer words first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from audit_core.retriever import Hit, Retriever

_K1, _B = 1.2, 0.75


@dataclass(frozen=True)
class BM25(Retriever):
    """Lucene's form, over words in lower case, without stop words taken out.

    Source: Robertson and Zaragoza 2009; `bm25s`.
    """

    name: str = "bm25"
    label: str = "BM25"
    unit: str = "BM25 score"

    def identify(self) -> str:
        return f"bm25s {version('bm25s')}, lucene, k1 {_K1}, b {_B}"

    def rank(self, passages: Sequence[str], queries: Sequence[str], most: int) -> tuple[tuple[Hit, ...], ...]:
        import bm25s

        index = bm25s.BM25(method="lucene", k1=_K1, b=_B)
        index.index(bm25s.tokenize(list(passages), stopwords=None, show_progress=False), show_progress=False)
        found = []
        for query in queries:
            words = bm25s.tokenize([query], stopwords=None, return_ids=False, show_progress=False)[0]
            scores = index.get_scores(words) if words else np.zeros(len(passages), np.float32)
            first = np.argsort(-scores, kind="stable")[:most]
            found.append(tuple(Hit(int(at), float(scores[at])) for at in first))
        return tuple(found)


PLUGIN = BM25()
